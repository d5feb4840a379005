// A test of a TCP server: connects, sends a line, waits for the answer, and closes. Run it against the built-in
// echo server with
//
//   senary run --with-echo {{ .ScriptName }}
//
// or against your own with
//
//   senary run -e TCP_HOST=10.0.0.5 -e TCP_PORT=7000 {{ .ScriptName }}
import { check, sleep } from "k6"
import { Trend } from "k6/metrics"
import { Socket } from "k6/x/tcp"

const host = __ENV.TCP_HOST || "localhost"
const port = __ENV.TCP_PORT || "8080"

// Milliseconds from sending a line to its answer.
const answered = new Trend("answered", true)

export const options = {
  vus: 2,
  duration: "5s",
  thresholds: {
    checks: ["rate>0.99"],
    answered: ["p(95)<100"],
  },
}

export default async function () {
  const line = `hello from VU ${__VU}\n`
  const socket = new Socket()
  const closed = new Promise((resolve) => socket.on("close", resolve))
  let text = ""
  let sent = 0

  // Data arrives in pieces of any size: an answer is complete when its end has come.
  socket.on("data", (data) => {
    text += new TextDecoder().decode(data)
    if (text.endsWith("\n")) {
      answered.add(Date.now() - sent)
      check(text, { "the answer is what was sent": (answer) => answer === line })
      socket.destroy()
    }
  })
  socket.on("error", (error) => {
    check(error, { "the answer is what was sent": () => false })
    console.error(`${error}`)
  })
  // A server that says nothing must not hold us up.
  socket.on("timeout", () => socket.destroy())
  socket.setTimeout(5000)

  try {
    await socket.connect(port, host)
    sent = Date.now()
    await socket.write(line)
  } catch {
    // The error handler has counted it.
    socket.destroy()
    return
  }
  await closed
  sleep(0.5)
}
