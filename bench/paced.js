// RATE messages a second over VUS connections, which send in turn, and each of which is answered: sent by script, or by the pump.
import { Socket } from "k6/x/tcp"
import { Socket as Framed } from "senary/tcp"
import exec from "k6/execution"
import { Counter } from "k6/metrics"

const MESSAGE = "ping-pong-payload-0123456789abcdef"
const [VUS, RATE, SECONDS] = [Number(__ENV.VUS), Number(__ENV.RATE), Number(__ENV.SECONDS)]
const roundTrips = new Counter("round_trips")

export const options = {
  scenarios: { paced: { executor: "per-vu-iterations", exec: __ENV.BY, vus: VUS, iterations: 1, maxDuration: "120s" } },
}

// Each has a moment of its own within the interval.
function turn() {
  const now = (performance.timeOrigin + performance.now()) % 1000
  return new Promise((resolve) => setTimeout(resolve, 2000 - now + (exec.vu.idInTest * 1000) / RATE))
}

export async function script() {
  const socket = new Socket()
  let answered = 0
  socket.on("data", (data) => {
    answered += data.byteLength / MESSAGE.length
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await turn()
  const timer = setInterval(() => socket.write(MESSAGE), (VUS * 1000) / RATE)
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000))
  clearInterval(timer)
  await new Promise((resolve) => setTimeout(resolve, 100))
  socket.destroy()
  roundTrips.add(answered)
}

export async function pump() {
  const socket = new Framed({ framing: { fixed: MESSAGE.length } })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await turn()
  const result = await socket.pump({ message: MESSAGE, rate: RATE / VUS, duration: `${SECONDS}s` })
  socket.destroy()
  roundTrips.add(result.received - result.failed)
}
