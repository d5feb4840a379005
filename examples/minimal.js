// The least there is: connect, write, read the answer, close.
//
//   senary run --with-echo examples/minimal.js
//   TCP_HOST=10.0.0.5 TCP_PORT=8080 senary run examples/minimal.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

export default async function () {
  const socket = new Socket()
  const limit = setTimeout(() => socket.destroy(), 5000)
  // Without an answer the connection is closed in the end, by the server or by the time limit.
  const answer = new Promise((resolve) => {
    socket.on("data", (data) => resolve(new TextDecoder().decode(data)))
    socket.on("close", () => resolve("none"))
  })
  await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
  await socket.write("Hello, server!")
  check(await answer, { "the server answers": (a) => a === "Hello, server!" })
  clearTimeout(limit)
  socket.destroy()
}
