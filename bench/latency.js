// The round trip as a script measures it, at a rate that leaves the generator idle: 50 connections, 100/s each, spread
// over time, if not evenly.
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
  await new Promise((resolve) => setTimeout(resolve, exec.vu.idInTest % 10))
  const timer = setInterval(() => {
    sent = performance.now()
    socket.write("ping-pong-payload-0123456789abcdef")
  }, 10)
  await closed
  clearInterval(timer)
}
