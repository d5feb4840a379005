// Several connections of one virtual user, open at the same time.
//
//   senary run --with-echo examples/several-connections.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"] } }

const CONNECTIONS = 10

// Opens a connection, says something, and gives back the answer: what has come until the connection is closed, by
// this side, by the server, or after five seconds.
async function ask(question) {
  const socket = new Socket({ tags: { question } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const limit = setTimeout(() => socket.destroy(), 5000)
  let answer = ""
  socket.on("data", (data) => {
    answer += new TextDecoder().decode(data)
    if (answer.length >= question.length) socket.destroy()
  })
  try {
    await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
    await socket.write(question)
    await closed
  } catch (error) {
    return `${error}`
  } finally {
    clearTimeout(limit)
  }
  return answer
}

export default async function () {
  const questions = Array.from({ length: CONNECTIONS }, (_, n) => `connection ${n}`)
  const answers = await Promise.all(questions.map(ask))
  check(answers, { "each connection got its own answer": (a) => a.every((answer, n) => answer === questions[n]) })
}
