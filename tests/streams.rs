//! `senary/tcp`: what is read and when, what is told of the end of a connection, and in which form data is given; from
//! scripts against real servers.

use std::io::{Read, Write};
use std::time::Duration;

use senary_testkit::{Behaviour, Outcome, Program, Server, serve};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// A script whose iteration is `body`.
fn program(port: u16, body: &str) -> Program {
    let script = format!(
        r#"
import {{ Socket }} from "senary/tcp"
const to = {{ host: "127.0.0.1", port: __ENV.PORT }}
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
function thrown(call) {{ try {{ call(); return "nothing" }} catch (e) {{ return `${{e.name}}: ${{e.message}}` }} }}
async function caught(promise) {{ try {{ return await promise }} catch (e) {{ return `${{e.name}} ${{e.method}} ${{e.code}}` }} }}
async function connected(options, more) {{
  const socket = new Socket(options)
  await socket.connect({{ ...to, ...more }})
  return socket
}}
export default async function () {{
{body}
}}"#
    );
    Program::script(BINARY, &script)
        .env("PORT", port)
        .args([
            "--console-output",
            "log.txt",
            "--log-format",
            "raw",
            "--summary-trend-stats",
            "count,min,max",
        ])
        .within(Duration::from_secs(30))
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.expect_code(0);
    outcome.file("log.txt").lines().map(str::to_owned).collect()
}

fn logged(behaviour: Behaviour, body: &str) -> Vec<String> {
    let server = Server::start(behaviour);
    lines(&program(server.port(), body).run())
}

#[test]
fn exactly_so_many_bytes_are_read_wherever_messages_end() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  console.log(JSON.stringify(await socket.read(0)))
  await socket.write("ab\ncdef\nrest")
  console.log(JSON.stringify([await socket.read(1), await socket.read(3), await socket.read(), await socket.read(0), await socket.read(2)]))
  const waiting = [socket.read(4), socket.read(), socket.read(1)]
  await socket.write("!!next\nx")
  console.log(JSON.stringify(await Promise.all(waiting)))
  await socket.end()
  console.log(JSON.stringify(await socket.read(0)), await caught(socket.read(1)), await socket.read())
  for (const wrong of [-1, 1.5, NaN, 1e10]) console.log(thrown(() => socket.read(wrong)))
  console.log(thrown(() => socket.read("3")))
  console.log(thrown(() => socket.read(3, { timeuot: 1 })))"#,
    );
    assert_eq!(
        lines,
        [
            "\"\"",
            r#"["a","b\nc","def","","re"]"#,
            r#"["st!!","next","x"]"#,
            "\"\" TCPError read ERR_STREAM_ENDED null",
            "TypeError: read(bytes) is a whole number of at least 0, not -1",
            "TypeError: read(bytes) is a whole number of at least 0, not 1.5",
            "TypeError: read(bytes) is a whole number of at least 0, not NaN",
            "TypeError: read(10000000000) is more than a message may have: 16777216 bytes",
            "TypeError: read() takes a number of bytes, or options such as { timeout: 1000 }, not \"3\"",
            "TypeError: read() has no field \"timeuot\": did you mean \"timeout\"?",
        ]
    );
}

/// Readers that wait together have all that comes, also when the end comes with it.
/// `max` is about messages: a number of bytes may be larger than that of small ones, and as large as that of large ones.
#[test]
fn a_number_of_bytes_may_be_more_than_a_message() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ framing: { delimiter: ";", max: 4 }, encoding: "latin1" })
  await socket.write("one;" + "a longer part without an end" + "two;")
  console.log(await socket.read(), await socket.read(28), await socket.read())
  for (const [max, much] of [[4, 16 << 20], ["20MiB", 20 << 20]]) {
    socket.framing = { delimiter: ";", max }
    const all = socket.read(much), last = socket.read()
    await socket.write(new Uint8Array(much).fill(120))
    await socket.send("end")
    console.log((await all).length === much, await last, thrown(() => socket.read(much + 1)))
  }
  socket.destroy()"#,
    );
    let refused = |most| {
        format!("true end TypeError: read({}) is more than a message may have: {most} bytes", most + 1)
    };
    let expected = ["one a longer part without an end two".to_owned(), refused(16 << 20), refused(20 << 20)];
    assert_eq!(lines, expected);
}

