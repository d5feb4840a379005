// Iterations that only count, check and compute.
import { check } from "k6"
import { Counter, Trend } from "k6/metrics"

const counter = new Counter("orders"), took = new Trend("took")

export const options = {
  scenarios: {
    fast: { executor: "shared-iterations", vus: 10, iterations: 100000 },
    computing: { executor: "per-vu-iterations", exec: "computing", vus: 2, iterations: 300 },
    steady: { executor: "constant-arrival-rate", rate: 5000, duration: "2s", preAllocatedVUs: 20 },
  },
}

export default function () {
  counter.add(1)
  took.add(__ITER % 100, { kind: `${__ITER % 7}` })
  check(__ITER, { "is a number": (n) => n >= 0 })
}

export function computing() {
  const words = Array.from({ length: 200 }, (_, n) => ({ name: `word ${n}`, weight: (n * 7919) % 101 }))
  words.sort((a, b) => a.weight - b.weight || (a.name < b.name ? -1 : 1))
  const text = JSON.stringify(words)
  const count = new Map()
  for (const { name } of JSON.parse(text)) {
    for (const letter of name) count.set(letter, (count.get(letter) ?? 0) + 1)
  }
  took.add(/"weight":(\d+)/.exec(text)[1] * 1)
}
