// Every name of api/senary-tcp.d.ts, used as it is declared. It is compiled, and not run.
import {
  Socket, type ConnectOptions, type Data, type DelimiterFraming, type Duration, type Field, type FixedFraming, type Framing,
  type FramingDescription, type FramingName, type HeaderFraming, type IdleFraming, type Key, type LengthFraming, type LineFraming,
  type Matcher, type Message, type Patch, type PatternFraming, type PumpOptions, type PumpResult, type RequestOptions,
  type SocketEvents, type SocketOptions, type TcpInfo, type TCPError, type Template, type TlsInfo, type TlsOptions,
} from "senary/tcp"
import { Socket as Documented } from "k6/x/tcp"

const names: FramingName[] = [
  "lines", "crlf", "nul", "json", "u8", "u16", "u16le", "u32", "u32le", "varint", "resp", "smtp", "memcached", "nats", "stomp", "fix",
  "mllp", "lsp", "netstring", "syslog", "postgres", "mysql", "mongodb", "cassandra", "mqtt", "amqp", "amqp1", "smpp", "kafka", "thrift",
  "iso8583", "dns", "modbus", "diameter", "ldap", "tpkt",
]

const delimiter: DelimiterFraming = { delimiter: ["\r\n", new Uint8Array(1)], start: "<", keep: true, escape: { byte: 1, map: [[2, 3]] } }
const pattern: PatternFraming = { end: /x$/ }
const fixed: FixedFraming = { fixed: 3 }
const lengths: LengthFraming[] = [
  { length: { at: 0, bytes: 2, as: "uint", endian: "big", mask: 0xfff, adjust: -2 }, header: "strip" },
  { length: { at: { after: "=" }, bytes: { until: 1, max: 5 }, as: "decimal", endian: "little" }, header: "keep" },
  { length: { as: "varint" } }, { length: { as: "ber" } }, { length: { bytes: 2, as: "hex" } }, { length: { bytes: 2, as: "bcd" } },
]
const headers: HeaderFraming = { headers: { end: "\n\n", length: "Content-Length" }, otherwise: { delimiter: "\0" }, header: "strip" }
const line: LineFraming = { line: { count: /(\d+)$/, adjust: 2, until: /^END/ } }
const idle: IdleFraming = { idle: 20 }
const described: FramingDescription[] = [
  { ...delimiter, max: "64KiB", magic: "ok", trailer: "!", empty: "deliver" }, { ...pattern, max: 5 }, { ...fixed, empty: "skip" },
  { ...lengths[0], empty: "echo" }, headers, line, idle,
]
const framings: Framing[] = [...names, ...described, (received: Uint8Array) => received.length, { receive: "lines", send: "crlf" }]

const field: Field = { offset: 0, bytes: 4, endian: "little" }
const keys: Key[] = [field, { offset: 1, bytes: 1 }, { offset: 1, bytes: 2 }, { offset: 1, bytes: 8 }, { pattern: /id=(\d+)/ }, (message: Message) => message.length]
const data: Data[] = ["text", new ArrayBuffer(1), new DataView(new ArrayBuffer(1))]
const durations: Duration[] = [5, "1.5s"]
const matchers: Matcher[] = [{ offset: 1, equals: "a" }, { equals: data[1] }, { contains: "b" }, (message) => message.length > 1]

const options: SocketOptions = {
  tags: { a: 1, b: true, c: null }, framing: framings[0], encoding: "utf8", correlate: { ...field, auto: true, reply: field },
  latency: { ...field, unit: "ms", clock: "wall" }, allowHalfOpen: true, scope: "vu", tcpInfo: "1s", noDelay: false, receiveBuffer: 1, sendBuffer: 1,
}
const others: SocketOptions[] = [
  { correlate: keys[0], encoding: "ascii", latency: { ...field, unit: "us", clock: "monotonic" }, scope: "iteration", tcpInfo: true },
  { correlate: { request: keys[1], reply: keys[4] }, encoding: "latin1", latency: { ...field, unit: "ns" } }, { encoding: "hex" }, { encoding: "base64" },
]
const tls: TlsOptions = {
  servername: "a", alpn: ["b"], ca: "c", cert: "d", key: "e", password: "f", insecureSkipVerify: true, minVersion: "tls1.2", maxVersion: "tls1.3", resume: true,
}
const targets: ConnectOptions[] = [
  { port: "1", host: "h", timeout: durations[1], localAddress: "127.0.0.1", family: 4, tls: true, proxyProtocol: 1, tags: { a: 1 } },
  { path: "@name", tls, family: 6, proxyProtocol: { version: 2, source: "192.0.2.1:1", destination: "192.0.2.2:2" } }, { port: 1, proxyProtocol: 2 },
]
const request: RequestOptions = { timeout: 5, tags: { name: "n" }, inOrder: true }

