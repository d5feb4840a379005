// Frames with a length before them, made and taken apart by the script.
import { Socket } from "k6/x/tcp"
import { Trend } from "k6/metrics"

const took = new Trend("frame_duration", true)

export const options = { scenarios: { frames: { executor: "per-vu-iterations", vus: 20, iterations: 4 } } }

function frame(id, text) {
  const bytes = new Uint8Array(8 + text.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length - 4)
  view.setUint32(4, id)
  for (let i = 0; i < text.length; i++) bytes[8 + i] = text.charCodeAt(i)
  return bytes
}

export default async function () {
  const socket = new Socket()
  let rest = new Uint8Array(0)
  let next = 0, sent = 0
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const send = () => {
    sent = Date.now()
    socket.write(frame(++next, `message ${next}`).buffer)
  }
  socket.on("data", (data) => {
    const chunk = new Uint8Array(data)
    const all = new Uint8Array(rest.length + chunk.length)
    all.set(rest)
    all.set(chunk, rest.length)
    let at = 0
    const view = new DataView(all.buffer)
    while (all.length - at >= 4 && all.length - at >= 4 + view.getUint32(at)) {
      const id = view.getUint32(at + 4)
      at += 4 + view.getUint32(at)
      took.add(Date.now() - sent, { even: String(id % 2 === 0) })
      if (id < 500) send()
      else socket.destroy()
    }
    rest = all.subarray(at)
  })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  send()
  await closed
}
