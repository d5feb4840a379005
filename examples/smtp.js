// Sends a mail over raw TCP: a dialogue of lines, with replies of several lines.
//
//   TCP_HOST=mail.example.com TCP_PORT=25 senary run examples/smtp.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

const DIALOGUE = [
  { say: "EHLO load.example.com", expect: 250 },
  { say: "MAIL FROM:<sender@example.com>", expect: 250 },
  { say: "RCPT TO:<receiver@example.com>", expect: 250 },
  { say: "DATA", expect: 354 },
  { say: "Subject: Hello\r\n\r\nA mail from a load test.\r\n.", expect: 250 },
  { say: "QUIT", expect: 221 },
]

// A function that waits for the next whole reply: its last line has a blank behind the code, the others a dash.
function replies(socket) {
  let text = ""
  let isClosed = false
  let look = () => {}
  socket.on("data", (data) => {
    text += new TextDecoder().decode(data)
    look()
  })
  socket.on("close", () => {
    isClosed = true
    look()
  })
  return () =>
    new Promise((resolve, reject) => {
      look = () => {
        const whole = text.match(/^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/)
        if (whole) text = text.slice(whole[0].length)
        if (whole) resolve(Number(whole[1]))
        else if (isClosed) reject(new Error("no reply: the connection is closed"))
      }
      look()
    })
}

async function step(name, expect, reply) {
  const code = await reply.catch((error) => `${error}`)
  const answered = check(code, { [`${name} is answered with ${expect}`]: () => code === expect })
  if (!answered) throw new Error(`${name} is not answered with ${expect}: ${code}`)
}

export default async function () {
  const socket = new Socket({ tags: { service: "smtp" } })
  const limit = setTimeout(() => socket.destroy(), 10000) // for the whole dialogue
  const reply = replies(socket)
  try {
    await step("connect", 220, socket.connect(__ENV.TCP_PORT || "25", __ENV.TCP_HOST || "localhost").then(reply))
    for (const { say, expect } of DIALOGUE) {
      await step(say.split(/[ :\r]/)[0], expect, socket.write(`${say}\r\n`).then(reply))
    }
  } finally {
    clearTimeout(limit)
    socket.destroy()
  }
}
