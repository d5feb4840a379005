//! The framing of `senary/tcp` from scripts: what each name and each description puts on the wire, and what it takes
//! off. A server sends everything back, and the script looks at the bytes without a framing.

use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// `wire(framing, messages)` are the bytes that go out, `taken(framing, bytes)` the messages in them, both as text in
/// which each byte is a character.
const BEFORE: &str = r#"
import { Socket } from "senary/tcp"
const bytes = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0))
async function caught(promise) { try { return await promise } catch (e) { return e.code } }
async function connected(framing) {
  const socket = new Socket({ framing, encoding: "latin1" })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  return socket
}
async function rest(socket) {
  const all = []
  for (let next; (next = await caught(socket.read())) !== null; ) {
    all.push(next)
    if (/^(ERR|E[A-Z]+$)/.test(next)) break
  }
  return all
}
async function wire(framing, ...messages) {
  const socket = await connected(framing)
  for (const message of messages) {
    const refused = await caught(socket.send(message))
    if (refused) {
      socket.destroy()
      return refused
    }
  }
  socket.framing = undefined
  await socket.end()
  return (await rest(socket)).join("")
}
async function taken(framing, text) {
  const socket = await connected(framing)
  await socket.write(bytes(text))
  await socket.end()
  return (await rest(socket)).join("|")
}
function same(what, found, expected) {
  if (found !== expected) console.log(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`)
}
export default async function () {
"#;

fn run(body: &str) -> Outcome {
    let server = Server::start(Behaviour::Echo);
    Program::script(BINARY, &format!("{BEFORE}{body}\n  console.log(\"done\")\n}}"))
        .target(&server)
        .args(["--console-output", "log.txt", "--log-format", "raw"])
        .within(Duration::from_secs(60))
        .run()
}

/// Everything in the body is as it says.
fn holds(body: &str) {
    let outcome = run(body);
    outcome.expect_code(0);
    assert_eq!(outcome.file("log.txt"), "done\n");
}

/// Each name: a message, what goes over the wire, and what comes out of it.
#[test]
fn every_name_adds_and_takes_off_what_its_row_says() {
    holds(
        r#"
  const same_way = (text) => [text, text, text]
  const rows = {
    lines: ["ab", "ab\n", "ab"],
    crlf: ["ab", "ab\r\n", "ab"],
    nul: ["ab", "ab\0", "ab"],
    json: ['{"a":[1]}', '{"a":[1]}\n', '{"a":[1]}'],
    u8: ["ab", "\x02ab", "ab"],
    u16: ["ab", "\0\x02ab", "ab"],
    u16le: ["ab", "\x02\0ab", "ab"],
    u32: ["ab", "\0\0\0\x02ab", "ab"],
    u32le: ["ab", "\x02\0\0\0ab", "ab"],
    varint: ["a".repeat(200), "\xc8\x01" + "a".repeat(200), "a".repeat(200)],
    resp: same_way("*2\r\n$2\r\nab\r\n%1\r\n+k\r\n:1\r\n"),
    smtp: ["250-one\r\n250 two", "250-one\r\n250 two\r\n", "250-one\r\n250 two"],
    memcached: ["VALUE k 0 4\r\nEND\r\r\nEND", "VALUE k 0 4\r\nEND\r\r\nEND\r\n", "VALUE k 0 4\r\nEND\r\r\nEND"],
    nats: same_way("MSG s 1 4\r\na\r\nb\r\n"),
    stomp: ["MESSAGE\ncontent-length:3\n\na\0b", "MESSAGE\ncontent-length:3\n\na\0b\0", "MESSAGE\ncontent-length:3\n\na\0b"],
    fix: same_way("8=FIX.4.4\x019=5\x0135=0\x0110=163\x01"),
    mllp: ["MSH|^~", "\x0bMSH|^~\x1c\r", "MSH|^~"],
    lsp: ["{}", "Content-Length: 2\r\n\r\n{}", "{}"],
    netstring: ["ab", "2:ab,", "ab"],
    syslog: ["<1> ab", "6 <1> ab", "<1> ab"],
    postgres: ["Q____ab\0", "Q\0\0\0\x07ab\0", "Q\0\0\0\x07ab\0"],
    mysql: ["___\x05ab", "\x02\0\0\x05ab", "\x02\0\0\x05ab"],
    mongodb: ["____ab", "\x06\0\0\0ab", "\x06\0\0\0ab"],
    cassandra: ["\x04\0\0\x01\x05____ab", "\x04\0\0\x01\x05\0\0\0\x02ab", "\x04\0\0\x01\x05\0\0\0\x02ab"],
    mqtt: ["\x30\x00ab", "\x30\x02ab", "\x30\x02ab"],
    amqp: ["\x01\0\x01____ab", "\x01\0\x01\0\0\0\x02ab\xce", "\x01\0\x01\0\0\0\x02ab"],
    amqp1: ["____\x02\0ab", "\0\0\0\x08\x02\0ab", "\0\0\0\x08\x02\0ab"],
    smpp: ["____ab", "\0\0\0\x06ab", "\0\0\0\x06ab"],
    kafka: ["ab", "\0\0\0\x02ab", "ab"],
    thrift: ["ab", "\0\0\0\x02ab", "ab"],
    iso8583: ["ab", "\0\x02ab", "ab"],
    dns: ["ab", "\0\x02ab", "ab"],
    modbus: ["\0\x01\0\0__\x01\x03", "\0\x01\0\0\0\x02\x01\x03", "\0\x01\0\0\0\x02\x01\x03"],
    diameter: ["\x01___ab", "\x01\0\0\x06ab", "\x01\0\0\x06ab"],
    ldap: same_way("\x30\x81\x02\x05\0"),
    tpkt: ["\x03\0__ab", "\x03\0\0\x06ab", "\x03\0\0\x06ab"],
  }
  same("all names", Object.keys(rows).length, 36)
  for (const [name, [message, frame, back]] of Object.entries(rows)) {
    same(name, await wire(name, bytes(message)), frame)
    same(name, await taken(name, frame + frame), `${back}|${back}`)
  }"#,
    );
}

/// What the table says of names besides where a message ends.
#[test]
fn names_have_starts_heartbeats_and_white_space_of_their_own() {
    holds(
        r#"
  same("CR is optional", await taken("lines", "a\r\nb\n\n"), "a|b|")
  same("white space", await taken("json", ' 1 \n[2] {"a":"}"}\n'), '1|[2]|{"a":"}"}')
  same("RESP3", await taken("resp", "_\r\n#t\r\n,1.5\r\n|1\r\n+a\r\n:1\r\n:2\r\n>1\r\n+p\r\n"), "_\r\n|#t\r\n|,1.5\r\n||1\r\n+a\r\n:1\r\n:2\r\n|>1\r\n+p\r\n")
  same("heart-beats", await taken("stomp", "\n\r\nCONNECTED\n\nx\0\n\nRECEIPT\n\n\0"), "CONNECTED\n\nx|RECEIPT\n\n")
  same("the start of PostgreSQL", await wire("postgres", bytes("\0\0\0\0\0\x03\0\0")), "\0\0\0\x08\0\x03\0\0")
  same("the start of AMQP", await wire("amqp", bytes("AMQP\0\0\x09\x01")), "AMQP\0\0\x09\x01")
  same("a header of AMQP that comes back", await taken("amqp", "AMQP\0\0\x09\x01\x08\0\0\0\0\0\0\xce"), "AMQP\0\0\x09\x01|\x08\0\0\0\0\0\0")
  same("the start of AMQP 1.0", await wire("amqp1", bytes("AMQP\x03\x01\0\0")), "AMQP\x03\x01\0\0")
  same("a trailer", await taken("amqp", "\x08\0\0\0\0\0\0\xcd"), "ERR_FRAME_INVALID")
  const socket = await connected("postgres")
  await socket.write("S" + "Z\0\0\0\x05I")
  same("one byte", await socket.read(1), "S")
  same("behind it", await socket.read(), "Z\0\0\0\x05I")
  socket.destroy()"#,
    );
}

#[test]
fn a_length_may_be_written_in_many_ways() {
    holds(
        r#"
  const ten = "0123456789"
  const rows = [
    [{ bytes: 1 }, "\x0a" + ten],
    [{ bytes: 3 }, "\0\0\x0a" + ten],
    [{ bytes: 3, endian: "little" }, "\x0a\0\0" + ten],
    [{ bytes: 5, endian: "big" }, "\0\0\0\0\x0a" + ten],
    [{ bytes: 8, as: "uint" }, "\0\0\0\0\0\0\0\x0a" + ten],
    [{ bytes: 4, adjust: -4 }, "\0\0\0\x0e" + ten],
    [{ bytes: 2, adjust: 3 }, "\0\x07" + ten],
    [{ bytes: 2, mask: 0x0ff0 }, "\0\xa0" + ten],
    [{ bytes: 4, as: "decimal" }, "0010" + ten],
    [{ bytes: 4, as: "hex" }, "000A" + ten],
    [{ bytes: 2, as: "bcd" }, "\0\x10" + ten],
    [{ as: "varint" }, "\x0a" + ten],
    [{ as: "ber" }, "\x0a" + ten],
    [{ bytes: { until: 0x3a } }, "10:" + ten],
    [{ bytes: { until: 0x20, max: 3 }, as: "hex" }, "A " + ten],
    [{ at: 0, bytes: 2 }, "\0\x0a" + ten],
  ]
  for (const [length, frame] of rows) {
    same(JSON.stringify(length), await wire({ length }, ten), frame)
    same(JSON.stringify(length), await taken({ length }, frame + frame), `${ten}|${ten}`)
  }
  same("long BER", await wire({ length: { as: "ber" } }, "x".repeat(300)), "\x82\x01\x2c" + "x".repeat(300))
  same("small hex digits", await taken({ length: { bytes: 2, as: "hex" } }, "0a" + ten), ten)
  same("no digits", await taken({ length: { bytes: 2, as: "decimal" } }, "1a" + ten), "ERR_FRAME_INVALID")
  same("too many digits", await taken({ length: { bytes: { until: 0x3a, max: 3 } } }, "0010:" + ten), "ERR_FRAME_INVALID")
  same("no room for it", await wire({ length: { bytes: 1 } }, "x".repeat(256)), "ERR_FRAME_TOO_LARGE")"#,
    );
}

/// `header`, where the field may be, and its default.
#[test]
fn what_comes_before_a_length_is_kept_or_put_there() {
    holds(
        r#"
  const rows = [
    ["at 0", { length: { bytes: 2 } }, "ab", "\0\x02ab", "ab"],
    ["at 0, kept", { length: { bytes: 2 }, header: "keep" }, "__ab", "\0\x02ab", "\0\x02ab"],
    ["at 2", { length: { at: 2, bytes: 2 } }, "xy__ab", "xy\0\x02ab", "xy\0\x02ab"],
    ["at 2, taken off", { length: { at: 2, bytes: 2 }, header: "strip" }, "ab", "\0\0\0\x02ab", "ab"],
    ["flags stay", { length: { at: 1, bytes: 2, mask: 0x0fff } }, "x\xf0\0ab", "x\xf0\x02ab", "x\xf0\x02ab"],
    ["behind bytes", { length: { at: { after: "L=" }, bytes: { until: 0x3b } } }, "xL=0;ab", "xL=2;ab", "xL=2;ab"],
    ["behind bytes, taken off", { length: { at: { after: "L=" }, bytes: { until: 0x3b } }, header: "strip" }, "ab", "L=2;ab", "ab"],
    ["magic", { length: { bytes: 1 }, magic: bytes("\xaa\x55"), trailer: "!" }, "ab", "\xaa\x55\x02ab!", "ab"],
    ["a trailer that counts", { length: { bytes: 1, adjust: 0 }, trailer: "!" }, "ab", "\x03ab!", "ab"],
  ]
  for (const [what, framing, message, frame, back] of rows) {
    same(what, await wire(framing, bytes(message)), frame)
    same(what, await taken(framing, frame + frame), `${back}|${back}`)
  }
  same("another magic", await taken({ length: { bytes: 1 }, magic: "ok" }, "oh\x01a"), "ERR_FRAME_INVALID")
  same("another trailer", await taken({ length: { bytes: 1 }, trailer: "!" }, "\x01a?"), "ERR_FRAME_INVALID")"#,
    );
}

#[test]
fn delimiters_are_several_kept_started_and_stuffed() {
    holds(
        r#"
  const several = { delimiter: ["\r\n", "\n", bytes("\0")] }
  same("the first one is added", await wire(several, "a", "b"), "a\r\nb\r\n")
  same("the first one that comes", await taken(several, "a\nb\r\nc\0\0"), "a|b|c|")
  const keep = { delimiter: ";", keep: true }
  same("kept", await wire(keep, "a", "b;"), "a;b;")
  same("kept", await taken(keep, "a;b;"), "a;|b;")
  const start = { start: "<", delimiter: ">" }
  same("start", await wire(start, "a", "b"), "<a><b>")
  same("start", await taken(start, "<a><b>"), "a|b")
  same("no start", await taken(start, "a>"), "ERR_FRAME_INVALID")
  const stuffed = { start: "~", delimiter: "~", escape: { byte: 0x7d, map: [[2, 0x7e], [1, 0x7d]] } }
  same("stuffed", await wire(stuffed, "a~b}c"), "~a}\x02b}\x01c~")
  same("stuffed", await taken(stuffed, "~a}\x02b}\x01c~"), "a~b}c")
  same("an unknown code", await taken(stuffed, "~}\x09~"), "ERR_FRAME_INVALID")
  same("the delimiter within", await wire({ delimiter: ";" }, "a;b"), "ERR_FRAME_INVALID")
  same("a part of it", await taken({ delimiter: "END" }, "aENENDbEND"), "aEN|b")"#,
    );
}

#[test]
fn the_other_forms_end_where_they_say() {
    holds(
        r#"
  same("pattern", await taken({ end: /\x0110=\d{3}\x01|^\xff./ }, "a\x0110=123\x01\xffxb\x0110=456\x01"), "a\x0110=123\x01|\xffx|b\x0110=456\x01")
  same("a pattern adds nothing", await wire({ end: /;/ }, "a;", "b"), "a;b")
  same("fixed", await taken({ fixed: 3 }, "abcdef"), "abc|def")
  same("a part of it", await taken({ fixed: 3 }, "abcde"), "abc|ERR_FRAME_TRUNCATED")
  same("another size", await wire({ fixed: 3 }, "abcd"), "ERR_FRAME_INVALID")

  const http = { headers: { length: "Content-Length" } }
  same("headers", await wire(http, "ab"), "Content-Length: 2\r\n\r\nab")
  same("headers", await taken(http, "A: b\r\ncontent-length:2\r\n\r\nabContent-Length: 0\r\n\r\n"), "ab|")
  same("no length", await taken(http, "A: b\r\n\r\nab"), "ERR_FRAME_INVALID")
  const whole = { headers: { end: "\n\n", length: "n" }, header: "keep", otherwise: { delimiter: "\0" } }
  same("kept", await wire(whole, "X\nn: 7\n\nabc"), "X\nn: 3\n\nabc")
  same("kept", await taken(whole, "X\nn: 3\n\nabcY\n\nuntil\0"), "X\nn: 3\n\nabc|Y\n\nuntil")
  same("nothing follows", await taken({ ...http, header: "keep", otherwise: { fixed: 0 } }, "A: b\r\n\r\nC: d\r\n\r\n"), "A: b\r\n\r\n|C: d\r\n\r\n")

  const counted = { line: { count: /^VALUE .* (\d+)$/, adjust: 2, until: /^END$/ } }
  same("lines", await taken(counted, "VALUE a 3\r\nEND\r\nVALUE b 0\r\n\r\nEND\r\nEND\r\n"), "VALUE a 3\r\nEND\r\nVALUE b 0\r\n\r\nEND|END")
  same("lines", await wire(counted, "END"), "END\r\n")
  same("each line", await taken({ line: { count: /(\d+)$/ } }, "a\nb 2\nxyc\n"), "a|b 2\nxy|c")
  same("the last line of a reply", await taken({ line: { until: /^\d{3} / } }, "250-a\r\n250 b\r\n220 c\r\n"), "250-a\r\n250 b|220 c")

  const idle = await connected({ idle: 50 })
  await idle.write("one ")
  await idle.write("message")
  same("silence", await idle.read(), "one message")
  await idle.send("another")
  same("silence", await idle.read(), "another")
  await idle.end("the end is one, too")
  same("silence", await idle.read(), "the end is one, too")"#,
    );
}

#[test]
fn frames_without_content_are_delivered_skipped_or_sent_back() {
    holds(
        r#"
  const framing = { length: { bytes: 2 }, magic: "+" }
  const frames = "+\0\0+\0\x01a+\0\0+\0\x01b"
  same("left out", await taken(framing, frames), "|a||b")
  same("deliver", await taken({ ...framing, empty: "deliver" }, frames), "|a||b")
  same("skip", await taken({ ...framing, empty: "skip" }, frames), "a|b")
  // What is sent back comes back: the frame goes round as long as somebody reads.
  const socket = await connected({ ...framing, empty: "echo" })
  await socket.write(bytes("+\0\0+\0\x01a"))
  same("echo", await socket.read(), "a")
  const before = socket.bytes_written
  await caught(socket.read({ timeout: 100 }))
  if (socket.bytes_written - before < 30) console.log("echo: nothing went back", socket.bytes_written)
  socket.destroy()"#,
    );
}

/// `max` is exact, has units, and 16 MiB is what holds without it.
#[test]
fn no_message_is_longer_than_it_may_be() {
    holds(
        r#"
  const length = { bytes: 4 }
  const of = async (max, claimed, size) => {
    const socket = await connected({ length, max })
    const frame = new Uint8Array(4 + size).fill(120)
    new DataView(frame.buffer).setUint32(0, claimed)
    socket.write(frame).catch(() => {})
    const message = await caught(socket.read())
    socket.destroy()
    return message.startsWith("xx") ? message.length : message
  }
  for (const [max, size] of [[100, 100], ["1KiB", 1024], ["64KiB", 65536], [undefined, 16 << 20]]) {
    same(`${max}`, await of(max, size, size), size)
    same(`${max}`, await of(max, size + 1, 2), "ERR_FRAME_TOO_LARGE")
  }
  same("without a length", await taken({ delimiter: ";", max: 3 }, "abc;abcd;"), "abc|ERR_FRAME_TOO_LARGE")
  const socket = await connected({ delimiter: ";", max: 3 })
  socket.on("error", (e) => same("event", `${e.name} ${e.method} ${e.code}`, "TCPError read ERR_FRAME_TOO_LARGE"))
  socket.on("message", () => console.log("a message"))
  await socket.write("abcdefgh")
  await socket.closed
  same("it ends the connection", socket.ready_state, "destroyed")"#,
    );
}

/// A function of the script's gets all bytes that are not taken yet, and sending adds nothing.
#[test]
fn a_function_finds_the_end_of_messages() {
    holds(
        r#"
  const seen = []
  const framing = (received) => {
    seen.push(received.length)
    return received.length < 3 ? 0 : 3
  }
  same("function", await taken(framing, "abcdefghi"), "abc|def|ghi")
  if (!seen.includes(9)) console.log(seen)
  same("it adds nothing", await wire(framing, "ab", "cdef"), "abcdef")
  same("another for sending", await wire({ receive: framing, send: "u8" }, "ab"), "\x02ab")
  same("another for receiving", await taken({ receive: "u8", send: framing }, "\x02ab"), "ab")
  for (const wrong of [-1, 1.5, NaN, 99, "3", undefined, null])
    same(`it gives back ${wrong}`, await taken(() => wrong, "abc"), "ERR_FRAME_INVALID")
  same("the rest", await taken(framing, "abcd"), "abc|ERR_FRAME_TRUNCATED")"#,
    );
}

/// Protocols without a name, or with more than one framing: each can be described. A row is the description, a message (none
/// where only receiving has that form), what goes over the wire, and what comes out.
#[test]
fn protocols_without_a_name_can_be_described() {
    holds(
        r#"
  const both = (framing, message, frame, back = message) => [framing, message, frame, [back]]
  const taking = (framing, frame, ...back) => [framing, null, frame, back]
  const keep = (frame) => [frame, frame]
  const many = (count, text) => text.repeat(count)
  const imap = { line: { count: /\{(\d+)\}$/, until: /^A\d+ / } }
  const beanstalkd = { line: { count: /^(?:RESERVED|FOUND|OK) (?:\d+ )?(\d+)$/, adjust: 2 } }
  const slip = { byte: 0xdb, map: [[0xdc, 0xc0], [0xdd, 0xdb]] }
  const rows = {
    POP3: both({ delimiter: "\r\n.\r\n" }, "+OK\r\na\r\n..b", "+OK\r\na\r\n..b\r\n.\r\n"),
    IMAP: taking(imap, "* 1 FETCH (BODY {7}\r\nhe\r\nllo FLAGS (x))\r\nA1 OK\r\n", "* 1 FETCH (BODY {7}\r\nhe\r\nllo FLAGS (x))\r\nA1 OK"),
    "meta commands of memcached": taking("memcached", "VA 5 f1\r\nhe\r\nl\r\nHD\r\nMN\r\n", "VA 5 f1\r\nhe\r\nl", "HD", "MN"),
    "statistics of memcached": taking("memcached", "STAT a 1\r\nSTAT b 2\r\nEND\r\n", "STAT a 1\r\nSTAT b 2\r\nEND"),
    "binary memcached": both({ length: { at: 8, bytes: 4, adjust: 12 } }, many(8, "h") + "____" + many(12, "t") + "body", ...keep(many(8, "h") + "\0\0\0\x04" + many(12, "t") + "body")),
    "NATS with headers": taking("nats", "HMSG s 1 5 8\r\nNATS!xyz\r\nPING\r\n-ERR 'x 5'\r\n", "HMSG s 1 5 8\r\nNATS!xyz\r\n", "PING\r\n", "-ERR 'x 5'\r\n"),
    beanstalkd: taking(beanstalkd, "RESERVED 1 3\r\nabc\r\nOK 4\r\n----\r\nINSERTED 5\r\n", "RESERVED 1 3\r\nabc", "OK 4\r\n----", "INSERTED 5"),
    HTTP: taking({ headers: { length: "content-length" }, header: "keep", otherwise: { fixed: 0 } }, "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    SIP: taking({ headers: { end: "\r\n\r\n", length: "l" }, header: "keep" }, "SIP/2.0 200 OK\r\nl: 2\r\n\r\nhi", "SIP/2.0 200 OK\r\nl: 2\r\n\r\nhi"),
    "FIX SOFH": both({ length: { bytes: 4, adjust: -4 }, header: "keep" }, "____\xeb\x50ab", ...keep("\0\0\0\x08\xeb\x50ab")),
    "ISO 8583, ASCII": taking({ length: { bytes: 4, as: "decimal" } }, "0001a0000", "a", ""),
    "ISO 8583, AmEx": taking({ length: { bytes: 2, adjust: -2 }, empty: "skip" }, "\0\0\0\x04ab", "ab"),
    "ISO 8583, CS": both({ length: { bytes: 2, adjust: 2 } }, "\0\0ab", "\0\x02\0\0ab"),
    "ISO 8583, RBP": both({ magic: "RB", length: { at: 2, bytes: 2, adjust: 2 } }, "__\0\0ab", "RB\0\x02\0\0ab", "\0\x02\0\0ab"),
    "BASE24 over TCP": both({ length: { bytes: 2, adjust: 0 }, trailer: "\x03" }, "ab", "\0\x03ab\x03"),
    TDS: both({ length: { at: 2, bytes: 2, adjust: -4 } }, "\x01\x01__\0\0\x01\0ab", ...keep("\x01\x01\0\x0a\0\0\x01\0ab")),
    "Sun RPC": both({ length: { bytes: 4, mask: 0x7fffffff }, header: "keep" }, "\x80\0\0\0ab", ...keep("\x80\0\0\x02ab")),
    "AMQP, described": both({ length: { at: 3, bytes: 4, adjust: 1 }, trailer: bytes("\xce") }, "\x01\0\x01____ab", "\x01\0\x01\0\0\0\x02ab\xce", "\x01\0\x01\0\0\0\x02ab"),
    gRPC: both({ length: { at: 1, bytes: 4 } }, "\0____ab", ...keep("\0\0\0\0\x02ab")),
    RADIUS: both({ length: { at: 2, bytes: 2, adjust: -4 } }, "\x01\x05__" + many(16, "a"), ...keep("\x01\x05\0\x14" + many(16, "a"))),
    BGP: both({ magic: new Uint8Array(16).fill(255), length: { at: 16, bytes: 2, adjust: -18 } }, "__\x04", many(16, "\xff") + "\0\x13\x04", "\0\x13\x04"),
    "OPC UA": both({ length: { at: 4, bytes: 4, endian: "little", adjust: -8 } }, "HELF____ab", ...keep("HELF\x0a\0\0\0ab")),
    Bitcoin: both({ magic: bytes("\xf9\xbe\xb4\xd9"), length: { at: 16, bytes: 4, endian: "little", adjust: 4 } }, many(12, "c") + "____sum!ab", "\xf9\xbe\xb4\xd9" + many(12, "c") + "\x02\0\0\0sum!ab", many(12, "c") + "\x02\0\0\0sum!ab"),
    STUN: both({ length: { at: 2, bytes: 2, adjust: 16 } }, "\0\x01__" + many(16, "i") + "ab", ...keep("\0\x01\0\x02" + many(16, "i") + "ab")),
    "IEC 104": both({ magic: "h", length: { at: 1, bytes: 1 }, header: "strip" }, "abcd", "h\x04abcd"),
    GT06: both({ magic: "xx", length: { at: 2, bytes: 1, adjust: 2 }, trailer: "\r\n" }, "_\x01ab", "xx\x03\x01ab\r\n", "\x03\x01ab"),
    SLIP: both({ start: bytes("\xc0"), delimiter: bytes("\xc0"), escape: slip }, "a\xc0b\xdbc", "\xc0a\xdb\xdcb\xdb\xddc\xc0"),
    "SLIP, either end": taking({ delimiter: bytes("\xc0"), escape: slip, empty: "skip" }, "\xc0a\xc0\xc0b\xc0", "a", "b"),
    TN3270: both({ delimiter: bytes("\xff\xef"), escape: { byte: 0xff, map: [[0xff, 0xff]] } }, "a\xffb\xff\xef", "a\xff\xffb\xff\xff\xef\xff\xef"),
    FastCGI: both((b) => b.length < 8 || b.length < 8 + b[4] * 256 + b[5] + b[6] ? 0 : 8 + b[4] * 256 + b[5] + b[6], ...keep("\x01\x06\0\x01\0\x02\x03\0abPPP")),
    ZMTP: both((b) => b.length < 2 || b.length < 2 + b[1] ? 0 : 2 + b[1], ...keep("\0\x02ab")),
    SNMP: both({ length: { at: 1, as: "ber" } }, "\x30\0" + many(200, "x"), ...keep("\x30\x81\xc8" + many(200, "x"))),
  }
  for (const [protocol, [framing, message, frame, back]] of Object.entries(rows)) {
    if (message !== null) same(protocol, await wire(framing, bytes(message)), frame)
    same(protocol, await taken(framing, frame + frame), [...back, ...back].join("|"))
  }"#,
    );
}

/// However the bytes arrive, and at whatever moment the framing changes.
#[test]
fn the_framing_changes_at_the_byte_behind_the_last_message() {
    holds(
        r#"
  const socket = await connected("crlf")
  const stream = "one\r\n" + "\x03two" + "{\"three\":3}" + "4:four," + "five"
  const next = async (framing) => { socket.framing = framing; return socket.read() }
  for (let size = 1; size <= stream.length; size += 3) {
    const parts = []
    for (let at = 0; at < stream.length; at += size) parts.push(stream.slice(at, at + size))
    const sent = (async () => { for (const part of parts) { await socket.write(bytes(part)); await null } })()
    const messages = [await next("crlf"), await next("u8"), await next("json"), await next("netstring"), await next({ fixed: 4 })]
    same(`in pieces of ${size}`, messages.join(), "one,two,{\"three\":3},four,five")
    await sent
  }
  socket.framing = null
  same("none", String(socket.framing), "undefined")
  socket.destroy()"#,
    );
}
