// A connection behind TLS. Certificates are verified against the system's roots, or those in SSL_CERT_FILE.
//
//   TCP_HOST=mail.example.com TCP_PORT=993 senary run examples/tls.js
//
// Against the built-in echo server, which prints its certificate:
//
//   senary echo --tls --listen 127.0.0.1:8443 > echo.pem &
//   SSL_CERT_FILE=echo.pem TCP_PORT=8443 senary run examples/tls.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = {
  strict: true,
  tlsVersion: { min: "tls1.2", max: "tls1.3" },
  thresholds: { checks: ["rate==1"] },
}

export default async function () {
  const socket = new Socket({ tags: { service: "secret" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const limit = setTimeout(() => socket.destroy(), 5000)
  let answer = ""
  socket.on("data", (data) => {
    answer += new TextDecoder().decode(data)
    if (answer.length >= 10) socket.destroy()
  })
  const port = Number(__ENV.TCP_PORT || 8443)
  try {
    await socket.connect({ port, host: __ENV.TCP_HOST || "localhost", tls: true })
  } catch (error) {
    console.error(`${error.code}: ${error.message}`)
    check(null, { "the handshake succeeded": () => false })
    clearTimeout(limit)
    return
  }
  check(null, { "the handshake succeeded": () => true })
  // A write that fails closes the connection, and the check says so.
  await socket.write("between us").catch((error) => console.error(`${error}`))
  await closed
  clearTimeout(limit)
  check(answer, { "the answer is the question": (a) => a === "between us" })
}