#[test]
fn readers_that_wait_are_served_in_turn_up_to_the_end() {
    for framing in ["undefined", "\"lines\"", "(m) => m.indexOf(10) + 1"] {
        let lines = logged(
            Behaviour::Echo,
            &r#"
  const socket = await connected({ framing: FRAMING, encoding: "utf8" })
  const all = [socket.read(2), socket.read(3), socket.read(1), socket.read(9), socket.read(0), socket.read(1)].map(caught)
  await socket.end("abcdefg")
  console.log(JSON.stringify(await Promise.all(all)), await caught(socket.read(1)), await caught(socket.read()))"#
                .replace("FRAMING", framing),
        );
        let expected =
            r#"["ab","cde","f","TCPError read ERR_STREAM_ENDED","","g"] TCPError read ERR_STREAM_ENDED null"#;
        assert_eq!(lines, [expected], "{framing}");
    }
}

/// Bytes without a framing come in chunks, and `null` is the end.
#[test]
fn without_a_framing_chunks_are_read() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ encoding: "hex" })
  await socket.write("abc")
  console.log(await socket.read())
  await socket.end("de")
  let all = ""
  for await (const chunk of socket) all += chunk
  console.log(all, await socket.read(), await socket.read())"#,
    );
    assert_eq!(lines, ["616263", "6465 null null"]);
}

#[test]
fn leaving_the_loop_in_any_way_leaves_the_socket_open() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  await socket.write("1\n2\n3\n4\n5\n")
  for await (const line of socket) { console.log(line); break }
  const returned = async () => { for await (const line of socket) return line }
  console.log(await returned())
  console.log(await caught((async () => { for await (const line of socket) throw new TypeError(line) })()))
  const iterator = socket[Symbol.asyncIterator]()
  console.log(JSON.stringify(await iterator.next()), iterator[Symbol.asyncIterator]() === iterator, socket.ready_state)
  await socket.end()
  const rest = []
  for await (const line of socket) rest.push(line)
  console.log(rest.join(), JSON.stringify(await iterator.next()))"#,
    );
    let expected = [
        "1",
        "2",
        "TypeError undefined undefined",
        r#"{"done":false,"value":"4"} true open"#,
        r#"5 {"done":true}"#,
    ];
    assert_eq!(lines, expected);
}

/// Nobody listens and nobody reads: the peer cannot send more than the kernels hold, and nothing of it is lost.
#[test]
fn what_nobody_wants_stays_with_the_peer() {
    let (tell, told) = std::sync::mpsc::channel();
    let (port, server) = serve(move |mut stream| {
        stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a time limit");
        let (mut sent, mut next) = (0_usize, 0_u8);
        while let Ok(size @ 1..) = stream.write(&[next; 1 << 16]) {
            sent += size;
            next = next.wrapping_add(1);
            assert!(sent < 1 << 30, "somebody takes it");
        }
        tell.send(sent).expect("a listener");
        let _ = stream.read(&mut [0; 1]);
    });
    let body = r#"
  const socket = await connected({ framing: { fixed: 65536 }, receiveBuffer: 65536 })
  socket.on("error", () => {})
  socket.on("timeout", () => {})
  await wait(1000)
  console.log(socket.bytes_read, (await socket.read())[0], (await socket.read())[65535])
  socket.destroy()"#;
    assert_eq!(lines(&program(port, body).run()), ["0 0 1"]);
    server.join().expect("the server");
    let sent = told.recv().expect("a number of bytes");
    assert!(sent < 16 << 20, "{sent} bytes");
}

/// A connection whose content nobody wants still ends: its iteration does not wait for ever.
#[test]
fn the_end_is_noticed_though_nobody_reads() {
    for listener in [
        "",
        "socket.on(\"close\", () => console.log(\"close\"))",
        "socket.on(\"end\", () => console.log(\"end\"))",
    ] {
        for behaviour in
            [Behaviour::Slam, Behaviour::HangsUpAfter { behaviour: Box::new(Behaviour::Echo), bytes: 0 }]
        {
            let server = Server::start(behaviour);
            let body = format!(
                "  const socket = await connected({{}})\n  {listener}\n  socket.write(\"x\").catch(() => {{}})"
            );
            let outcome = program(server.port(), &body).run();
            let found = lines(&outcome);
            let told = listener.split('"').nth(1).into_iter().collect::<Vec<_>>();
            assert_eq!(found, told, "{listener}");
            outcome.expect_value("tcp_socket_duration", "count", 1.0);
        }
    }
}

