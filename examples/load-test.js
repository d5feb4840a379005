// A load test: new round trips start at a fixed rate, however slow the answers are, and thresholds judge the result.
//
//   senary run --with-echo examples/load-test.js
//   RATE=1000 DURATION=1m TCP_HOST=10.0.0.5 TCP_PORT=8080 senary run examples/load-test.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"
import exec from "k6/execution"
import { Trend } from "k6/metrics"

const roundTrip = new Trend("round_trip", true)

export const options = {
  strict: true, // a run that proves nothing is a failure, too
  scenarios: {
    round_trips: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 100),
      timeUnit: "1s",
      duration: __ENV.DURATION || "5s",
      preAllocatedVUs: 20,
      maxVUs: 200,
    },
  },
  thresholds: {
    checks: ["rate>0.99"],
    round_trip: ["p(95)<250"],
    tcp_errors: [{ threshold: "count<10", abortOnFail: true }],
  },
}

// Milliseconds, with fractions.
const now = () => exec.instance.currentTestRunDuration

export default async function () {
  const message = `iteration ${exec.scenario.iterationInTest}`
  const socket = new Socket({ tags: { service: "echo" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  // No answer by then is a failed check, and not an iteration that hangs until the test ends.
  const limit = setTimeout(() => socket.destroy(), 5000)
  let sent = 0
  let answer = ""
  socket.on("data", (data) => {
    answer += new TextDecoder().decode(data)
    if (answer.length < message.length) return
    roundTrip.add(now() - sent)
    socket.destroy()
  })
  try {
    await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    sent = now()
    await socket.write(message)
    await closed
  } finally {
    check(answer, { "the answer is the message": (a) => a === message })
    clearTimeout(limit)
  }
}
