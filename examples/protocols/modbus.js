// Modbus/TCP: registers are read, many requests at once; the socket gives each a transaction id of its own.
//
//   TCP_PORT=502 senary run examples/protocols/modbus.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

const [UNIT, READ_HOLDING_REGISTERS] = [1, 3]

export default async function () {
  const plc = new Socket({ framing: "modbus", correlate: { offset: 0, bytes: 2, auto: true } })
  await plc.connect({ port: __ENV.TCP_PORT || 502, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const read = async (address, count) => {
    // Transaction id, protocol and length: the first and the last are filled in.
    const request = [0, 0, 0, 0, 0, 0, UNIT, READ_HOLDING_REGISTERS, address >> 8, address & 255, 0, count]
    const reply = await plc.request(Uint8Array.from(request), { timeout: "5s" })
    if (reply[7] !== READ_HOLDING_REGISTERS || reply.length !== 9 + 2 * count) return [] // an exception
    return Array.from({ length: count }, (_, n) => (reply[9 + 2 * n] << 8) | reply[10 + 2 * n])
  }
  const blocks = await Promise.all([0, 10, 20, 30].map((address) => read(address, 10)))
  check(blocks, { "all registers are read": (all) => all.every((block) => block.length === 10) })
  plc.destroy()
}
