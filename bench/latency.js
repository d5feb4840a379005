// The round trip as a script measures it, at a rate that leaves the generator idle: 50 connections, 100 messages a second
// each, one of them sending every 0.2 ms, as the bare client does it.
import { Socket } from "k6/x/tcp"
import exec from "k6/execution"
import { Trend } from "k6/metrics"

const roundTrip = new Trend("round_trip", true)

export const options = {
  summaryTrendStats: ["med", "p(99)", "max"],
  scenarios: { latency: { executor: "per-vu-iterations", vus: 50, iterations: 1, maxDuration: "60s" } },
}

export default async function () {
  const socket = new Socket()
  let left = 1000
  let sent = 0
  const closed = new Promise((resolve) => socket.on("close", resolve))
  socket.on("data", () => {
    roundTrip.add(performance.now() - sent)
    if (--left === 0) socket.destroy()
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  // By a clock that all VUs share: each has its own 0.2 ms of the interval.
  const now = (performance.timeOrigin + performance.now()) % 1000
  await new Promise((resolve) => setTimeout(resolve, 2000 - now + exec.vu.idInTest * 0.2))
  const timer = setInterval(() => {
    sent = performance.now()
    socket.write("ping-pong-payload-0123456789abcdef")
  }, 10)
  await closed
  clearInterval(timer)
}
