// Memory: each VU holds one open connection and sleeps.
import { Socket } from "k6/x/tcp"
import { sleep } from "k6"

export const options = {
  scenarios: {
    idle: { executor: "per-vu-iterations", vus: Number(__ENV.VUS), iterations: 1, maxDuration: "120s" },
  },
}

export default async function () {
  const socket = new Socket()
  socket.on("data", () => {})
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.write("x")
  sleep(4)
  socket.destroy()
}
