// How late iterations of an arrival rate start: against the ideal grid of the rate, laid through the earliest start.
import exec from "k6/execution"
import { Trend } from "k6/metrics"

const offset = new Trend("start_offset", true)
const RATE = Number(__ENV.RATE)
const now = () => performance.timeOrigin + performance.now()

export const options = {
  summaryTrendStats: ["min", "med", "p(99)", "max"],
  scenarios: {
    punctual: {
      executor: "constant-arrival-rate",
      rate: RATE,
      duration: __ENV.DURATION || "30s",
      preAllocatedVUs: 50,
    },
  },
}

export function setup() {
  return now()
}

export default function (began) {
  offset.add(now() - began - (exec.scenario.iterationInTest * 1000) / RATE)
}
