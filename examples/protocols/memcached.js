// memcached, the text protocol: a reply is a line, or `VALUE` blocks up to `END`; a value may contain anything.
//
//   TCP_PORT=11211 senary run examples/protocols/memcached.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

export default async function () {
  const cache = new Socket({ framing: "memcached", encoding: "latin1" })
  const command = (text) => cache.request(text, { timeout: "5s", tags: { name: text.split(" ")[0] } })
  await cache.connect({ port: __ENV.TCP_PORT || 11211, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const key = `greeting:${__VU}`
  const value = "Hello\r\nEND\r\n"
  const stored = await command(`set ${key} 0 60 ${value.length}\r\n${value}`)
  const found = await command(`get ${key}`)
  const deleted = await command(`delete ${key}`)
  check(stored, { "it is stored": (reply) => reply === "STORED" })
  check(found, { "it is found": (reply) => reply === `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND` })
  check(deleted, { "it is deleted": (reply) => reply === "DELETED" })
  cache.destroy()
}
