// Redis: commands are pipelined, which means that all are sent before the first reply is here. Words are ASCII.
//
//   TCP_PORT=6379 senary run examples/protocols/redis.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

export default async function () {
  const redis = new Socket({ framing: "resp", encoding: "utf8" })
  const command = (...words) => {
    const parts = words.flatMap((word) => [`$${word.length}`, word])
    return redis.request([`*${words.length}`, ...parts, ""].join("\r\n"), { timeout: "5s", tags: { name: words[0] } })
  }
  await redis.connect({ port: __ENV.TCP_PORT || 6379, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const key = `visits:${__VU}`
  const commands = [["SET", key, "41"], ["INCR", key], ["GET", key], ["DEL", key], ["GET", key]]
  const replies = await Promise.all(commands.map((words) => command(...words)))
  check(replies, { "the replies are right": (r) => r.join("") === "+OK\r\n:42\r\n$2\r\n42\r\n:1\r\n$-1\r\n" })
  redis.destroy()
}
