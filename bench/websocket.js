// Cost of a message: VUS sessions, N messages there and back on each, one at a time.
import { WebSocket } from "k6/websockets"
import ws from "k6/ws"

const url = __ENV.URL, N = Number(__ENV.N), MESSAGE = "ping-pong-payload-0123456789abcdef"

export const options = {
  scenarios: {
    messages: { executor: "per-vu-iterations", vus: Number(__ENV.VUS), iterations: 1, maxDuration: "120s" },
  },
}

function blocking() {
  ws.connect(url, {}, (socket) => {
    let n = 0
    socket.on("open", () => socket.send(MESSAGE))
    socket.on("message", () => (++n < N ? socket.send(MESSAGE) : socket.close()))
  })
}

function onTheEventLoop() {
  const socket = new WebSocket(url)
  let n = 0
  socket.onopen = () => socket.send(MESSAGE)
  socket.onmessage = () => (++n < N ? socket.send(MESSAGE) : socket.close())
}

export default __ENV.MODULE === "k6/ws" ? blocking : onTheEventLoop
