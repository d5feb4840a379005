// NATS: what is published comes back to the subscriber; a number in the message says which one has arrived.
//
//   TCP_PORT=4222 senary run examples/protocols/nats.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

export default async function () {
  const number = { pattern: /^(?:PUB|MSG) .*\r\norder (\d+)/ }
  const nats = new Socket({ framing: "nats", encoding: "utf8", correlate: number })
  await nats.connect({ port: __ENV.TCP_PORT || 4222, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const info = await nats.read({ timeout: "5s" })
  check(info, { "the server introduces itself": (operation) => operation.startsWith("INFO {") })
  const subject = `orders.${__VU}`
  await nats.send(`CONNECT {"verbose":false,"pedantic":false}\r\nSUB ${subject} 1\r\nPING\r\n`)
  const pong = await nats.read({ timeout: "5s" })
  check(pong, { "the subscription is made": (operation) => operation === "PONG\r\n" })

  const publish = (payload) => nats.request(`PUB ${subject} ${payload.length}\r\n${payload}\r\n`, { timeout: "5s" })
  const arrived = await Promise.all(Array.from({ length: 20 }, (_, n) => publish(`order ${n}`)))
  check(arrived, { "every order arrives": (all) => all.every((one, n) => one.endsWith(`\r\norder ${n}\r\n`)) })
  nats.destroy()
}
