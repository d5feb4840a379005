// A shop under load: orders at a fixed rate, logins by a few customers, metrics of its own. Look at it with a report:
//
//   senary run --with-echo --report shop.html examples/shop.js
//   DURATION=5m senary run --with-echo --dashboard examples/shop.js
import { Socket } from "senary/tcp"
import { check, group, sleep } from "k6"
import { Counter, Gauge, Trend } from "k6/metrics"

const duration = __ENV.DURATION || "10s"

export const options = {
  strict: true,
  scenarios: {
    orders: { executor: "constant-arrival-rate", rate: 100, duration, preAllocatedVUs: 20, maxVUs: 60, gracefulStop: "5s" },
    logins: { executor: "constant-vus", exec: "login", vus: 5, duration, gracefulStop: "5s" },
  },
  thresholds: {
    tcp_req_failed: ["rate<0.01"],
    "tcp_req_duration{scenario:orders}": ["p(95)<25"],
    tcp_socket_connecting: ["p(95)<20"],
    checks: ["rate>0.95"],
  },
}

const value = new Trend("order_value")
const items = new Counter("items_sold")
const basket = new Gauge("basket_size")

const shop = { host: __ENV.TCP_HOST || "localhost", port: __ENV.TCP_PORT || 8080, timeout: "2s" }

// One connection for one customer; whatever happens, it is closed.
async function visit(talk) {
  const socket = new Socket({ framing: "u32", encoding: "utf8" })
  try {
    await socket.connect(shop)
    return await talk((text) => socket.request(text, { timeout: "2s" }))
  } catch (error) {
    return `${error}`
  } finally {
    socket.destroy()
  }
}

export default async function () {
  const size = 1 + Math.floor(Math.random() * 9)
  const question = `order ${size} items`
  const reply = await visit((ask) => ask(question))
  group("order", () => check(reply, { "the order was confirmed": (r) => r === question }))
  if (reply !== question) return
  items.add(size)
  basket.add(size)
  value.add(size * (5 + Math.random() * 20))
}

export async function login() {
  const reply = await visit(async (ask) => {
    await ask("hello")
    sleep(0.5) // the customer types
    return await ask("password")
  })
  group("login", () => check(reply, { "the customer is logged in": (r) => r === "password" }))
  sleep(0.2)
}
