// Short connections: one for each iteration.
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { scenarios: { churn: { executor: "shared-iterations", vus: 20, iterations: 6000 } } }

export default async function () {
  const socket = new Socket()
  const reply = new Promise((resolve, reject) => {
    socket.on("data", resolve)
    socket.on("error", reject)
  })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("hello")
  check(await reply, { "five bytes": (bytes) => bytes.byteLength === 5 })
  socket.destroy()
  await closed
}
