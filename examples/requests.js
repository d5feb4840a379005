// Messages and requests: `framing` says where a message ends, `request()` sends one and resolves with its reply.
//
//   senary run --with-echo examples/requests.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_req_duration: ["p(99)<1000"] } }

export default async function () {
  const socket = new Socket({ framing: "u32", encoding: "utf8" }) // a length of 4 bytes, and then text
  await socket.connect({ port: __ENV.TCP_PORT || 8080, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const replies = await Promise.all(["one", "two", "three"].map((text) => socket.request(text, { timeout: "5s" })))
  check(replies, { "each request has its reply": (r) => r.join() === "one,two,three" })
  socket.destroy()
}
