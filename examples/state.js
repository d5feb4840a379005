// What a socket says about itself in each of its states.
//
//   senary run --with-echo examples/state.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

function show(socket) {
  const address = socket.connected ? `${socket.remote_ip}:${socket.remote_port}` : "no connection"
  console.log(`${socket.ready_state}: ${address}, ${socket.bytes_written} B out, ${socket.bytes_read} B in`)
}

export default async function () {
  const socket = new Socket()
  const limit = setTimeout(() => socket.destroy(), 5000)
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const answered = new Promise((resolve) => socket.on("data", resolve))
  show(socket)

  try {
    const connecting = socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    show(socket)
    await connecting
    show(socket)

    await socket.write("ping")
    await Promise.race([answered, closed])
    show(socket)
  } finally {
    check(socket, { "the answer has come": (s) => s.ready_state === "open" && s.bytes_read === 4 })
    clearTimeout(limit)
  }

  socket.destroy()
  show(socket)
  await closed
}
