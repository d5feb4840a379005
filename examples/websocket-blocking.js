// The older API: connect() comes back when the session is over.
//
//   WS_URL=ws://10.0.0.5:8080/chat senary run examples/websocket-blocking.js
import ws from "k6/ws"
import { check } from "k6"

export const options = {
  strict: true,
  // A server that never answers the handshake holds up an iteration for a minute, unless the scenario ends before.
  scenarios: { chat: { executor: "per-vu-iterations", maxDuration: "30s", gracefulStop: "0s" } },
  thresholds: { checks: ["rate==1"] },
}

export default function () {
  const answers = []
  const response = ws.connect(__ENV.WS_URL || "ws://localhost:8080/", { tags: { name: "chat" } }, (socket) => {
    let asked = 0
    socket.on("open", () => socket.setInterval(() => socket.send(`question ${(asked += 1)}`), 20))
    socket.on("message", (text) => {
      answers.push(text)
      if (answers.length === 3) socket.close(1000)
    })
    socket.on("error", (error) => console.error(error.error()))
    socket.setTimeout(() => socket.close(), 10_000)
  })
  check(response, {
    "the session was opened": (response) => response.status === 101,
    "all questions are answered": () => answers.join() === "question 1,question 2,question 3",
  })
}
