// Cost of a sample: 10 VUs add to a counter under SERIES different tag values in turn.
import { Counter } from "k6/metrics"

const counter = new Counter("samples")
const SERIES = Number(__ENV.SERIES)
const EACH = 1000
let at = 0

export const options = {
  scenarios: { series: { executor: "shared-iterations", vus: 10, iterations: 1000, maxDuration: "120s" } },
}

export default function () {
  for (let i = 0; i < EACH; i++) {
    counter.add(1, { key: `${at}` })
    at = (at + 1) % SERIES
  }
}
