// Cost of a round trip: VUS connections, one message in flight on each, N round trips each.
import { Socket } from "k6/x/tcp"
import { Counter } from "k6/metrics"

const roundTrips = new Counter("round_trips")
const N = Number(__ENV.N)

export const options = {
  scenarios: {
    ping: { executor: "per-vu-iterations", vus: Number(__ENV.VUS), iterations: 1, maxDuration: "120s" },
  },
}

export default async function () {
  const socket = new Socket()
  let n = 0
  const closed = new Promise((resolve) => socket.on("close", resolve))
  socket.on("data", () => {
    if (++n >= N) socket.destroy()
    else socket.write("ping-pong-payload-0123456789abcdef")
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("ping-pong-payload-0123456789abcdef")
  await closed
  roundTrips.add(n)
}
