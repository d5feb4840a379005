// Everything at once, for as long as SECONDS says; `soak.rs` starts the peers and compares the books at the end.
import { Socket } from "k6/x/tcp"
import { check, sleep } from "k6"
import { Counter } from "k6/metrics"

const SECONDS = Number(__ENV.SECONDS)
const PEERS = __ENV.PEERS.split(",")
/** The quiet before, in which descriptors are counted, and how long iterations may take to end. */
const [DAWN, GRACE] = [3, 10]

// The script's own books. Every attempt ends in one of three ways, unless its iteration is cut off.
const started = new Counter("started")
const attempts = new Counter("attempts")
const failed = new Counter("failed")
const givenUp = new Counter("given_up")
const written = new Counter("written")
const read = new Counter("read")

const shift = { startTime: `${DAWN}s`, gracefulStop: `${GRACE}s` }
const constant = (exec, vus) => ({ ...shift, executor: "constant-vus", vus, duration: `${SECONDS}s`, exec })
// Comes and goes, and is cut off at any moment.
const tides = (exec, vus, on, off) => ({
  ...shift, executor: "ramping-vus", startVUs: 0, gracefulRampDown: "0s", gracefulStop: "0s", exec,
  stages: Array.from({ length: Math.floor(SECONDS / (on + off)) }, () => [
    { duration: `${off}s`, target: 0 }, { duration: `${on}s`, target: vus }, { duration: "0s", target: 0 },
  ]).flat(),
})

export const options = {
  scenarios: {
    dawn: { executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "dawn" },
    echo: constant("echo", 10),
    tls: constant("tls", 2),
    pull: constant("pull", 2),
    endless: constant("endless", 2),
    deaf: constant("deaf", 2),
    sleepers: constant("sleepers", 20),
    leaks: constant("leaks", 5),
    handshakes: constant("handshakes", 5),
    unanswered: constant("unanswered", 2),
    faults: {
      ...shift, executor: "constant-arrival-rate", rate: 50, duration: `${SECONDS}s`, preAllocatedVUs: 20, maxVUs: 50,
      exec: "faults",
    },
    cut: tides("cut", 10, 2, 2),
    loops: tides("loops", 1, 1, 4),
    rest: {
      executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "rest", startTime: `${DAWN + SECONDS + GRACE + 2}s`,
    },
  },
  thresholds: {
    checks: ["rate==1"],
    // These make the metrics of each peer and of each scenario, for the books.
    ...Object.fromEntries(
      ["attempts", "failed", "given_up", "written", "read", "tcp_sockets"]
        .flatMap((metric) => PEERS.map((peer) => [`${metric}{peer:${peer}}`, ["count>=0"]])),
    ),
    ...Object.fromEntries(
      ["echo", "leaks", "deaf", "endless", "pull"]
        .flatMap((name) => [`data_sent{scenario:${name}}`, `data_received{scenario:${name}}`])
        .map((metric) => [metric, ["count>=0"]]),
    ),
  },
}

const text = (bytes) => String.fromCharCode(...bytes)
const port = (name) => Number(__ENV[`${name}_PORT`])
const any = (list) => list[Math.floor(Math.random() * list.length)]

// Connects, and keeps the books of it. Gives back the socket and the promise of its end, or the code of the failure.
async function open(peer, { tls = false, onData = () => {}, meanwhile = () => {} } = {}) {
  const socket = new Socket({ tags: { peer } })
  const events = []
  const closed = new Promise((resolve) => socket.on("close", () => { events.push("close"); resolve(events) }))
  socket.on("connect", () => events.push("connect"))
  socket.on("data", (data) => onData(data, socket))
  socket.on("error", () => events.push("error"))
  attempts.add(1, { peer })
  try {
    const connecting = socket.connect({ port: port(peer), host: "127.0.0.1", tls })
    meanwhile(socket)
    await connecting
  } catch (error) {
    ;(error.code === "ERR_SOCKET_CLOSED" ? givenUp : failed).add(1, { peer })
    return { code: error.code, events }
  }
  return { socket, closed, events }
}

// Closes, and keeps the books of what went over it.
async function close(peer, { socket, closed }) {
  socket.destroy()
  const events = await closed
  written.add(socket.bytes_written, { peer })
  read.add(socket.bytes_read, { peer })
  check(events, { "the last event is close": (e) => e.indexOf("close") === e.length - 1 && e[0] === "connect" })
}

async function roundTrips(name, tls) {
  let [wanted, got] = [0, 0]
  let wake
  const peer = await open(name, { tls, onData: (data) => { got += data.length; if (got >= wanted) wake() } })
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
  await close(name, peer)
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
  await close("PULL", peer)
}

