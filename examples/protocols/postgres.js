// PostgreSQL: SSLRequest, a login by SCRAM-SHA-256, and a query, whose answer goes on up to ReadyForQuery.
//
//   DB_USER=load DB_PASSWORD=secret TCP_PORT=5432 senary run examples/protocols/postgres.js
import { Socket } from "senary/tcp"
import { check } from "k6"
import { hmac, sha256 } from "k6/crypto"
import { b64decode, b64encode } from "k6/encoding"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }
const { DB_USER: user, DB_PASSWORD: password, DB_NAME: database = "postgres", TIMEOUT: timeout = "5s" } = __ENV

// How the client shows that it knows the password (RFC 5802).
async function proof(salt, iterations, signed) {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveBits"])
  const salted = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256)
  const clientKey = hmac("sha256", salted, "Client Key", "binary")
  const signature = new Uint8Array(hmac("sha256", sha256(clientKey, "binary"), signed, "binary"))
  return b64encode(new Uint8Array(clientKey).map((byte, n) => byte ^ signature[n]).buffer)
}

export default async function () {
  const db = new Socket({ framing: "postgres", encoding: "latin1" }) // fills in the lengths of messages
  await db.connect({ port: __ENV.TCP_PORT || 5432, host: __ENV.TCP_HOST || "localhost", timeout })
  await db.send(Uint8Array.of(0, 0, 0, 0, 4, 210, 22, 47)) // SSLRequest
  check(await db.read(1, { timeout }), { "the server speaks TLS": (answer) => answer === "S" })
  await db.startTls()
  await db.request(`\0\0\0\0\0\x03\0\0user\0${user}\0database\0${database}\0\0`, { timeout })
  const first = `n=,r=${crypto.randomUUID()}` // 41 bytes, and `n,,` before them
  const challenge = (await db.request(`p\0\0\0\0SCRAM-SHA-256\0\0\0\0\x2cn,,${first}`, { timeout })).slice(9)
  check(challenge, { "the server asks for a proof": (text) => text.startsWith(first.slice(3)) })
  const [, nonce, salt, iterations] = challenge.match(/^r=(.*),s=(.*),i=(\d+)/)
  const p = await proof(b64decode(salt), Number(iterations), `${first},${challenge},c=biws,r=${nonce}`)
  const until = (message) => message[0] === "Z" || message[0] === "E"
  const login = await db.request(`p\0\0\0\0c=biws,r=${nonce},p=${p}`, { until, timeout })
  check(login, { "the login is accepted": (messages) => messages.at(-1)[0] === "Z" })
  const answer = await db.request("Q\0\0\0\0SELECT 6 * 7\0", { until: { equals: "Z" }, timeout })
  check(answer, { "the row is right": (all) => all.some((message) => message[0] === "D" && message.endsWith("42")) })
  db.destroy()
}
