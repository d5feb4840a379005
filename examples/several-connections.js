// Several connections of one virtual user, open at the same time.
//
//   senary run --with-echo examples/several-connections.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

const CONNECTIONS = 10

// Opens a connection, says something, and gives back the answer.
function ask(question) {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ tags: { question } })
    let answer = ""
    socket.on("data", (data) => {
      answer += new TextDecoder().decode(data)
      if (answer.length >= question.length) socket.destroy()
    })
    socket.on("error", reject)
    socket.on("close", () => resolve(answer))
    // A failed connect also fires "error", which rejects.
    socket
      .connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
      .then(() => socket.write(question))
      .catch(reject)
  })
}

export default async function () {
  const questions = Array.from({ length: CONNECTIONS }, (_, n) => `connection ${n}`)
  const answers = await Promise.all(questions.map(ask))
  check(answers, { "each connection got its own answer": (a) => a.every((answer, n) => answer === questions[n]) })
}
