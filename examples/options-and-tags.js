// Tags of the socket, of the connection and of a single write, and thresholds on the parts they make of a metric.
//
//   senary run --with-echo examples/options-and-tags.js
import { Socket } from "k6/x/tcp"
import { check } from "k6"

export const options = {
  strict: true,
  vus: 2,
  iterations: 4,
  tags: { release: "1.2.3" },
  thresholds: {
    checks: ["rate==1"],
    "tcp_sockets{service:orders,region:north}": ["count==4"],
    "tcp_writes{kind:login}": ["count==4"],
    "tcp_writes{kind:order}": ["count==8"],
    "tcp_errors{service:orders}": ["count==0"],
  },
}

export default async function () {
  const socket = new Socket({ tags: { service: "orders" } })
  const closed = new Promise((resolve) => socket.on("close", resolve))
  const limit = setTimeout(() => socket.destroy(), 5000)
  const received = []
  socket.on("data", (data) => {
    received.push(...data)
    if (received.length >= 14) socket.destroy()
  })
  try {
    await socket.connect({
      port: Number(__ENV.TCP_PORT || 8080),
      host: __ENV.TCP_HOST || "localhost",
      tags: { region: "north" },
    })
    await socket.write("login\n", { tags: { kind: "login" } })
    await socket.write("b3JkZXI=", { encoding: "base64", tags: { kind: "order" } })
    await socket.write("01ff0a", { encoding: "hex", tags: { kind: "order" } })
    await closed
  } finally {
    check(String.fromCharCode(...received), { "all came back": (text) => text === "login\norder\x01\xff\n" })
    clearTimeout(limit)
  }
}
