//! WebSockets against servers that answer, and ones that flood, lie, break off or say nothing: scripts hear of it, nothing
//! hangs, and the books have every session.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use senary_testkit::{Behaviour, Outcome, Program, Server, WebSocketPeer, frame};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn server(peer: WebSocketPeer) -> Server {
    Server::start(Behaviour::WebSocket(peer))
}

/// Listens to everything on the event loop; `more` is script that has the socket as `ws`.
fn on_the_event_loop(server: &Server, more: &str, args: &[&str]) -> Outcome {
    let script = format!(
        "import {{ WebSocket }} from 'k6/websockets'
        export default function () {{
          const events = []
          const options = __ENV.COMPRESSION ? {{ compression: 'deflate' }} : {{}}
          const ws = new WebSocket(`ws://${{__ENV.TCP_HOST}}:${{__ENV.TCP_PORT}}/x`, null, options)
          ws.binaryType = 'arraybuffer'
          ws.onopen = () => events.push('open')
          ws.onmessage = (e) => events.push(typeof e.data === 'string' ? e.data : e.data.byteLength)
          ws.onping = () => events.push('ping')
          ws.onpong = () => events.push('pong')
          ws.onerror = (e) => events.push(e.error)
          ws.onclose = (e) => console.log([...events, e.code, e.reason].join('|'))
          {more}
        }}"
    );
    Program::script(BINARY, &script).target(server).args(args.iter().copied()).run()
}

/// The same with `k6/ws`; `more` has the socket as `ws`.
fn blocking(server: &Server, more: &str, args: &[&str]) -> Outcome {
    let script = format!(
        "import ws from 'k6/ws'
        export default function () {{
          const events = []
          const options = __ENV.COMPRESSION ? {{ compression: 'deflate' }} : {{}}
          const url = `ws://${{__ENV.TCP_HOST}}:${{__ENV.TCP_PORT}}/x`
          const response = ws.connect(url, options, (ws) => {{
            ws.on('open', () => events.push('open'))
            ws.on('message', (text) => events.push(text))
            ws.on('binaryMessage', (data) => events.push(data.byteLength))
            ws.on('ping', () => events.push('ping'))
            ws.on('pong', () => events.push('pong'))
            ws.on('error', (e) => events.push(e.error()))
            ws.on('close', (code) => events.push(code, ''))
            {more}
          }})
          if (response.status !== 101 || response.error) events.push(response.error, response.status, response.body)
          console.log(events.join('|'))
        }}"
    );
    Program::script(BINARY, &script).target(server).args(args.iter().copied()).run()
}

/// The code in the closing frame that a connection has ended with.
fn closing_code(server: &Server) -> Option<u16> {
    let received = server.received().pop()?;
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")?;
    let mut rest = &received[head + 4..];
    loop {
        let [first, length, a, b, _, _, content @ ..] = rest else { return None };
        let length = usize::from(length & 0x7f);
        assert!(length < 126, "only short frames are expected");
        match content {
            [high, low, ..] if *first == 0x88 => return Some(u16::from_be_bytes([high ^ a, low ^ b])),
            _ => rest = content.get(length..)?,
        }
    }
}

#[test]
fn everything_is_told_in_the_order_it_came() {
    let words = [
        frame(0x81, b"first"),
        frame(0x89, b"are you there"),
        frame(0x01, b"sec"),
        frame(0x8a, b"unasked"),
        frame(0x80, b"ond"),
        frame(0x82, &[1; 70_000]),
        frame(0x88, &[0x03, 0xe8, b'o', b'k']),
    ];
    for module in [on_the_event_loop, blocking] {
        let server = server(WebSocketPeer::Says(words.concat()));
        let outcome = module(&server, "", &[]);
        outcome.expect_code(0).expect_text("open|first|ping|pong|second|70000|1000|");
        outcome.expect_value("ws_msgs_received", "count", 3.0).expect_value("ws_sessions", "count", 1.0);
        assert!(server.all_closed(Duration::from_secs(10)));
        assert_eq!(closing_code(&server), Some(1000));
    }
}

#[test]
fn what_the_server_must_not_say_ends_the_session() {
    let mut claim = vec![0x82, 127];
    claim.extend(u64::to_be_bytes(1 << 40));
    for (words, text, code) in [
        (frame(0x81, b"\xff\xfe"), "invalid UTF-8 in a text message", 1007),
        (frame(0x83, b"x"), "bad opcode 3", 1002),
        (frame(0xc1, b"x"), "unexpected reserved bits 0x40", 1002),
        (frame(0x80, b"x"), "continuation of no message", 1002),
        (frame(0x88, &[3]), "a closing frame with one byte", 1002),
        (frame(0x88, &[3, 0xe8, 0xff]), "invalid UTF-8 in a closing frame", 1007),
        (claim, "read limit exceeded", 1009),
    ] {
        for module in [on_the_event_loop, blocking] {
            let server = server(WebSocketPeer::Says(words.clone()));
            let outcome = module(&server, "", &[]);
            outcome.expect_code(0).expect_text("open|websocket: ").expect_text(text).expect_text("|1006|");
            assert!(server.all_closed(Duration::from_secs(10)), "{text}");
            assert_eq!(closing_code(&server), Some(code), "{text}");
        }
    }
}