#[test]
fn a_reset_is_noticed_though_nobody_reads() {
    let server = Server::start(Behaviour::ResetAfterFirstByte);
    let body = r#"
  const socket = await connected({ framing: "lines" })
  socket.on("error", (e) => console.log(e.method, e.code))
  socket.on("close", () => console.log("close"))
  await socket.write("x")"#;
    assert_eq!(lines(&program(server.port(), body).run()), ["read ECONNRESET", "close"]);
}

/// `closed` resolves whoever ends the connection and however, and never rejects.
#[test]
fn closed_resolves_whoever_closes() {
    let ends = [
        (Behaviour::Echo, "socket.destroy()"),
        (Behaviour::Echo, "socket.reset()"),
        (Behaviour::Echo, "await socket.end()"),
        (Behaviour::Slam, ""),
        (Behaviour::ResetAfterFirstByte, "await caught(socket.write(\"x\"))"),
        (Behaviour::Babbles, "await socket.write(\"x\"); socket.read().catch(() => {})"),
    ];
    for (behaviour, end) in ends {
        let body = format!(
            r#"
  const socket = await connected({{ framing: "u32" }})
  const before = socket.closed
  {end}
  console.log(await before, await socket.closed, socket.closed === before, socket.ready_state)"#
        );
        assert_eq!(logged(behaviour, &body), ["undefined undefined true destroyed"], "{end}");
    }
    let lines = logged(
        Behaviour::Echo,
        r#"
  const never = new Socket()
  const closed = never.closed
  never.destroy()
  console.log(await closed, await never.closed, never.ready_state)"#,
    );
    assert_eq!(lines, ["undefined undefined destroyed"]);
}

/// A failed connect is no end: the socket can try again.
#[test]
fn a_socket_that_could_not_connect_is_not_closed() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = new Socket({ framing: "lines", encoding: "utf8" })
  let is_closed = false
  socket.closed.then(() => (is_closed = true))
  console.log(await caught(socket.connect({ host: "127.0.0.1", port: 1 })), is_closed, socket.ready_state)
  await socket.connect(to)
  console.log(await socket.request("again"), is_closed)
  socket.destroy()
  await socket.closed
  await null
  console.log(is_closed)"#,
    );
    assert_eq!(lines, ["TCPError connect ECONNREFUSED false disconnected", "again false", "true"]);
}

#[test]
fn the_next_event_of_each_name_can_be_awaited() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = new Socket({ framing: "lines", encoding: "utf8" })
  const [connect, close, end] = [socket.once("connect"), socket.once("close"), socket.once("end")]
  await socket.connect(to)
  console.log("connect", await connect)
  const both = [socket.once("message"), socket.once("message"), socket.once("data")]
  await socket.write("one\ntwo\n")
  const [first, again, data] = await Promise.all(both)
  console.log("message", first, again, "data", data.length > 0, data instanceof Uint8Array)
  console.log("message", await socket.once("message"))
  socket.setTimeout(50)
  console.log("timeout", await socket.once("timeout"))
  socket.setTimeout(0)
  const error = socket.once("error")
  await caught(socket.write([1]))
  console.log("error", (await error).code)
  const never = caught(socket.once("message"))
  await socket.end()
  console.log("end", await end, "close", await close, "never", await never)
  console.log(await caught(socket.once("close")))
  console.log(thrown(() => new Socket().once("mesage")))
  console.log(thrown(() => new Socket().off("drain")))"#,
    );
    assert_eq!(
        lines,
        [
            "connect undefined",
            "message one one data true true",
            "message two",
            "timeout undefined",
            "error ERR_INVALID_ARG_TYPE",
            "end undefined close undefined never TCPError read ERR_SOCKET_CLOSED",
            "TCPError read ERR_SOCKET_CLOSED",
            "TypeError: once(): a socket has the events connect, data, close, error, timeout, message, end, not \"mesage\"",
            "TypeError: off(): a socket has the events connect, data, close, error, timeout, message, end, not \"drain\"",
        ]
    );
}

/// `data` is what came, `message` what the framing makes of it.
#[test]
fn data_and_messages_can_be_heard_side_by_side() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ framing: "u8", encoding: "utf8" })
  let bytes = 0
  const messages = []
  socket.on("data", (data) => (bytes += data.length))
  socket.on("message", (message) => messages.push(message))
  for (const word of ["one", "two", "three"]) await socket.send(word)
  while (messages.length < 3) await wait(5)
  socket.off("message")
  await socket.send("unheard")
  while (bytes < 22) await wait(5)
  console.log(messages.join(), bytes, await socket.read())
  socket.off("data")
  socket.destroy()"#,
    );
    assert_eq!(lines, ["one,two,three 22 unheard"]);
}

