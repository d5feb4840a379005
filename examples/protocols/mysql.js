// MySQL and MariaDB: a login by mysql_native_password, and a query, whose answer goes on up to an OK or an error.
//
//   DB_USER=load DB_PASSWORD=secret TCP_PORT=3306 senary run examples/protocols/mysql.js
import { Socket } from "senary/tcp"
import { check } from "k6"
import { sha1 } from "k6/crypto"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

const bytes = (text) => new TextEncoder().encode(text)
const hash = (...parts) => new Uint8Array(sha1(Uint8Array.from(parts.flatMap((part) => [...part])).buffer, "binary"))
// A place for the length, which the framing fills in, the sequence number, and the content.
const packet = (sequence, ...content) => Uint8Array.of(0, 0, 0, sequence, ...content)
const CAPABILITIES = [0x01, 0x82, 0x08, 0x01] // the protocol of 4.1, plugins for the login, no EOF packets

function login(greeting, user, password) {
  const at = greeting.indexOf(0, 5) + 5 // behind the version of the server and the number of the connection
  const salt = [...greeting.subarray(at, at + 8), ...greeting.subarray(at + 27, at + 39)]
  const once = hash(bytes(password))
  const twice = hash(salt, hash(once))
  const settings = [...CAPABILITIES, 0, 0, 0, 1, 45, ...new Uint8Array(23)]
  const answer = [20, ...once.map((byte, n) => byte ^ twice[n])]
  return packet(1, ...settings, ...bytes(`${user}\0`), ...answer, ...bytes("mysql_native_password\0"))
}

export default async function () {
  const db = new Socket({ framing: "mysql" })
  await db.connect({ port: __ENV.TCP_PORT || 3306, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const greeting = await db.read({ timeout: "5s" })
  const reply = await db.request(login(greeting, __ENV.DB_USER, __ENV.DB_PASSWORD), { timeout: "5s" })
  check(reply, { "the login is accepted": (r) => r[4] === 0 })

  const isLast = (r) => r[4] === 0xfe || r[4] === 0xff
  const rows = await db.request(packet(0, 3, ...bytes("SELECT 6 * 7")), { until: isLast, timeout: "5s" })
  check(rows, { "the row is right": (all) => new TextDecoder().decode(all.at(-2)).endsWith("\x0242") })
  await db.send(packet(0, 1))
  db.destroy()
}
