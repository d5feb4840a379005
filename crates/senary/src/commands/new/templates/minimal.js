// A test to start from. Run it with
//
//   senary run {{ .ScriptName }}
//
// `senary new --template protocol` writes one that talks to a server over TCP.
import { check, sleep } from "k6"

// How much load, for how long, and what must hold at the end. All options:
// https://grafana.com/docs/k6/latest/using-k6/k6-options/
export const options = {
  strict: true, // a run that proves nothing is a failure, too
  vus: 2,
  duration: "5s",
  thresholds: {
    checks: ["rate>0.99"],
  },
}

// What every virtual user does, again and again until the time is over. Replace it by what you want to test.
export default function () {
  const started = performance.now()
  sleep(0.5)
  check(performance.now() - started, {
    "woke up in time": (milliseconds) => milliseconds < 1000,
  })
}
