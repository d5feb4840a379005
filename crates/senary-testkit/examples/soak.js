// Everything at once, for as long as DURATION says; `soak.rs` starts the peers and compares the books at the end.
import { Socket } from "k6/x/tcp"
import { check, sleep } from "k6"
import { Counter } from "k6/metrics"

const DURATION = __ENV.DURATION
const SECONDS = Number(__ENV.SECONDS)

const started = new Counter("started")
const attempts = new Counter("attempts")
const failedConnects = new Counter("failed_connects")
const closes = new Counter("closes")

const constant = (exec, vus) => ({ executor: "constant-vus", vus, duration: DURATION, exec })

export const options = {
  scenarios: {
    echo: constant("echo", 10),
    tls: constant("tls", 2),
    pull: constant("pull", 2),
    sleepers: constant("sleepers", 20),
    leaks: constant("leaks", 5),
    refused: constant("refused", 2),
    faults: {
      executor: "constant-arrival-rate", rate: 50, duration: DURATION, preAllocatedVUs: 20, maxVUs: 50, exec: "faults",
    },
    cut: {
      executor: "ramping-vus", startVUs: 0, gracefulRampDown: "0s", gracefulStop: "0s", exec: "cut",
      stages: Array.from({ length: Math.ceil(SECONDS / 4) }, (_, n) => ({ duration: "4s", target: n % 2 ? 0 : 10 })),
    },
    rest: {
      executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "rest", startTime: `${SECONDS + 12}s`,
    },
  },
  thresholds: { checks: ["rate==1"], "data_sent{scenario:sink}": ["count>=0"] },
}

const text = (bytes) => String.fromCharCode(...bytes)
const port = (name) => Number(__ENV[`${name}_PORT`])

// Connects, and keeps the books of it. Gives back the socket and the promise of its end, or null if it failed.
async function open(name, { tls = false, onData = () => {} } = {}) {
  const socket = new Socket({ tags: { peer: name } })
  const closed = new Promise((resolve) => socket.on("close", () => { closes.add(1); resolve() }))
  socket.on("data", (data) => onData(data, socket))
  socket.on("error", () => {})
  try {
    await socket.connect({ port: port(name), host: "127.0.0.1", tls })
  } catch {
    attempts.add(1)
    failedConnects.add(1)
    return null
  }
  attempts.add(1)
  return { socket, closed }
}

async function roundTrips(name, tls) {
  let wanted = 0
  let got = 0
  let wake
  const peer = await open(name, { tls, onData: (data) => { got += data.length; if (got >= wanted) wake() } })
  if (!peer) return check(null, { "echo servers answer": () => false })
  for (let n = 0; n < 20; n++) {
    const answered = new Promise((resolve) => (wake = resolve))
    const message = new Uint8Array(1 + Math.floor(Math.random() ** 4 * 100000)).fill(n)
    wanted += message.length
    peer.socket.write(message.subarray(0, 1))
    peer.socket.write(message.subarray(1))
    message.fill(255)
    await answered
  }
  check(got, { "echoes are whole": () => got === wanted && peer.socket.bytes_written === wanted })
  peer.socket.destroy()
  await peer.closed
}

export async function echo() {
  started.add(1)
  await roundTrips("ECHO", false)
}

export async function tls() {
  started.add(1)
  await roundTrips("TLS", true)
}

export async function pull() {
  started.add(1)
  let bytes = 0
  let right = true
  const onData = (data) => { right &&= data[0] === bytes % 251; bytes += data.length }
  const peer = await open("PULL", { onData })
  await peer.socket.write("go")
  await peer.closed
  check(bytes, { "pulls are whole": () => right && bytes === 5000000 })
}

// Sleeps in the middle, with sockets open.
export async function sleepers() {
  started.add(1)
  const peer = await open("ECHO")
  await peer.socket.write("while asleep")
  sleep(Math.random())
  peer.socket.destroy()
  await peer.closed
}

// Leaves connections to whoever cleans up.
export async function leaks() {
  started.add(1)
  const peers = await Promise.all([open("SINK"), open("SINK"), open("SINK")])
  await Promise.all(peers.map(({ socket }) => socket.write("left behind")))
  sleep(0.1)
  throw "on purpose"
}

export async function refused() {
  started.add(1)
  check(await open("NOBODY"), { "nobody listens": (peer) => peer === null })
  sleep(0.05)
}

const FAULTS = ["RESET", "REPLY_RESET", "SLAM", "HALF_CLOSE", "CHUNKS"]

export async function faults() {
  started.add(1)
  const name = FAULTS[Math.floor(Math.random() * FAULTS.length)]
  let words = ""
  const peer = await open(name, { onData: (data) => (words += text(data)) })
  if (!peer) return
  peer.socket.setTimeout(5)
  if (name !== "SLAM") await peer.socket.write("hello").catch(() => {})
  await peer.closed
  if (name === "HALF_CLOSE" || name === "CHUNKS") check(words, { "last words arrive": (w) => w === "last words" })
}

// Stopped at any moment, with sockets open and handlers at work.
export async function cut() {
  started.add(1)
  const peer = await open("ECHO", { onData: (data, socket) => socket.write(data) })
  await peer.socket.write("round and round")
  await peer.closed
}

export function rest() {
  started.add(1)
  console.log("at rest")
  sleep(2)
}
