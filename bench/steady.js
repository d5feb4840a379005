// A steady load of 20,000 iterations a second, each with a counter and a trend of its own.
import { Counter, Trend } from "k6/metrics"

const counter = new Counter("orders"), took = new Trend("took", true)

export const options = {
  scenarios: { steady: { executor: "constant-arrival-rate", rate: 20000, duration: "10s", preAllocatedVUs: 50 } },
}

export default function () {
  counter.add(1)
  took.add(__ITER % 100)
}
