// Greets an echo server, logs what comes back, and waits until the connection is closed.
//
//   senary run --with-echo examples/socket.js
//   TCP_HOST=10.0.0.5 TCP_PORT=8080 senary run examples/socket.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

export default async function () {
  const socket = new Socket({ tags: { service: "echo" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  // Whatever the server does or does not do, the connection is over after five seconds.
  const limit = setTimeout(() => socket.destroy(), 5000)
  let answer = ""
  socket.on("data", (data) => {
    answer += new TextDecoder().decode(data)
    if (answer.length >= 14) socket.destroy()
  })
  socket.on("error", (error) => console.error(`${error}`))
  try {
    await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    console.log("ready state:", socket.ready_state)
    await socket.write("Hello, server!")
    await closed
    console.log("received:", answer)
  } finally {
    // Also when something went wrong, so that the threshold has something to judge.
    check(answer, { "the answer is the greeting": (a) => a === "Hello, server!" })
    clearTimeout(limit)
  }
}
