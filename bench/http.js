// Cost of a request: VUS connections, N requests one after the other on each.
import http from "k6/http"

const url = __ENV.URL, N = Number(__ENV.N)

export const options = {
  insecureSkipTLSVerify: true,
  scenarios: {
    requests: { executor: "per-vu-iterations", vus: Number(__ENV.VUS), iterations: N, maxDuration: "120s" },
  },
}

export default function () {
  http.get(url)
}
