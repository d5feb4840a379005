// Greets an echo server, logs what comes back, and waits until the connection is closed.
//
//   senary run --with-echo examples/socket.js
//   TCP_HOST=10.0.0.5 TCP_PORT=8080 senary run examples/socket.js
import { Socket } from "k6/x/tcp"

export default async function () {
  const socket = new Socket({ tags: { service: "echo" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  socket.on("data", (data) => {
    console.log("received:", new TextDecoder().decode(data))
    socket.destroy()
  })
  socket.on("error", (error) => console.error(`${error}`))
  await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
  console.log("ready state:", socket.ready_state)
  await socket.write("Hello, server!")
  await closed
}
