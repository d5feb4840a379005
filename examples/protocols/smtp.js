// SMTP with STARTTLS: a mail is sent; the whole dialogue is requests, each answered with the code it needs.
//
//   TCP_HOST=mail.example.com TCP_PORT=587 senary run examples/protocols/smtp.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

export default async function () {
  const mail = new Socket({ framing: "smtp", encoding: "utf8" })
  const say = async (text, code) => {
    const name = text.split(/[ :\r]/)[0]
    const reply = await mail.request(text, { timeout: "10s", tags: { name } })
    check(reply, { [`${name} is answered with ${code}`]: (r) => r.startsWith(code) })
  }
  await mail.connect({ port: __ENV.TCP_PORT || 587, host: __ENV.TCP_HOST || "localhost", timeout: "10s" })
  check(await mail.read({ timeout: "10s" }), { "the server is ready": (greeting) => greeting.startsWith("220") })
  await say("EHLO load.example.com", "250")
  await say("STARTTLS", "220")
  await mail.startTls()
  await say("EHLO load.example.com", "250")
  await say("MAIL FROM:<sender@example.com>", "250")
  await say("RCPT TO:<receiver@example.com>", "250")
  await say("DATA", "354")
  await say("Subject: Hello\r\n\r\nA mail from a load test.\r\n.", "250")
  await say("QUIT", "221")
  mail.destroy()
}