#[test]
fn a_socket_that_is_paused_hears_nothing_until_it_goes_on() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  const heard = []
  socket.on("message", (line) => heard.push(line))
  socket.pause()
  await socket.send("a")
  const late = caught(socket.request("b", { timeout: 100 }))
  console.log(await late, heard.length, socket.bytes_read)
  socket.resume()
  await socket.send("c")
  while (heard.length < 3) await wait(5)
  console.log(heard.join())
  socket.pause()
  socket.resume()
  socket.resume()
  const none = new Socket()
  none.pause()
  none.destroy()
  socket.destroy()"#,
    );
    assert_eq!(lines, ["TCPError request ETIMEDOUT 0 0", "a,b,c"]);
}

/// `allowHalfOpen`: our side ends after what waits to be sent, or stays.
#[test]
fn our_side_ends_after_what_waits_to_be_sent() {
    let (port, server) = serve(|mut stream| {
        stream.write_all(b"bye\n").expect("a word");
        stream.shutdown(std::net::Shutdown::Write).expect("the end of this side");
        std::thread::sleep(Duration::from_millis(200));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("the end in good order");
        assert_eq!(all.len(), 8 << 20);
    });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8", sendBuffer: 65536 })
  const written = socket.write(new Uint8Array(8 << 20))
  console.log(await socket.read(), await socket.read(), socket.writable_length > 0)
  await written
  await socket.closed
  console.log(socket.writable_length, socket.bytes_written)"#;
    assert_eq!(lines(&program(port, body).run()), ["bye null true", "0 8388608"]);
    server.join().expect("the server");
}

/// Where the peer has ended its side, no reply can come: that is told at once.
#[test]
fn nothing_waits_for_a_peer_that_has_ended() {
    let server = Server::start(Behaviour::HalfClose { reply: "that is all\n" });
    let body = r#"
  const socket = await connected({ framing: "lines", encoding: "utf8", allowHalfOpen: true })
  console.log(await socket.request("first"), await socket.read())
  const begun = Date.now()
  console.log(await caught(socket.request("second")))
  console.log(await caught(socket.pump({ message: "third", count: 3 })))
  const none = await socket.pump({ message: "fourth", count: 3, reply: "none" })
  console.log(none.sent, none.failed, Date.now() - begun < 10_000, socket.ready_state)
  await socket.end()
  await socket.closed"#;
    let outcome = program(server.port(), body).run();
    assert_eq!(
        lines(&outcome),
        [
            "that is all null",
            "TCPError request ERR_SOCKET_CLOSED",
            "TCPError request ERR_SOCKET_CLOSED",
            "3 0 true open"
        ]
    );
    assert_eq!(server.received()[0], b"first\nfourth\nfourth\nfourth\n");
}

/// Text, buffers and views of them: the bytes are those at the call.
#[test]
fn data_may_be_text_or_any_view_of_bytes() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const buffer = Uint8Array.from([0x61, 0x62, 0x63, 0x64, 0x65, 0x66]).buffer
  const forms = ["abcdef", buffer, new Uint8Array(buffer, 1, 4), new DataView(buffer, 2, 3), new Uint16Array(buffer, 2, 1), new Uint8ClampedArray(buffer)]
  const socket = await connected({ framing: "u8", encoding: "utf8" })
  for (const form of forms) {
    const { received } = await socket.pump({ message: [form, { data: form, patches: [] }], count: 2, expect: { contains: form } })
    console.log(await socket.request(form), await socket.request(form, { until: { equals: form } }).then(String), received)
    await socket.send(form)
    await socket.read()
  }
  await socket.end(buffer)
  socket.framing = undefined
  console.log(await socket.read(6))"#,
    );
    let of = |text: &str| format!("{text} {text} 2");
    assert_eq!(
        lines,
        [&of("abcdef"), &of("abcdef"), &of("bcde"), &of("cde"), &of("cd"), &of("abcdef"), "abcdef"]
    );
}

#[test]
fn bytes_are_copied_at_the_call() {
    let (port, server) = serve(|mut stream| {
        std::thread::sleep(Duration::from_millis(200));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("the end in good order");
        assert_eq!(all.len(), 3 * (4 + (4 << 20)));
        assert!(all.iter().all(|byte| *byte != 9), "bytes of after the call were sent");
    });
    let body = r#"
  const socket = await connected({ framing: "u32", sendBuffer: 4096 })
  const data = new Uint8Array(4 << 20)
  const all = [socket.send(data), caught(socket.request(data)), socket.send(data)]
  data.fill(9)
  await all[0]; await all[2]
  await socket.end()
  console.log(await all[1])
  await socket.closed"#;
    assert_eq!(lines(&program(port, body).run()), ["TCPError request ERR_SOCKET_CLOSED"]);
    server.join().expect("the server");
}