// Takes some of what never ends.
export async function endless() {
  started.add(1)
  const enough = Math.random() * 20e6
  const onData = (_, socket) => { if (socket.bytes_read > enough) socket.destroy() }
  const peer = await open("ENDLESS", { onData })
  await peer.socket.write("go")
  await peer.closed
  await close("ENDLESS", peer)
}

// Writes more than a peer that does not read, or hardly does, will ever take.
export async function deaf() {
  started.add(1)
  const name = any(["DEAF", "SLOW"])
  const peer = await open(name)
  const writes = [new Uint8Array(8 << 20), "behind it"].map((data) => peer.socket.write(data))
  const codes = Promise.all(writes.map((write) => write.then(() => "written", (error) => error.code)))
  setTimeout(() => peer.socket.destroy(), Math.random() * 50)
  await peer.closed
  check(await codes, { "writes are cut off": (codes) => codes.every((code) => code === "EPIPE") })
  await close(name, peer)
  sleep(0.5)
}

// Sleeps in the middle, with sockets open.
export async function sleepers() {
  started.add(1)
  const peer = await open("SLEEPY")
  await peer.socket.write("while asleep")
  sleep(Math.random())
  await close("SLEEPY", peer)
}

// Leaves connections to whoever cleans up.
export async function leaks() {
  started.add(1)
  const peers = await Promise.all([open("SINK"), open("SINK"), open("SINK")])
  await Promise.all(peers.map(({ socket }) => socket.write("left behind")))
  for (const { socket } of peers) written.add(socket.bytes_written, { peer: "SINK" })
  sleep(0.1)
  switch (any(["throw", "reject", "handler"])) {
    case "throw":
      throw "on purpose"
    case "reject":
      return Promise.reject(new Error("on purpose"))
    case "handler": {
      const { socket } = peers[0]
      socket.on("timeout", () => { throw new Error("on purpose") })
      socket.setTimeout(1)
      await peers[1].closed
    }
  }
}

const HANDSHAKES = {
  EXPIRED: "ERR_TLS_CERT_EXPIRED",
  WRONG_NAME: "ERR_TLS_CERT_ALTNAME_INVALID",
  SELF_SIGNED: "ERR_TLS_CERT_UNKNOWN_AUTHORITY",
  GARBAGE: "ERR_TLS_NOT_TLS",
  TLS_RESET: "ECONNRESET",
  NOBODY: "ECONNREFUSED",
}

export async function handshakes() {
  started.add(1)
  const name = any(Object.keys(HANDSHAKES))
  const peer = await open(name, { tls: true })
  check(peer, {
    "handshakes fail as they should": ({ code, events }) => code === HANDSHAKES[name] && events.join() === "error",
  })
  sleep(0.05)
}

// Nobody answers the handshake, of TCP or of TLS; it is given up.
export async function unanswered() {
  started.add(1)
  const name = any(["SILENT", "MUTE"])
  const meanwhile = (socket) => setTimeout(() => socket.destroy(), Math.random() * 50)
  const peer = await open(name, { tls: name === "MUTE", meanwhile })
  check(peer, { "a connect can be given up": ({ code }) => code === "ERR_SOCKET_CLOSED" })
}

const FAULTS = ["RESET", "RESET_AT_ONCE", "REPLY_RESET", "SLAM", "HALF_CLOSE", "CHUNKS"]

export async function faults() {
  started.add(1)
  const name = any(FAULTS)
  let words = ""
  const peer = await open(name, { onData: (data) => (words += text(data)) })
  if (!peer.socket) return
  peer.socket.setTimeout(5)
  if (!["SLAM", "CHUNKS", "RESET_AT_ONCE"].includes(name)) await peer.socket.write("hello").catch(() => {})
  await peer.closed
  if (["REPLY_RESET", "HALF_CLOSE", "CHUNKS"].includes(name)) check(words, { "last words arrive": (w) => w === "last words" })
  await close(name, peer)
}

// Stopped at any moment, with sockets open and handlers at work.
export async function cut() {
  started.add(1)
  const peer = await open("CUT", { onData: (data, socket) => socket.write(data) })
  await peer.socket.write("round and round")
  await peer.closed
}

// Never gives the worker back by itself.
export async function loops() {
  started.add(1)
  if (Math.random() < 0.5) for (;;) {}
  for (;;) await null
}

export function dawn() {
  started.add(1)
  console.log("at dawn")
  sleep(2)
}

export function rest() {
  started.add(1)
  console.log("at rest")
  sleep(2)
}
