// Calls of the language and of the modules that take long for large input, one after the other, in one virtual user. Another
// one of the same worker looks how long it has to wait meanwhile. See stalls.py.
import { sleep } from "k6"
import crypto from "k6/crypto"
import { b64decode, b64encode } from "k6/encoding"
import { parseHTML } from "k6/html"

const MB = Number(__ENV.MB || 10), N = MB * 1e6, ROUNDS = Number(__ENV.ROUNDS || 3)

export const options = {
  scenarios: {
    busy: { executor: "per-vu-iterations", vus: 1, iterations: 1, maxDuration: "20m", exec: "busy" },
    other: { executor: "per-vu-iterations", vus: 1, iterations: 1, maxDuration: "20m", exec: "other" },
  },
}

// What is made beforehand does not count. An element of an array takes 16 bytes, one of a text a byte or two.
const elements = N / 16
const numbers = () => Array.from({ length: elements }, (_, i) => (i * 7919) % 1000003)
const doubles = () => Float64Array.from({ length: N / 8 }, (_, i) => (i * 7919) % 1000003)
const bytes = () => new Uint8Array(N).fill(65)
const latin = () => flat("ab c,".repeat(N / 5))
const wide = () => flat("€b c,".repeat(N / 10))
const accents = () => flat("e\u0301".repeat(N / 4))
const objects = () => Array.from({ length: N / 100 }, (_, i) => ({ id: i, name: `user${i}`, tags: ["a", "b"] }))
const object = () => { const o = {}; for (let i = 0; i < N / 100; i++) o[`key${i}`] = i; return o }
const big = () => 3n ** 600000n
const flat = (text) => { text.charCodeAt(0); return text }

