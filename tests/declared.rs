//! What `api/senary-tcp.d.ts` declares: which test shows what of it, and what no other test has, by scripts against servers that
//! echo.

#[path = "declared/members.rs"]
mod members;
#[path = "declared/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

const BEFORE: &str = r#"
import { Socket } from "senary/tcp"
async function caught(promise) { try { return await promise } catch (e) { return `${e.name} ${e.method} ${e.code}` } }
async function connected(options) {
  const socket = new Socket(options)
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  return socket
}
export default async function () {
"#;

/// Runs a script whose iteration is `body`.
fn run(server: &Server, body: &str) -> Outcome {
    Program::script(BINARY, &format!("{BEFORE}{body}\n}}"))
        .target(server)
        .args(["--console-output", "log.txt", "--summary-trend-stats", "count,min,max"])
        .within(Duration::from_secs(30))
        .run()
}

fn logged(body: &str) -> Vec<String> {
    lines(&run(&Server::start(Behaviour::Echo), body))
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.expect_code(0);
    outcome.file("log.txt").lines().map(str::to_owned).collect()
}

const DECLARATION: &str = include_str!("../api/senary-tcp.d.ts");

/// Nothing is declared without a test, no test is named that is not there, and nothing that is not declared.
#[test]
fn every_member_of_the_declaration_has_its_test() {
    let declared = members::of(DECLARATION);
    assert!(declared.len() > 250, "{declared:#?}");
    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut shown = std::collections::BTreeSet::new();
    for (test, members) in table::TABLE {
        let (file, name) = test.split_once("::").expect("file::test");
        let source = sources.entry(file).or_insert_with(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/{file}.rs"));
            std::fs::read_to_string(path).unwrap_or_default()
        });
        let is_test = source.split("#[test]").skip(1).any(|test| test.contains(&format!("fn {name}()")));
        if !is_test {
            wrong.push(format!("{test} is not there"));
        }
        for member in *members {
            if !declared.contains(*member) {
                wrong.push(format!("{member} is not declared"));
            }
            if !shown.insert((*member).to_owned()) {
                wrong.push(format!("{member} is in the table twice"));
            }
        }
    }
    wrong.extend(declared.difference(&shown).map(|member| format!("{member} has no test")));
    assert_eq!(wrong, Vec::<String>::new());
}

/// `declarations.rs` compiles a script that uses every name: here it is seen that it does.
#[test]
fn the_script_for_the_compiler_uses_every_name() {
    let script = include_str!("declared/names.ts");
    let words: Vec<&str> = script.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let unused: Vec<String> = members::of(DECLARATION)
        .into_iter()
        .filter(|member| !member.starts_with("tcp_") && !member.starts_with('E'))
        .filter(|member| match member.split_once(' ') {
            Some((_, value)) => !script.contains(value),
            None if member.ends_with(".constructor") => !script.contains("new Socket("),
            None if member.contains("p(") => !script.contains(&member.replace("PumpResult.", "")),
            None => member.split('.').skip(1).any(|word| !words.contains(&word)),
        })
        .collect();
    assert_eq!(unused, Vec::<String>::new());
}

/// The list of members is what stands there, and no more.
#[test]
fn members_are_found_in_a_declaration() {
    let text = r#"
/**
 * | `tcp_a`, `tcp_b` | counter | not `tcp_c`; `ERR_D` |
 */
declare module "m" {
  import { E } from "f"
  export type Union = "one" | 2 | { three: [not: number], four?: () => void } | ((not: number) => boolean)
  /** not: `this` */
  export class G extends E {
    constructor(options?: { five: number })
    six<T extends string>(not: T): Promise<null>
    readonly seven: "eight" | undefined // not: number
    [Symbol.asyncIterator](): Not<Not>
  }
}"#;
    let found: Vec<String> = members::of(text).into_iter().collect();
    let expected = [
        "ERR_D",
        "G.Symbol.asyncIterator",
        "G.constructor",
        "G.five",
        "G.seven",
        "G.seven \"eight\"",
        "G.six",
        "Union \"one\"",
        "Union 2",
        "Union.four",
        "Union.three",
        "tcp_a",
        "tcp_b",
    ];
    assert_eq!(found, expected);
}

/// A framing that is described takes apart what it has built.
#[test]
fn every_form_of_framing_can_be_described() {
    let lines = logged(
        r#"
  const framings = {
    magic: { length: { bytes: 2 }, magic: new Uint8Array([0xaa, 0x55]), trailer: "!" },
    delimiters: { delimiter: ["\r\n", "\n"], max: "64KiB" },
    start: { start: "<", delimiter: ">" },
    escape: { delimiter: "o", escape: { byte: 0x61, map: [[0x31, 0x6f], [0x32, 0x61]] } },
    fixed: { fixed: 7 },
    little: { length: { bytes: 4, endian: "little" } },
    adjust: { length: { bytes: 4, adjust: -4 } },
    mask: { length: { bytes: 2, mask: 0x0fff } },
    decimal: { length: { bytes: 4, as: "decimal" } },
    hex: { length: { bytes: 4, as: "hex" } },
    bcd: { length: { bytes: 2, as: "bcd" } },
    varint: { length: { as: "varint" } },
    until: { length: { bytes: { until: 0x3a, max: 5 }, as: "decimal" } },
    headers: { headers: { length: "Content-Length" }, header: "strip" },
    idle: { idle: 30 },
    directions: { receive: "lines", send: "crlf" },
    function: { receive: (bytes) => (bytes.length < 7 ? 0 : 7), send: { fixed: 7 } },
  }
  for (const [name, framing] of Object.entries(framings)) {
    const socket = await connected({ framing, encoding: "utf8" })
    const replies = [await caught(socket.request("payload")), await caught(socket.request("seven ."))]
    if (replies.join() !== "payload,seven .") console.log(name, replies.join())
    socket.destroy()
  }
  const kept = await connected({ framing: { length: { at: 4, bytes: 2 } }, encoding: "hex" })
  console.log(await kept.request(new Uint8Array([1, 2, 3, 4, 0, 0, 7, 8, 9])))
  kept.destroy()
  console.log("done")"#,
    );
    assert_eq!(lines, ["010203040003070809", "done"]);
}