#[test]
fn a_connection_that_breaks_off_is_an_error() {
    for words in [frame(0x81, b"whole"), [frame(0x81, b"whole"), vec![0x81, 5, b'h']].concat()] {
        for module in [on_the_event_loop, blocking] {
            let server = server(WebSocketPeer::SaysAndLeaves(words.clone()));
            let outcome = module(&server, "", &[]);
            let events = "open|whole|websocket: close 1006 (abnormal closure): unexpected EOF|1006|";
            outcome.expect_code(0).expect_text(events);
            outcome.expect_value("ws_msgs_received", "count", 1.0);
        }
    }
}

/// A message that takes a little on the wire and much in memory.
#[test]
fn a_message_that_swells_is_stopped_at_the_limit() {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 80 << 20]).expect("memory");
    let bomb = encoder.finish().expect("memory");
    assert!(bomb.len() < 1 << 20);
    for module in [on_the_event_loop, blocking] {
        let server = server(WebSocketPeer::Agrees(frame(0xc2, &bomb)));
        let outcome = module(&server, "", &["--vu-memory-limit=64MB", "-e", "COMPRESSION=1"]);
        let events = "open|websocket: read limit exceeded: a message has more than 16000000 bytes|1006|";
        outcome.expect_code(0).expect_text(events);
        assert!(server.all_closed(Duration::from_secs(10)));
        assert_eq!(closing_code(&server), Some(1009));
    }
}

/// Nothing more is read than script has heard of, so a flood stays in the kernel.
#[test]
fn a_flood_fills_no_memory() {
    for words in [frame(0x81, &[b'x'; 1000]), frame(0x89, b"ping"), frame(0x81, b"")] {
        for (module, more) in [
            (
                on_the_event_loop as fn(&Server, &str, &[&str]) -> Outcome,
                "const busy = () => { for (const begin = Date.now(); Date.now() - begin < 1;); }
                ws.onmessage = busy
                ws.onping = busy
                setTimeout(() => { throw new Error('enough|') }, 500)",
            ),
            (
                blocking,
                "ws.on('message', () => { events.length = 0 })
                ws.on('ping', () => { events.length = 0 })
                ws.setTimeout(() => { events.push('enough'); ws.close() }, 500)",
            ),
        ] {
            let server = server(WebSocketPeer::Floods(words.clone()));
            let outcome = module(&server, more, &["--vu-memory-limit=16MB"]);
            outcome.expect_code(0).expect_text("enough|");
            outcome.expect_value("ws_sessions", "count", 1.0);
        }
    }
}

/// Nor does it keep a session from its end.
#[test]
fn a_closing_frame_is_not_waited_for_without_end() {
    for peer in [WebSocketPeer::Floods(frame(0x82, &[7; 5000])), WebSocketPeer::Says(Vec::new())] {
        let server = server(peer);
        let outcome = on_the_event_loop(&server, "ws.onopen = () => ws.close(3000, 'bye')", &[]);
        let text = "websocket: the closing frame was not answered within 10s|1006|";
        outcome.expect_code(0).expect_text(text).expect_value("ws_sessions", "count", 1.0);
    }
}

#[test]
fn answers_that_are_no_handshake() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20)).into_bytes();
    let many = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(10_000)).into_bytes();
    let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".to_vec();
    for (peer, text, answer) in [
        (WebSocketPeer::Answers(long), "its head is longer than 65536 bytes", "|0|"),
        (WebSocketPeer::Answers(many), "malformed HTTP response", "|0|"),
        (WebSocketPeer::Answers(b"SSH-2.0-OpenSSH_9\r\n".to_vec()), "malformed HTTP response", "|0|"),
        (WebSocketPeer::Drips(refused.clone()), "websocket: bad handshake", "|403|no"),
        (WebSocketPeer::Answers(refused), "websocket: bad handshake", "|403|no"),
        (WebSocketPeer::SaysAndLeaves(Vec::new()), "unexpected EOF", "1006"),
    ] {
        let server = server(peer.clone());
        let outcome = on_the_event_loop(&server, "", &[]);
        outcome.expect_code(0).expect_text(text).expect_text("1006|");
        outcome.expect_value("ws_sessions", "count", 1.0);
        let server = self::server(peer);
        let outcome = blocking(&server, "", &[]);
        outcome.expect_code(0).expect_text(answer).expect_value("ws_sessions", "count", 1.0);
    }
}

