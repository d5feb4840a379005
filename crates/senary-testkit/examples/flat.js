// Samples over the same series, all the time: groups, tags with many values, sub-metrics. Logs when EARLY of the ITERATIONS
// are done, and when all are. Most samples are of trends, which keep their values until there are a million: EARLY must be
// so large that each of them has these by then.
import { check, group, sleep } from "k6"
import exec from "k6/execution"
import { Counter, Gauge, Rate, Trend } from "k6/metrics"

const N = Number(__ENV.ITERATIONS)
const [hits, level, odd, lag] = [new Counter("hits"), new Gauge("level"), new Rate("odd"), new Trend("lag", true)]

export const options = {
  scenarios: {
    flat: { executor: "shared-iterations", vus: 4, iterations: N, maxDuration: "2h" },
  },
  thresholds: {
    "hits{kind:0}": ["count>0"],
    "lag{kind:1}": ["p(95)>=0"],
    "lag{group:::g1}": ["max>=0"],
    "odd{id:7}": ["rate>=0"],
  },
}

// A thousand samples.
export default function () {
  const number = exec.scenario.iterationInInstance
  for (let g = 0; g < 2; g++) {
    group(`g${g}`, () => {
      for (let i = 0; i < 125; i++) {
        const tags = { kind: i % 2, id: (number * 125 + i) % 1000 }
        lag.add((number + i) % 1013, tags)
        lag.add((number * i) % 997, tags)
        lag.add(i / 7)
        if (i % 4 === 0) hits.add(1, tags)
        else if (i % 4 === 1) level.add(i)
        else if (i % 4 === 2) odd.add(number % 2, tags)
        else check(i, { "is small": (v) => v < 100 })
      }
    })
  }
  if (number === Number(__ENV.EARLY)) {
    console.log("the early ones are done")
  }
  if (number === N - 1) {
    console.log("all are done")
    sleep(1)
  }
}
