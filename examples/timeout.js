// Gives up on a peer that stays silent: the timeout fires once per period without data, and leaves the connection open.
//
//   senary run --with-echo examples/timeout.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

const PATIENCE = 100 // milliseconds

export const options = {
  thresholds: { checks: ["rate==1"], tcp_timeouts: ["count==3"] },
}

export default async function () {
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const limit = setTimeout(() => socket.destroy(), 5000)
  let silences = 0
  socket.on("timeout", () => {
    check(socket, { "the connection is still open": (s) => s.ready_state === "open" })
    if (++silences === 3) socket.destroy()
  })
  socket.setTimeout(PATIENCE)
  try {
    // An echo server has nothing to say before it is spoken to.
    await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    await closed
  } finally {
    check(silences, { "three silences passed": (n) => n === 3 })
    clearTimeout(limit)
  }
}
