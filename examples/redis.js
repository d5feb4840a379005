// A Redis client over raw TCP: commands are pipelined, replies are taken in order, however they are cut into chunks.
// Texts are ASCII, so that characters are bytes.
//
//   TCP_PORT=6379 senary run examples/redis.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

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
    const parts = words.map(String).flatMap((word) => [`$${word.length}`, word])
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write([`*${words.length}`, ...parts, ""].join("\r\n")).catch(reject)
    })
  }
}

// The reply `text` begins with, and where it ends; undefined while it is incomplete.
function parse(text) {
  if (text && !"+-:$".includes(text[0])) throw new Error(`this is no reply of Redis: ${text.slice(0, 80)}`)
  const end = text.indexOf("\r\n") + 2
  if (end < 2) return undefined
  const line = text.slice(1, end - 2)
  if (text[0] === "+") return { value: line, end }
  if (text[0] === "-") return { error: line, end }
  if (text[0] === ":") return { value: Number(line), end }
  if (line === "-1") return { value: null, end }
  const last = end + Number(line)
  return text.length < last + 2 ? undefined : { value: text.slice(end, last), end: last + 2 }
}

export default async function () {
  const redis = new Redis()
  const limit = setTimeout(() => redis.close(), 5000) // rejects every command that is still waiting
  const key = `visits:${__VU}`
  const commands = [["SET", key, 41], ["INCR", key], ["GET", key], ["DEL", key], ["GET", key]]
  let replies
  try {
    await redis.connect(__ENV.TCP_PORT || "6379", __ENV.TCP_HOST || "localhost")
    replies = await Promise.all(commands.map((words) => redis.command(...words)))
  } finally {
    check(replies, { "the replies are right": (r) => JSON.stringify(r) === '["OK",42,"42",1,null]' })
    clearTimeout(limit)
    redis.close()
  }
}
