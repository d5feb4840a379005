// ISO 8583: many payments at once; the answers come in any order, and have the number (field 11) of their request.
//
//   TCP_PORT=5000 senary run examples/protocols/iso8583.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

// The type, the bitmap in hexadecimal digits (fields 3, 4, 7, 11, 41), and the fields, which have fixed lengths.
const BITMAP = "3220000000800000"
const payment = (cents, number) =>
  `0200${BITMAP}000000${String(cents).padStart(12, "0")}0501120000${String(number).padStart(6, "0")}TERMID01`

export default async function () {
  const host = new Socket({ framing: "iso8583", encoding: "latin1", correlate: { pattern: /^.{48}(\d{6})/ } })
  await host.connect({ port: __ENV.TCP_PORT || 5000, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const numbers = Array.from({ length: 10 }, (_, n) => n + 1)
  const pay = (number) => host.request(payment(100 * number, number), { timeout: "5s", tags: { name: "0200" } })
  const replies = await Promise.all(numbers.map(pay))
  // The answer has field 39 besides, between 11 and 41: what became of the payment.
  check(replies, { "every payment is answered": (all) => all.every((reply) => reply.startsWith("0210")) })
  check(replies, { "every payment is approved": (all) => all.every((reply) => reply.slice(54, 56) === "00") })
  host.destroy()
}