const patches: Patch[] = [
  { offset: 0, bytes: 4, value: "sequence", as: "binary" }, { offset: 4, bytes: 4, value: "vu", as: "little" },
  { offset: 8, bytes: 4, value: "iteration", as: "decimal" }, { offset: 12, bytes: 4, value: "time", as: "hex" },
  { offset: 16, bytes: 4, value: "random" }, { offset: 20, bytes: 4, value: { from: 1, to: 6 } },
]
const template: Template = { data: new Uint8Array(24), patches }
const pumps: PumpOptions[] = [
  { message: template, window: 16, count: 5, expect: { contains: "a" }, timeout: "5s", tags: { name: "n" } },
  { message: ["a", data[1], template], rate: "6000/m", arrival: "poisson", duration: "1s", reply: { replies: 2 } },
  { message: "a", rate: 100, arrival: "uniform", count: 1, reply: { until: { offset: 1, equals: "a" } } }, { message: "a", count: 1, reply: "none" },
]

export default async function () {
  const socket = new Socket(options)
  const documented: Documented = new Socket(null)
  socket.on("message", (message: Message) => message.length)
  socket.on("end", () => {})
  socket.on("data", (bytes) => bytes.byteLength)
  socket.on("error", (error: TCPError) => ["request", "end", "startTls", "connect", "write", "read"].includes(error.method) && error.code === "ETIMEDOUT")
  const listener: SocketEvents["message"] = (message) => void message
  socket.off("message")
  const nothing: null = (await socket.connect(1), await socket.connect("1", "h"), await socket.connect(targets[0]))
  await socket.write("x", { encoding: "hex", tags: { a: 1 } })
  await socket.send(data[0], { tags: { a: 1 } })
  const next: Message | null = await socket.read({ timeout: "1s" })
  const exactly: Message = await socket.read(5, { timeout: 5 })
  for await (const message of socket) listener(message)
  const iterator = socket[Symbol.asyncIterator]()
  const one: Message = await socket.request("x", request)
  const several: Message[] = await socket.request("x", { replies: 2 })
  const all: Message[] = await socket.request("x", { ...request, until: matchers[0] })
  const result: PumpResult = await socket.pump(pumps[0])
  const { min, avg, med, max, "p(90)": p90, "p(95)": p95, "p(99)": p99 } = result.latency
  const figures: number[] = [result.sent, result.received, result.failed, result.duration, min, avg, med, max, p90, p95, p99]
  await socket.startTls({ ...tls, timeout: "5s" })
  const secured: TlsInfo | undefined = socket.tls
  const texts = [secured?.version, secured?.cipher, secured?.alpn, secured?.resumed, secured?.peer.subject, secured?.peer.issuer]
  const dates = [secured?.peer.notBefore, secured?.peer.notAfter, secured?.peer.fingerprint256]
  const info: TcpInfo | undefined = socket.tcpInfo()
  if (info) figures.push(info.rtt, info.rttVariance, info.minRtt, info.retransmits, info.unacked, info.congestionWindow, info.deliveryRate)
  const message: Message = await socket.once("message")
  const error: TCPError = await socket.once("error")
  socket.pause()
  socket.resume()
  socket.throttle({ read: 1000, write: 0 })
  socket.framing = framings[1]
  const framing: Framing | undefined = socket.framing
  await socket.end("x")
  socket.reset()
  const closed: void = await socket.closed
  console.log(socket.writable_length.toFixed(), nothing, next, exactly, iterator, one, several.length, all.length, figures, texts, dates, message, error, framing, closed, documented, others)
}
