// Memory: each VU has made two requests, keeps its connection, and sleeps.
import http from "k6/http"
import { sleep } from "k6"

export const options = {
  insecureSkipTLSVerify: true,
  scenarios: {
    idle: { executor: "per-vu-iterations", vus: Number(__ENV.VUS), iterations: 1, maxDuration: "120s" },
  },
}

export default function () {
  for (let i = 0; i < 2; i++) {
    const response = http.get(__ENV.URL)
    if (response.status !== 200) throw new Error(response.error)
  }
  sleep(4)
}
