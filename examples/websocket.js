// A WebSocket on the event loop: a question, its answer, and the end that both sides agree on.
//
//   WS_URL=ws://10.0.0.5:8080/chat senary run examples/websocket.js
import { WebSocket } from "k6/websockets"
import { check } from "k6"

export const options = {
  strict: true,
  // A server that never answers the handshake holds up an iteration for a minute, unless the scenario ends before.
  scenarios: { chat: { executor: "per-vu-iterations", maxDuration: "30s", gracefulStop: "0s" } },
  thresholds: { checks: ["rate==1"], ws_connecting: ["p(95)<1000"] },
}

export default function () {
  const socket = new WebSocket(__ENV.WS_URL || "ws://localhost:8080/", null, { tags: { name: "chat" } })
  let answer
  socket.onopen = () => {
    socket.ping()
    socket.send("Hello, server!")
  }
  socket.onmessage = (event) => {
    answer = event.data
    socket.close(1000, "done")
  }
  const limit = setTimeout(() => socket.close(), 10_000)
  socket.onerror = (event) => console.error(event.error)
  // It comes also if there was no connection at all.
  socket.onclose = (event) => {
    clearTimeout(limit)
    check(event, {
      "the server answers": () => answer === "Hello, server!",
      "it closes in good order": (event) => event.code === 1000,
    })
  }
}
