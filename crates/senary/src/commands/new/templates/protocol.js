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
  strict: true, // a run that proves nothing is a failure, too
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
  // A server that says nothing, or not enough, must not hold us up.
  const limit = setTimeout(() => socket.destroy(), 5000)
  let answer = ""
  let sent = 0

  // Data arrives in pieces of any size: an answer is complete when its end has come.
  socket.on("data", (data) => {
    answer += new TextDecoder().decode(data)
    if (answer.endsWith("\n")) {
      answered.add(performance.now() - sent)
      socket.destroy()
    }
  })

  try {
    await socket.connect(port, host)
    sent = performance.now()
    await socket.write(line)
    await closed
  } finally {
    // Also when something went wrong: what is not checked cannot fail.
    check(answer, { "the answer is what was sent": (text) => text === line })
    clearTimeout(limit)
  }
  sleep(0.5)
}