#[test]
fn a_server_that_says_nothing_ends_with_the_scenario() {
    let silent = Behaviour::WebSocket(WebSocketPeer::Says(Vec::new()));
    for (behaviour, status) in [(Behaviour::Sink, false), (Behaviour::NeverReads, false), (silent, true)] {
        for (import, call) in [
            ("import { WebSocket } from 'k6/websockets'", "new WebSocket(url)"),
            ("import ws from 'k6/ws'", "ws.connect(url, () => {})"),
        ] {
            let server = Server::start(behaviour.clone());
            let script = format!(
                "{import}
                const scenario = {{ executor: 'constant-vus', vus: 2, duration: '1s', gracefulStop: '200ms' }}
                export const options = {{ scenarios: {{ scenario }} }}
                const url = `ws://${{__ENV.TCP_HOST}}:${{__ENV.TCP_PORT}}/`
                export default function () {{ {call} }}"
            );
            let outcome = Program::script(BINARY, &script).target(&server).run();
            outcome.expect_code(0).expect_value("ws_sessions", "count", 2.0);
            outcome.expect_value("iterations", "count", 0.0);
            let doing = if status { "connected to" } else { "connecting to" };
            outcome.expect_text(&format!("waiting for a socket, {doing} ws://127.0.0.1:{}/", server.port()));
            if status {
                assert!(server.all_closed(Duration::from_secs(10)));
                // The VUs leave, and say so.
                let code = if import.contains("k6/ws'") { 1001 } else { 1000 };
                assert_eq!(closing_code(&server), Some(code));
            }
        }
    }
}

#[test]
fn much_goes_both_ways_at_once() {
    let server = server(WebSocketPeer::Echo);
    let more = "
          let heard = 0
          ws.onopen = () => { for (let n = 0; n < 20; n++) ws.send(new Uint8Array(1 << 20)) }
          ws.onmessage = (e) => {
            heard += e.data.byteLength
            if (heard === 20 << 20) {
              console.log('all is back', ws.bufferedAmount)
              ws.close(4000, 'done')
            }
          }";
    let outcome = on_the_event_loop(&server, more, &[]);
    outcome.expect_code(0).expect_text("all is back 0").expect_text("4000|done");
    outcome.expect_value("ws_msgs_sent", "count", 20.0).expect_value("ws_msgs_received", "count", 20.0);
    let more = "
            let heard = 0
            ws.on('open', () => { for (let n = 0; n < 20; n++) ws.sendBinary(new ArrayBuffer(1 << 20)) })
            ws.on('binaryMessage', (data) => { heard += data.byteLength; if (heard === 20 << 20) ws.close() })";
    let server = self::server(WebSocketPeer::Echo);
    let outcome = blocking(&server, more, &[]);
    outcome.expect_code(0).expect_text("|1048576|1001|");
    outcome.expect_value("ws_msgs_sent", "count", 20.0).expect_value("ws_msgs_received", "count", 20.0);
}

#[test]
fn what_was_sent_before_the_end_arrives() {
    for (module, more) in [
        (
            on_the_event_loop as fn(&Server, &str, &[&str]) -> Outcome,
            "ws.onopen = () => { for (let n = 0; n < 8; n++) ws.send(new Uint8Array(1 << 20)); ws.close() }",
        ),
        (
            blocking,
            "ws.on('open', () => { for (let n = 0; n < 8; n++) ws.sendBinary(new ArrayBuffer(1 << 20)); ws.close() })",
        ),
    ] {
        let server = server(WebSocketPeer::Says(Vec::new()));
        let outcome = module(&server, more, &[]);
        outcome.expect_code(0);
        let sent = outcome.value("ws_msgs_sent", "count").unwrap_or_default();
        assert!(sent >= 8.0 && server.has_received((sent * 1_048_576.0) as u64, Duration::from_secs(20)));
    }
}

#[test]
fn options_that_are_not_known_are_told_once() {
    let server = server(WebSocketPeer::Echo);
    let script = "import ws from 'k6/ws'
        import { WebSocket } from 'k6/websockets'
        export const options = { iterations: 3 }
        export default function () {
          const url = `ws://${__ENV.TCP_HOST}:${__ENV.TCP_PORT}/x`
          const response = ws.connect(url, { header: { A: 1 }, tags: { a: 'b' } }, (socket) => socket.close())
          console.log(response.status)
          try { new WebSocket(url, null, { tag: {} }) } catch (e) { console.log(e.message) }
        }";
    let program = Program::new(BINARY).file("script.js", script).args(["run", "--quiet", "script.js"]);
    let outcome = program.target(&server).run();
    outcome.expect_code(0);
    let said = |text: &str| outcome.stderr.matches(text).count();
    assert_eq!((said("unknown WebSocket's option tag"), said("msg=101")), (3, 3));
    assert_eq!(said("ws.connect() has no option"), 1, "{}", outcome.stderr);
    assert_eq!(said("new WebSocket() has no option"), 1, "{}", outcome.stderr);
    assert_eq!(
        (said("did you mean \\\"headers\\\"?"), said("did you mean \\\"tags\\\"?")),
        (1, 1),
        "{}",
        outcome.stderr
    );
}
