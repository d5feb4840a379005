//! `senary/tcp`: messages and requests, from scripts against real servers.

use std::time::Duration;

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// Runs the body of an iteration against the echo server; what it logs is the result.
fn run(body: &str) -> Outcome {
    let script = format!(
        r#"
import {{ Socket }} from "senary/tcp"
import {{ Socket as Documented }} from "k6/x/tcp"
async function caught(promise) {{ try {{ return await promise }} catch (e) {{ return `${{e.name}} ${{e.method}} ${{e.code}}: ${{e.message}}` }} }}
async function connected(options) {{
  const socket = new Socket(options)
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  return socket
}}
export default async function () {{
{body}
}}"#
    );
    Program::script(BINARY, &script)
        .args(["--with-echo", "--quiet", "--log-format", "raw", "--console-output", "log.txt"])
        .within(Duration::from_secs(30))
        .run()
}

fn logged(body: &str) -> Vec<String> {
    let outcome = run(body);
    outcome.expect_code(0);
    outcome.file("log.txt").lines().map(str::to_owned).collect()
}

#[test]
fn requests_have_their_replies_in_order() {
    let lines = logged(
        r#"
  const socket = await connected({ framing: "u32", encoding: "utf8" })
  console.log(await socket.request("hello"))
  console.log((await Promise.all([..."abcdef"].map((c) => socket.request(c)))).join())
  console.log((await socket.request("one", { replies: 1 })).join())
  socket.destroy()"#,
    );
    assert_eq!(lines, ["hello", "a,b,c,d,e,f", "one"]);
}

#[test]
fn the_framing_changes_behind_the_last_message() {
    let lines = logged(
        r#"
  const socket = await connected({ framing: "lines", encoding: "latin1" })
  await socket.send("one"); await socket.send("two")
  await socket.write("abx12xcdex3xq;rs;\0\0\0\x02hi12345678")
  console.log(await socket.read(), await socket.read())
  socket.framing = { end: /x\d+x/ }
  console.log(await socket.read(), await socket.read())
  socket.framing = (all) => all.indexOf(59) + 1
  console.log(await socket.read(), await socket.read())
  socket.framing = "u32"
  console.log(await socket.read())
  socket.framing = undefined
  console.log(await socket.read(3), await socket.read(5), String(socket.framing))
  socket.destroy()"#,
    );
    assert_eq!(lines, ["one two", "abx12x cdex3x", "q; rs;", "hi", "123 45678 undefined"]);
}

#[test]
fn a_late_reply_is_not_the_next_ones() {
    let lines = logged(
        r#"
  const socket = await connected({ framing: "u32", encoding: "utf8" })
  console.log((await caught(socket.request("late", { timeout: 0 }))).split(":").slice(0, 2).join(":"))
  console.log(await socket.request("next"))
  console.log(await caught(socket.read({ timeout: 20 })))
  socket.destroy()"#,
    );
    assert_eq!(
        lines,
        [
            "TCPError request ETIMEDOUT: no reply within 0ms",
            "next",
            // The late reply was kept for whoever reads.
            "late",
        ]
    );
}

#[test]
fn replies_find_their_requests_by_key() {
    let lines = logged(
        r#"
  const field = await connected({ framing: "u16", encoding: "latin1", correlate: { offset: 0, bytes: 2, auto: true } })
  console.log((await Promise.all(["..a", "..b"].map((m) => field.request(m)))).join())
  const pattern = await connected({ framing: "lines", encoding: "latin1", correlate: { pattern: /id=(\d+)/ } })
  console.log((await Promise.all(["id=2 b", "id=1 a"].map((m) => pattern.request(m)))).join())
  console.log(await caught(pattern.request("none")))
  const key = await connected({ framing: "lines", encoding: "latin1", correlate: (m) => m[0] })
  const first = key.request("x1")
  console.log(await caught(key.request("x2")))
  console.log(await first)
  for (const socket of [field, pattern, key]) socket.destroy()"#,
    );
    assert_eq!(
        lines,
        [
            "\0\x01a,\0\x02b".to_owned(),
            "id=2 b,id=1 a".to_owned(),
            "TCPError request ERR_INVALID_ARG_VALUE: the request has no key by which its reply could find it"
                .to_owned(),
            "TCPError request ERR_INVALID_ARG_VALUE: another request under way has the same key".to_owned(),
            "x1".to_owned(),
        ]
    );
}

#[test]
fn listeners_readers_and_the_end() {
    let lines = logged(
        r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  console.log(socket instanceof Documented, socket.ready_state, socket.writable_length)
  socket.on("message", (m) => console.log("heard", m))
  const next = socket.once("message")
  await socket.send("a")
  console.log("once", await next)
  socket.off("message")
  await socket.send("b")
  console.log("read", await socket.read())
  const waiting = caught(socket.read())
  const closed = socket.closed
  socket.destroy()
  console.log(await waiting)
  console.log(String(await closed), await caught(socket.read()))"#,
    );
    assert_eq!(
        lines,
        [
            "true open 0",
            "heard a",
            "once a",
            "read b",
            "TCPError read ERR_SOCKET_CLOSED: the socket was closed before",
            "undefined TCPError read ERR_SOCKET_CLOSED: the socket is closed",
        ]
    );
}

#[test]
fn what_is_written_wrong_is_said() {
    let lines = logged(
        r#"
  const tried = (options) => { try { new Socket(options); return "fine" } catch (e) { return e.message } }
  console.log(tried({ framing: "u33" }))
  console.log(tried({ framing: { delimiter: "\n", fixed: 3 } }))
  console.log(tried({ framing: { length: { bytes: 2, endain: "little" } } }))
  console.log(tried({ farming: "u32" }))
  console.log(tried({ encoding: "utf-17" }))
  const socket = await connected()
  try { await socket.request("x") } catch (e) { console.log(e.message) }
  socket.destroy()"#,
    );
    let expected = [
        r#""u33""#,
        "has delimiter and fixed",
        r#"framing.length has no field "endain": did you mean "endian"?"#,
        r#"Socket() has no field "farming": did you mean "framing"?"#,
        r#"not "utf-17""#,
        "request() needs a framing",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line} has no {expected}");
    }
    assert_eq!(lines.len(), expected.len());
}
