// Gives up on a peer that stays silent: the timeout fires once per period without data, and leaves the connection open.
//
//   senary run --with-echo examples/timeout.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

const PATIENCE = 100 // milliseconds

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const limit = setTimeout(() => socket.destroy(), 5000)
  let answer = ""
  let silences = 0
  socket.on("data", (data) => (answer += new TextDecoder().decode(data)))
  socket.on("timeout", () => {
    check(socket, { "the connection is still open": (s) => s.ready_state === "open" })
    if (++silences === 3) socket.destroy()
  })
  socket.setTimeout(PATIENCE)
  try {
    await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    // An echo server has nothing more to say than what it was told.
    await socket.write("ping")
    await closed
  } finally {
    check(answer, { "the answer came first": (a) => a === "ping" })
    check(silences, { "three silences passed": (n) => n === 3 })
    clearTimeout(limit)
  }
}
