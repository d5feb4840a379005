// Cost of failures: N times WHAT, under KINDS names in turn; each fails if FAILS is 1.
import { check } from "k6"
import http from "k6/http"
import { Socket } from "k6/x/tcp"

const { WHAT, URL, PORT } = __ENV
const N = Number(__ENV.N), KINDS = Number(__ENV.KINDS), FAILS = __ENV.FAILS === "1"
// An iteration that throws is one failure; the others fail so many times.
const EACH = WHAT === "exceptions" ? 1 : 100

export const options = {
  scenarios: {
    failures: { executor: "per-vu-iterations", exec: WHAT, vus: 1, iterations: N / EACH, maxDuration: "600s" },
  },
}

// Without digits: exceptions that differ only in numbers are one kind.
const letters = (n) => [...`${n}`].map((digit) => "abcdefghij"[digit]).join("")
const names = Array.from({ length: KINDS }, (_, n) => `kind ${letters(n)}`)
const tagged = names.map((name) => ({ tags: { name } }))
const conditions = names.map((name) => ({ [name]: (status) => status === 200 }))
const status = FAILS ? 500 : 200
let at = 0

const next = (list) => list[at++ % KINDS]

export function checks() {
  for (let i = 0; i < EACH; i++) check(status, next(conditions))
}

export function exceptions() {
  const error = new Error(next(names))
  if (FAILS) throw error
}

// Nobody listens at PORT, unless it is the server's.
export async function sockets() {
  for (let i = 0; i < EACH; i++) {
    const socket = new Socket(next(tagged))
    await socket.connect(PORT, "127.0.0.1").catch(() => {})
    socket.destroy()
  }
}

// The answer is the same, and was expected or not.
http.setResponseCallback(http.expectedStatuses(FAILS ? 418 : 200))

export function requests() {
  for (let i = 0; i < EACH; i++) http.get(URL, next(tagged))
}

// There is no answer.
export const refused = requests