const cases = {
  // text
  "indexOf, 8 bits": [latin, (s) => s.indexOf("ab c;")],
  "indexOf, 16 bits": [wide, (s) => s.indexOf("€b c;")],
  "indexOf, 16 bits, long needle": [() => [flat("€".repeat(N / 2)), flat("€".repeat(N / 8) + "x")], ([s, n]) => s.indexOf(n)],
  "lastIndexOf": [() => [flat("€".repeat(N / 2)), flat("x" + "€".repeat(N / 8))], ([s, n]) => s.lastIndexOf(n)],
  "split": [latin, (s) => s.split(",")],
  "split by an expression": [latin, (s) => s.split(/,/)],
  "replaceAll": [latin, (s) => s.replaceAll(",", ";")],
  "replace, expression": [latin, (s) => s.replace(/,/g, ";")],
  "replace, expression, nothing": [latin, (s) => s.replace(/,/g, "")],
  "match": [latin, (s) => s.match(/c/g)],
  "regular expression, no match": [latin, (s) => /x$/.test(s)],
  "normalize": [accents, (s) => s.normalize("NFC")],
  "normalize, many marks": [() => flat("a" + "\u0315\u0316".repeat(N / 4)), (s) => s.normalize("NFD")],
  "localeCompare": [accents, (s) => s.localeCompare(s + "")],
  "toUpperCase": [latin, (s) => s.toUpperCase()],
  "padEnd": [() => 0, () => "x".padEnd(N, "abc")],
  "repeat": [() => 0, () => "abc".repeat(N / 3)],
  "trim": [() => " ".repeat(N), (s) => s.trim()],
  "text put together": [() => 0, () => { let s = ""; for (let i = 0; i < N / 10; i++) s += "0123456789"; return flat(s) }],
  "encodeURIComponent": [latin, (s) => encodeURIComponent(s)],
  "escape": [latin, (s) => escape(s)],
  "spread of a text": [() => flat("x".repeat(N / 16)), (s) => [...s]],
  "Object.keys of a text": [() => flat("x".repeat(N / 16)), (s) => Object.keys(s)],
  "text as a key": [latin, (s) => ({})[s]],
  "equal texts": [() => [latin(), latin()], ([a, b]) => a === b],
  "parseInt": [() => "1".repeat(N), (s) => parseInt(s)],
  "atob": [() => "A".repeat(N), (s) => atob(s)],
  "btoa": [latin, (s) => btoa(s)],
  // arrays
  "fill": [() => new Array(elements), (a) => a.fill(0)],
  "slice": [numbers, (a) => a.slice()],
  "splice": [numbers, (a) => a.splice(1, a.length - 2)],
  "concat": [numbers, (a) => a.concat(a)],
  "includes": [numbers, (a) => a.includes(-1)],
  "reverse": [numbers, (a) => a.reverse()],
  "toSorted": [numbers, (a) => a.toSorted()],
  "sort": [numbers, (a) => a.sort((x, y) => x - y)],
  "copyWithin": [numbers, (a) => a.copyWithin(0, 1)],
  "shift": [numbers, (a) => a.shift()],
  "unshift": [numbers, (a) => a.unshift(1)],
  "flat": [() => new Array(elements / 2).fill([1, 2]), (a) => a.flat()],
  "join": [numbers, (a) => a.join()],
  "map": [numbers, (a) => a.map((x) => x)],
  "spread": [numbers, (a) => [...a]],
  "push of a spread": [numbers, (a) => [].push(...a)],
  "Math.max of a spread": [numbers, (a) => Math.max(...a)],
  "Array.from": [() => ({ length: elements }), (a) => Array.from(a)],
  // typed arrays
  "typed sort": [doubles, (a) => a.sort()],
  "typed sort, compared": [doubles, (a) => a.subarray(0, N / 80).sort((x, y) => y - x)],
  "typed fill": [doubles, (a) => a.fill(1)],
  "typed slice": [doubles, (a) => a.slice()],
  "typed set": [() => [doubles(), doubles()], ([a, b]) => a.set(b)],
  "typed array of an array": [numbers, (a) => new Float64Array(a)],
  "typed reverse": [doubles, (a) => a.reverse()],
  "typed indexOf": [doubles, (a) => a.indexOf(-1)],
  "typed join": [doubles, (a) => a.join()],
  "transfer": [bytes, (a) => a.buffer.transfer(2 * N)],
  // objects and collections
  "Object.keys": [object, (o) => Object.keys(o)],
  "Object.entries": [object, (o) => Object.entries(o)],
  "spread of an object": [object, (o) => ({ ...o })],
  "Object.assign of bytes": [() => new Uint8Array(N / 100), (a) => Object.assign({}, a)],
  "Object.freeze": [object, (o) => Object.freeze(o)],
  "for in": [object, (o) => { for (const k in o) if (k === "x") return k }],
  "keys of a proxy": [() => Array.from({ length: N / 50 }, (_, i) => `k${i}`), (a) => Object.keys(new Proxy({}, { ownKeys: () => a }))],
  "Map": [numbers, (a) => new Map(a.map((x) => [x, x]))],
  "Set": [() => numbers().map((x, i) => i), (a) => new Set(a)],
  "Map.clear": [() => new Map(Array.from({ length: elements / 4 }, (_, i) => [i, i])), (m) => m.clear()],
  "JSON.parse": [() => JSON.stringify(objects()), (s) => JSON.parse(s)],
  "JSON.stringify": [objects, (o) => JSON.stringify(o)],
  "JSON.stringify of a text": [latin, (s) => JSON.stringify(s)],
  // numbers and code
  "power of big numbers": [() => 0, () => 3n ** 600000n],
  "division of big numbers": [() => [big(), 3n ** 300000n], ([a, b]) => a / b],
  "text of a big number": [big, (n) => n.toString()],
  "big number of a text": [() => "9".repeat(300000), (s) => BigInt(s)],
  "new Function, declarations": [() => Array.from({ length: 60000 }, (_, i) => `let a${i};`).join(""), (s) => new Function(s)],
  "new Function, private fields": [() => `class A{${Array.from({ length: 30000 }, (_, i) => `#p${i}=1;`).join("")}}`, (s) => new Function(s)],
  "new Function, much code": [() => "f(1,2);".repeat(N / 7), (s) => new Function(s)],
  // modules
  ...Object.fromEntries(["md4", "md5", "sha1", "sha256", "sha512", "ripemd160"].map((h) => [`crypto.${h}`, [bytes, (b) => crypto[h](b.buffer, "hex")]])),
  "crypto.hmac": [bytes, (b) => crypto.hmac("sha256", "key", b.buffer, "hex")],
  "crypto.hexEncode": [bytes, (b) => crypto.hexEncode(b.buffer)],
  "crypto.randomBytes": [() => 0, () => crypto.randomBytes(N)],
  "b64encode": [bytes, (b) => b64encode(b.buffer)],
  "b64decode": [() => "QUFB".repeat(N / 4), (s) => b64decode(s)],
  "TextDecoder": [bytes, (b) => new TextDecoder().decode(b)],
  "TextDecoder, UTF-16": [bytes, (b) => new TextDecoder("utf-16le").decode(b)],
  "TextEncoder": [wide, (s) => new TextEncoder().encode(s)],
  "parseHTML": [() => "<p>some text</p>".repeat(N / 16), (s) => parseHTML(s)],
  "console.log of an array": [numbers, (a) => console.debug(a)],
  // what cannot be cut into pieces
  "end of many objects": [objects, (o) => { o.length = 0 }],
}

const WANTED = __ENV.ONLY ? __ENV.ONLY.split(";") : Object.keys(cases)

export function busy() {
  sleep(0.2)
  for (const name of WANTED) {
    const [prepare, run] = cases[name]
    for (let round = 0; round < ROUNDS; round++) {
      const input = prepare()
      sleep(0.02)
      const start = Date.now()
      let thrown = ""
      try { run(input) } catch (error) { thrown = String(error).slice(0, 60) }
      console.log(JSON.stringify({ name, start, end: Date.now(), thrown }))
    }
  }
  sleep(0.02)
  console.log("done")
}

export function other() {
  const until = Date.now() + Number(__ENV.SECONDS || 240) * 1000
  for (let last = Date.now(); last < until;) {
    sleep(0.001)
    const now = Date.now()
    if (now - last > 5) console.log(JSON.stringify({ gap: now - last - 1, at: last, end: now }))
    last = now
  }
}
