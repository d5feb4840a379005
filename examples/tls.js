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
  tlsVersion: { min: "tls1.2", max: "tls1.3" },
}

export default async function () {
  const socket = new Socket({ tags: { service: "secret" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let answer = ""
  socket.on("data", (data) => {
    answer = new TextDecoder().decode(data)
    socket.destroy()
  })
  try {
    await socket.connect({
      port: Number(__ENV.TCP_PORT || 8443),
      host: __ENV.TCP_HOST || "localhost",
      tls: true,
    })
  } catch (error) {
    console.error(`${error.code}: ${error.message}`)
    check(null, { "the handshake succeeded": () => false })
    return
  }
  check(null, { "the handshake succeeded": () => true })
  await socket.write("between us")
  await closed
  check(answer, { "the answer is the question": (a) => a === "between us" })
}
