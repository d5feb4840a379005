// Requests in order, and messages read one by one.
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { scenarios: { requests: { executor: "per-vu-iterations", vus: 50, iterations: 2 } } }

export default async function () {
  const socket = new Socket({ framing: "u32" })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  for (let i = 0; i < 500; i++) {
    const reply = await socket.request("a request with some thirty bytes")
    check(reply, { "the same length": (bytes) => bytes.byteLength === 32 })
  }
  for (let i = 0; i < 500; i++) {
    socket.send("a message with some thirty bytes")
    await socket.read()
  }
  socket.destroy()
}