#[test]
fn messages_are_handed_over_in_the_encoding_of_the_socket() {
    let lines = logged(
        r#"
  for (const encoding of ["utf8", "ascii", "latin1", "hex", "base64"]) {
    const socket = await connected({ framing: "u8", encoding })
    console.log(encoding, await socket.request(new Uint8Array([0x61, 0xc3, 0xa9])))
    socket.destroy()
  }"#,
    );
    assert_eq!(lines, ["utf8 aé", "ascii aC)", "latin1 aÃ©", "hex 61c3a9", "base64 YcOp"]);
}

#[test]
fn messages_are_read_one_by_one() {
    let lines = logged(
        r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  for (const line of ["one", "two", "three"]) await socket.send(line)
  const seen = []
  for await (const line of socket) {
    seen.push(line)
    if (line === "two") break
  }
  console.log(seen.join(), socket.ready_state, await socket.read())
  console.log(await caught(socket.read({ timeout: 30 })))
  socket.pause()
  await socket.send("kept back")
  const read = socket.read()
  const first = await Promise.race([read, new Promise((resolve) => setTimeout(resolve, 100, "nothing while paused"))])
  socket.resume()
  console.log(first, await read)
  await socket.end("last\n")
  const rest = []
  for await (const line of socket) rest.push(line)
  console.log(rest.join(), await socket.read())
  const short = await connected({ encoding: "utf8" })
  await short.end("four")
  console.log(await short.read(3), await caught(short.read(3)))"#,
    );
    assert_eq!(
        lines,
        [
            "one,two open three",
            "TCPError read ETIMEDOUT",
            "nothing while paused kept back",
            "last null",
            "fou TCPError read ERR_STREAM_ENDED",
        ]
    );
}

#[test]
fn frames_without_content_are_delivered_or_skipped() {
    let lines = logged(
        r#"
  for (const empty of ["deliver", "skip"]) {
    const socket = await connected({ framing: { length: { bytes: 1 }, empty }, encoding: "utf8" })
    await socket.send("")
    await socket.send("x")
    console.log(empty, JSON.stringify(await socket.read()))
    socket.destroy()
  }"#,
    );
    assert_eq!(lines, ["deliver \"\"", "skip \"x\""]);
}

#[test]
fn listeners_come_off_and_properties_tell_the_state() {
    let lines = logged(
        r#"
  const socket = await connected({ framing: "lines", encoding: "utf8" })
  const heard = []
  socket.on("message", (line) => heard.push(line))
  await socket.send("heard")
  await socket.once("message")
  socket.off("message")
  await socket.send("unheard")
  console.log(await socket.read(), heard.join())
  socket.framing = "u8"
  console.log(await socket.request("framed"), typeof socket.framing, socket.tls, socket.writable_length)
  socket.destroy()
  await socket.closed
  console.log(socket.tcpInfo(), socket.ready_state)"#,
    );
    assert_eq!(lines, ["unheard heard", "framed string undefined 0", "undefined destroyed"]);
}

#[test]
fn an_encrypted_socket_tells_how() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let body = r#"
  const socket = new Socket({ framing: "lines", encoding: "utf8" })
  await socket.connect({ host: __ENV.TCP_HOST, port: __ENV.TCP_PORT, tls: { insecureSkipVerify: true, maxVersion: "tls1.2" } })
  const { version, cipher, alpn, resumed, peer } = socket.tls
  console.log(version, cipher.length > 5, alpn, resumed, await socket.request("encrypted"))
  console.log(Object.keys(peer).sort().join(), peer.issuer.length > 0, new Date(peer.notBefore) < new Date(peer.notAfter))
  socket.destroy()"#;
    let expected = [
        "tls1.2 true undefined false encrypted",
        "fingerprint256,issuer,notAfter,notBefore,subject true true",
    ];
    assert_eq!(lines(&run(&server, body)), expected);
}

#[test]
fn a_pump_writes_times_that_latency_reads() {
    let server = Server::start(Behaviour::Echo);
    let body = r#"
  const socket = await connected({ framing: "u16", latency: { offset: 0, bytes: 8, unit: "us", clock: "monotonic" } })
  const patches = [{ offset: 0, bytes: 8, value: "time" }, { offset: 8, bytes: 4, value: "random" }, { offset: 12, bytes: 2, value: "sequence", as: "little" }]
  const result = await socket.pump({ message: { data: new Uint8Array(14), patches }, count: 200, rate: "60000/m", arrival: "poisson" })
  const { latency, ...rest } = result
  console.log(result.sent, result.received, result.failed, result.duration > 0, Object.keys(rest).sort().join())
  const order = ["min", "med", "p(90)", "p(95)", "p(99)", "max"]
  console.log(Object.keys(latency).sort().join(), order.every((key, i) => i === 0 || latency[order[i - 1]] <= latency[key]), latency.avg > 0)
  socket.destroy()"#;
    let outcome = run(&server, body);
    let expected =
        ["200 200 0 true duration,failed,received,sent", "avg,max,med,min,p(90),p(95),p(99) true true"];
    assert_eq!(lines(&outcome), expected);
    outcome.expect_value("tcp_message_latency", "count", 200.0);
    let most = outcome.measured("tcp_message_latency", "max");
    assert!((0.0..20_000.0).contains(&most), "{most} ms");
}
