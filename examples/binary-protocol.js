// A binary protocol: frames of a 4-byte length, a 4-byte id and a payload, put together from whatever chunks arrive.
//
//   senary run --with-echo examples/binary-protocol.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

const FRAMES = 20

function encode(id, payload) {
  const frame = new Uint8Array(8 + payload.length)
  const view = new DataView(frame.buffer)
  view.setUint32(0, 4 + payload.length)
  view.setUint32(4, id)
  frame.set(payload, 8)
  return frame
}

// Calls `onFrame` for each whole frame; keeps the rest for the next chunk.
function decoder(onFrame) {
  let rest = new Uint8Array(0)
  return (chunk) => {
    const bytes = new Uint8Array(rest.length + chunk.length)
    bytes.set(rest)
    bytes.set(chunk, rest.length)
    const view = new DataView(bytes.buffer)
    let at = 0
    while (bytes.length - at >= 8 && bytes.length - at >= 4 + view.getUint32(at)) {
      const end = at + 4 + view.getUint32(at)
      onFrame(view.getUint32(at + 4), bytes.subarray(at + 8, end))
      at = end
    }
    rest = bytes.slice(at)
  }
}

export default async function () {
  const socket = new Socket({ tags: { protocol: "frames" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const limit = setTimeout(() => socket.destroy(), 5000)
  const ids = []
  socket.on("data", decoder((id, payload) => {
    check(payload, { "the payload came back whole": (p) => p.length === id * 100 && p.every((b) => b === id) })
    if (ids.push(id) === FRAMES) socket.destroy()
  }))
  try {
    await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    // Awaited together: writes reach the wire in the order of the calls.
    await Promise.all(Array.from({ length: FRAMES }, (_, id) => socket.write(encode(id, new Uint8Array(id * 100).fill(id)))))
    await closed
  } finally {
    check(ids, { "every frame came back in order": (i) => i.length === FRAMES && i.every((id, n) => id === n) })
    clearTimeout(limit)
  }
}