#[test]
fn errors_say_in_which_method_they_came() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const heard = []
  const socket = new Socket({ framing: "lines" })
  socket.on("error", (e) => heard.push(e.method))
  const calls = [() => socket.request("x"), () => socket.end(), () => socket.startTls(), () => socket.send("x"), () => socket.read(),
    () => socket.write("x"), () => socket.pump({ message: "x", count: 1 }), () => socket.connect({ host: "127.0.0.1", port: 1 })]
  for (const call of calls) {
    const error = await call().catch((e) => e)
    console.log(error instanceof Error, error.name, error.method, error.code, String(error) === error.error(), heard.pop() === error.method, heard.length)
  }
  console.log(thrown(() => socket.pump({ message: "x", count: 1, expect: (m) => true })))
  console.log(thrown(() => socket.pump({ message: "x", count: 1, reply: { until: (m) => true } })))
  console.log(thrown(() => socket.pump("x")))"#,
    );
    let of = |method: &str, code: &str| format!("true TCPError {method} {code} true true 0");
    let forms = "is { equals: data }, { offset, equals: data } or { contains: data }, and no function: no script runs while pump() does";
    assert_eq!(
        lines,
        [
            of("request", "ENOTCONN"),
            of("end", "ENOTCONN"),
            of("startTls", "ENOTCONN"),
            of("write", "ENOTCONN"),
            of("read", "ENOTCONN"),
            of("write", "ENOTCONN"),
            of("request", "ENOTCONN"),
            of("connect", "ECONNREFUSED"),
            format!("TypeError: expect {forms}"),
            format!("TypeError: reply.until {forms}"),
            "TypeError: pump() takes options such as { message: \"ping\", count: 1000 }, not \"x\""
                .to_owned(),
        ]
    );
}

/// Slow, and then not any more.
#[test]
fn a_limit_is_set_changed_and_taken_away() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = await connected({ framing: "u32" })
  const took = async (limits, size) => {
    socket.throttle(limits)
    const begun = Date.now()
    await socket.request(new Uint8Array(size))
    return Date.now() - begun
  }
  const slow = await took({ write: 10_000 }, 4_000)
  const slower = await took({ read: 5_000 }, 3_000)
  // The best of three, because the machine may stand still meanwhile.
  const tries = []
  for (let at = 0; at < 3; at++) tries.push(await took({ read: 0 }, 3_000))
  const faster = Math.min(...tries)
  const free = await took({ write: 0 }, 1_000_000)
  console.log(slow >= 300, slower >= 500, faster >= 200 && faster < slower, free < 5_000)
  for (const wrong of [() => socket.throttle(), () => socket.throttle(1000), () => socket.throttle({ read: -1 }), () => socket.throttle({ write: "fast" })])
    console.log(thrown(wrong))
  socket.destroy()"#,
    );
    assert_eq!(
        lines,
        [
            "true true true true",
            "TypeError: throttle() takes limits in bytes per second, as in { read: 1000, write: 0 }",
            "TypeError: throttle() takes limits in bytes per second, as in { read: 1000, write: 0 }",
            "TypeError: read is a whole number of at least 0, not -1",
            "TypeError: write is a whole number of at least 0, not \"fast\"",
        ]
    );
}

/// What holds for `k6/x/tcp` holds here, too.
#[test]
fn a_script_of_the_documented_socket_runs_here() {
    let lines = logged(
        Behaviour::Echo,
        r#"
  const socket = new Socket({ tags: { a: 1 } })
  const seen = []
  socket.on("connect", () => seen.push("connect"))
  socket.on("data", (data) => { seen.push(`data ${data.length}`); socket.destroy() })
  socket.on("close", () => console.log([...seen, "close"].join()))
  console.log(await socket.connect({ host: to.host, port: Number(to.port), tags: { b: 2 } }), socket.connected, socket.ready_state)
  console.log(socket.remote_ip, socket.remote_port === Number(to.port), socket.local_port > 0, socket.local_ip)
  await socket.write("aGVsbG8=", { encoding: "base64", tags: { c: 3 } })"#,
    );
    assert_eq!(lines, ["null true open", "127.0.0.1 true true 127.0.0.1", "connect,data 5,close"]);
}
