// A Redis client over raw TCP: commands are pipelined, replies are taken in order, however they are cut into chunks.
// Texts are ASCII, so that characters are bytes.
//
//   TCP_PORT=6379 senary run examples/redis.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

class Redis {
  #socket = new Socket({ tags: { service: "redis" } })
  #waiting = [] // commands without a reply, oldest first
  #text = ""

  constructor() {
    this.#socket.on("data", (data) => {
      this.#text += new TextDecoder().decode(data)
      for (let reply; (reply = parse(this.#text)); this.#text = this.#text.slice(reply.end)) {
        const { resolve, reject } = this.#waiting.shift()
        "error" in reply ? reject(new Error(reply.error)) : resolve(reply.value)
      }
    })
    this.#socket.on("close", () => this.#waiting.forEach(({ reject }) => reject(new Error("connection closed"))))
  }

  connect = (port, host) => this.#socket.connect(port, host)
  close = () => this.#socket.destroy()

  command(...words) {
    const reply = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
    const parts = words.map(String).flatMap((word) => [`$${word.length}`, word])
    this.#socket.write([`*${words.length}`, ...parts, ""].join("\r\n"))
    return reply
  }
}

// The reply `text` begins with, and where it ends; undefined while it is incomplete.
function parse(text) {
  const eol = text.indexOf("\r\n")
  if (eol < 0) return undefined
  const line = text.slice(1, eol)
  if (text[0] === "+") return { value: line, end: eol + 2 }
  if (text[0] === "-") return { error: line, end: eol + 2 }
  if (text[0] === ":") return { value: Number(line), end: eol + 2 }
  if (line === "-1") return { value: null, end: eol + 2 }
  const end = eol + 2 + Number(line)
  return text.length < end + 2 ? undefined : { value: text.slice(eol + 2, end), end: end + 2 }
}

export default async function () {
  const redis = new Redis()
  await redis.connect(__ENV.TCP_PORT || "6379", __ENV.TCP_HOST || "localhost")
  const key = `visits:${__VU}`
  const commands = [["SET", key, 41], ["INCR", key], ["GET", key], ["DEL", key], ["GET", key]]
  const replies = await Promise.all(commands.map((words) => redis.command(...words)))
  check(replies, { "the replies are right": (r) => JSON.stringify(r) === '["OK",42,"42",1,null]' })
  redis.close()
}
