// Memory: one VU holds SOCKETS open connections and sleeps.
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"

export const options = {
  scenarios: { idle: { executor: "per-vu-iterations", vus: 1, iterations: 1, maxDuration: "120s" } },
}

export default async function () {
  const sockets = []
  for (let i = 0; i < Number(__ENV.SOCKETS); i++) {
    const socket = new Socket()
    socket.on("data", () => {})
    await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
    sockets.push(socket)
  }
  sleep(2)
  for (const socket of sockets) socket.destroy()
}
