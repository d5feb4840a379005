// MQTT 3.1.1: messages with QoS 1 are published, many at once; each is acknowledged by its packet id.
//
//   TCP_PORT=1883 senary run examples/protocols/mqtt.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

const TOPIC = "load/test"
const text = (string) => [string.length >> 8, string.length & 255, ...new TextEncoder().encode(string)]
// The framing fills in the length; here it is one byte, which is enough below 128.
const packet = (type, ...body) => Uint8Array.of(type, 0, ...body)

export default async function () {
  // The socket writes a packet id of its own behind the topic; an acknowledgement has it at 2.
  const id = { offset: 4 + TOPIC.length, bytes: 2, auto: true, reply: { offset: 2, bytes: 2 } }
  const broker = new Socket({ framing: "mqtt", correlate: id })
  await broker.connect({ port: __ENV.TCP_PORT || 1883, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  await broker.send(packet(0x10, ...text("MQTT"), 4, 2, 0, 60, ...text(`senary-${__VU}`)))
  const accepted = await broker.read({ timeout: "5s" })
  check(accepted, { "the broker accepts": (reply) => reply.join() === "32,2,0,0" })

  const publish = (value) => broker.request(packet(0x32, ...text(TOPIC), 0, 0, ...value), { timeout: "5s" })
  const values = Array.from({ length: 20 }, (_, n) => new TextEncoder().encode(`${n} degrees`))
  const acknowledged = await Promise.all(values.map(publish))
  check(acknowledged, { "every message is acknowledged": (all) => all.every((reply) => reply[0] === 0x40) })
  await broker.send(packet(0xe0))
  broker.destroy()
}
