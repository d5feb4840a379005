// Sends a mail over raw TCP: a dialogue of lines, with replies of several lines.
//
//   TCP_HOST=mail.example.com TCP_PORT=25 senary run examples/smtp.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

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
  let wanted = () => {}
  socket.on("data", (data) => {
    text += new TextDecoder().decode(data)
    wanted()
  })
  return () =>
    new Promise((resolve) => {
      wanted = () => {
        const whole = text.match(/^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/)
        if (!whole) return
        text = text.slice(whole[0].length)
        wanted = () => {}
        resolve(Number(whole[1]))
      }
      wanted()
    })
}

export default async function () {
  const socket = new Socket({ tags: { service: "smtp" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const reply = replies(socket)
  await socket.connect(__ENV.TCP_PORT || "25", __ENV.TCP_HOST || "localhost")
  check(await reply(), { "the server greets": (code) => code === 220 })
  for (const { say, expect } of DIALOGUE) {
    await socket.write(`${say}\r\n`)
    const code = await reply()
    check(code, { [`${say.split(/[ :\r]/)[0]} is answered with ${expect}`]: () => code === expect })
    if (code !== expect) {
      socket.destroy()
      break
    }
  }
  await closed
}
