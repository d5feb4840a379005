// The least there is: connect, write, close.
//
//   senary run --with-echo examples/minimal.js
//   TCP_HOST=10.0.0.5 TCP_PORT=8080 senary run examples/minimal.js
import { Socket } from "k6/x/tcp"

export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT || "8080", __ENV.TCP_HOST || "localhost")
  await socket.write("Hello, server!")
  socket.destroy()
}
