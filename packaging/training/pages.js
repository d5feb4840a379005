// Pages over kept connections, with what scripts usually do with them.
import http from "k6/http"
import { check, group } from "k6"

export const options = { scenarios: { pages: { executor: "per-vu-iterations", vus: 10, iterations: 60 } } }

export default function () {
  group("shop", () => {
    const page = http.get(`${__ENV.URL}/list?page=${__ITER}`, { tags: { name: "list" } })
    check(page, { "status is 200": (r) => r.status === 200, "has items": (r) => r.json("items.0.id") === 1 })
    const order = http.post(`${__ENV.URL}/order`, JSON.stringify({ id: __ITER, items: [1, 2, 3] }), {
      headers: { "Content-Type": "application/json" },
    })
    check(order, { accepted: (r) => r.json().ok })
  })
}
