// HL7 version 2 over MLLP: admissions are sent, and each is acknowledged by its control id (MSH-10, MSA-2).
//
//   TCP_PORT=2575 senary run examples/protocols/hl7.js
import { Socket } from "senary/tcp"
import { check } from "k6"

export const options = { strict: true, thresholds: { checks: ["rate==1"], tcp_errors: ["count==0"] } }

const CONTROL_ID = { request: { pattern: /^MSH(?:\|[^|]*){8}\|([^|]*)/ }, reply: { pattern: /\rMSA\|\w\w\|([^|\r]*)/ } }
const PATIENT = "EVN|A01|20240501120000\rPID|1||4711||Doe^Jane||19700101|F\rPV1|1|I|WARD^1^2\r"
const admission = (id) => `MSH|^~\\&|SENARY|LOAD|HIS|WARD|20240501120000||ADT^A01|${id}|P|2.5\r${PATIENT}`

export default async function () {
  const his = new Socket({ framing: "mllp", encoding: "utf8", correlate: CONTROL_ID })
  await his.connect({ port: __ENV.TCP_PORT || 2575, host: __ENV.TCP_HOST || "localhost", timeout: "5s" })
  const ids = Array.from({ length: 5 }, (_, n) => `${__VU}-${__ITER}-${n}`)
  const replies = await Promise.all(ids.map((id) => his.request(admission(id), { timeout: "5s" })))
  check(replies, { "every message is accepted": (all) => all.every((reply, n) => reply.includes(`MSA|AA|${ids[n]}`)) })
  his.destroy()
}
