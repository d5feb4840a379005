// Pumps on many connections: open loops at a rate, or closed ones for a time. Run by pumps.py.
import { Socket } from "senary/tcp"

const [VUS, SOCKETS, SECONDS] = [Number(__ENV.VUS), Number(__ENV.SOCKETS), Number(__ENV.SECONDS)]
// One at a time is under way: what is due meanwhile waits, and its latency counts from when it was due.
const rate = { window: 1, ...(__ENV.RATE && { rate: Number(__ENV.RATE) }) }

export const options = {
  scenarios: { pumps: { executor: "per-vu-iterations", vus: VUS, iterations: 1, maxDuration: "5m" } },
  summaryTrendStats: ["count", "med", "p(99)", "max"],
}

export default async function () {
  const sockets = Array.from({ length: SOCKETS }, () => new Socket({ framing: { fixed: 16 } }))
  for (const socket of sockets) await socket.connect({ host: "127.0.0.1", port: __ENV.PORT, timeout: "60s" })
  // All begin at the same time: when the last one is connected.
  const wait = Number(__ENV.BEGIN) - Date.now()
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
  else throw new Error(`connecting took ${-wait} ms too long`)
  const pump = (socket) => socket.pump({ message: "0123456789abcdef", ...rate, duration: `${SECONDS}s` })
  const results = await Promise.all(sockets.map(pump))
  console.log(results.map((result) => `${result.received}/${result.failed}`).join(" "))
  for (const socket of sockets) socket.destroy()
}
