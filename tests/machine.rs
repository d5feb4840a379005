//! A machine at its limits: open files, threads, local ports, source addresses. A connect fails, the run goes on, and somebody
//! is told what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

/// Connects `N` sockets at once and keeps them; then everything else that needs a file, then with room again.
const CROWD: &str = r#"
import { Socket } from "k6/x/tcp"
const N = Number(__ENV.N)
const [port, host] = [__ENV.TCP_PORT, __ENV.TCP_HOST]
async function attempt(options) {
  const socket = new Socket()
  try {
    await socket.connect({ port, host, ...options })
    return { socket, code: "connected" }
  } catch (error) {
    return { code: error.code, message: error.message }
  }
}
export default async function () {
  const all = []
  for (let n = 0; n < N; n++) all.push(await attempt())
  const open = all.filter((one) => one.code === "connected").map((one) => one.socket)
  const refused = all.filter((one) => one.code === "EMFILE")
  console.log("all:", open.length + refused.length === N, "refused:", refused.length, refused[0].message)
  console.log("a name:", (await attempt({ host: "localhost" })).code)
  open.pop().destroy()
  const unsure = await attempt({ port: __ENV.TLS_PORT, tls: true })
  console.log("the roots of TLS:", unsure.code, unsure.message)
  for (let n = 0; n < 5; n++) open.pop().destroy()
  const again = [await attempt(), await attempt({ port: __ENV.TLS_PORT, tls: true })]
  console.log("with room again:", again[0].code, again[1].code)
  for (const socket of [...open, ...again.map((one) => one.socket)]) socket.destroy()
}
export function teardown() {
  console.log("the run went on")
}
"#;

#[test]
fn open_files_run_out() {
    let server = Server::start(Behaviour::Echo);
    let tls = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let n = 100;
    let outcome = Program::script(BINARY, CROWD)
        .target(&server)
        .env("TLS_PORT", tls.port())
        .env("N", n)
        .file("ca.pem", Certificate::authority_pem())
        .env("SSL_CERT_FILE", "ca.pem")
        .args(["--workers", "1"])
        .open_files(n)
        .within(BOUND)
        .run();
    outcome.expect_code(0).expect_text("the run went on").expect_value("iterations", "count", 1.0);
    let line = outcome.log_lines("all: true refused: ")[0];
    let (refused, message) = line["all: true refused: ".len()..].split_once(' ').expect("a message");
    let port = server.port();
    assert_eq!(message, format!("dial tcp 127.0.0.1:{port}: socket: too many open files"));
    outcome.expect_text("a name: EMFILE").expect_text("with room again: connected connected");
    // A file that could not be opened is not remembered as one that is not there.
    outcome.expect_text("the roots of TLS: EMFILE open ca.pem: too many open files");
    let refused: f64 = refused.parse().expect("a number");
    assert!(refused > 0.0 && refused < n as f64 / 2.0, "{refused} of {n} were refused");
    outcome.expect_value("tcp_sockets", "count", n as f64 - refused + 2.0);
    outcome.expect_value("tcp_errors", "count", refused + 2.0);
    assert!(server.all_closed(BOUND) && tls.all_closed(BOUND));
    assert_eq!(server.accepted() as f64, n as f64 - refused + 1.0);
    let advice = outcome.log_lines("Out of open files");
    assert_eq!(advice.len(), 1, "said once: {}", outcome.stderr);
    assert!(
        advice[0].contains("this process may have 100") && advice[0].contains("ulimit -n"),
        "{}",
        advice[0]
    );
}

#[test]
fn a_plan_of_more_sockets_than_files_is_warned_of() {
    let sockets = "import { Socket } from 'k6/x/tcp'\nexport default function () { new Socket() }";
    let none = "export default function () {}";
    let warned = |script: &str, vus: &str, extra: &[&str]| {
        let program = Program::script(BINARY, script).args(["--vus", vus, "--iterations", vus]);
        let outcome = program.args(extra.iter().copied()).open_files(200).within(BOUND).run();
        outcome.expect_code(0);
        outcome.log_lines("open files").iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    };
    let [warning] = &warned(sockets, "300", &[])[..] else { panic!("one warning expected") };
    for text in
        ["up to 300 VUs", "only 200 are allowed", "`ulimit -n 1024`", "LimitNOFILE=1024", "nofile=1024"]
    {
        assert!(warning.contains(text), "{warning}");
    }
    assert_eq!(warned(sockets, "100", &[]), [""; 0]);
    assert_eq!(warned(sockets, "100", &["--with-echo"]).len(), 1, "both ends are in this process");
    assert_eq!(warned(none, "300", &[]), [""; 0]);
}

/// Every VU that sleeps has a stack, and every stack two memory maps.
#[test]
fn a_plan_of_more_stacks_than_memory_maps_is_warned_of() {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("a limit");
    let most: u64 = most.trim().parse().expect("a number");
    if most > 200_000 {
        eprintln!("not tested: so many VUs would take too long");
        return;
    }
    let warned = |script: &str, vus: u64, is_expected: bool| {
        let mut running =
            Program::script(BINARY, script).args(["--vus", &vus.to_string(), "--duration=1s"]).start();
        if is_expected {
            running.wait_for("memory maps");
        } else {
            std::thread::sleep(Duration::from_secs(2));
        }
        // Not all of them need be made.
        running.signal(Signal::INT);
        let outcome = running.finish();
        outcome.log_lines("memory maps").iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    };
    let sleeps = "import { sleep } from 'k6'\nexport default function () { sleep(1) }";
    let [warning] = &warned(sleeps, most / 2, true)[..] else { panic!("one warning expected") };
    for text in [&*format!("only {most} are allowed"), "vm.max_map_count="] {
        assert!(warning.contains(text), "{warning}");
    }
    assert_eq!(warned("export default function () {}", most / 2, false), [""; 0]);
    assert_eq!(warned(sleeps, 10, false), [""; 0]);
}

/// Waits at a gate; then looks a name up, connects to an address, and leaves teardown behind.
const THREADS: &str = r#"
import { Socket } from "k6/x/tcp"
export const options = { iterations: 1 }
async function attempt(host) {
  const socket = new Socket()
  try {
    await socket.connect(__ENV.TCP_PORT, host)
    socket.destroy()
    return "connected"
  } catch (error) {
    return `${error.code} ${error.message}`
  }
}
export default async function () {
  const gate = new Socket()
  const opened = new Promise((resolve) => gate.on("close", resolve))
  await gate.connect(__ENV.GATE, __ENV.TCP_HOST)
  console.log("at the gate")
  await opened
  console.log("a name:", await attempt("localhost"))
  console.log("an address:", await attempt("127.0.0.1"))
}
"#;

#[test]
fn threads_run_out() {
    let server = Server::start(Behaviour::Echo);
    let limited = |script: &str| {
        let gate = Server::start(Behaviour::Sink);
        let program = Program::script(BINARY, script).target(&server).env("GATE", gate.port());
        let Some(program) = program.within(BOUND).unprivileged() else {
            eprintln!("not tested: no user can be found for whom limits hold");
            return None;
        };
        let mut running = program.start();
        running.wait_for("at the gate").no_more_threads();
        drop(gate);
        Some(running.finish())
    };
    let Some(outcome) = limited(THREADS) else { return };
    outcome.expect_code(0).expect_text("an address: connected");
    outcome.expect_text(
        "a name: EAGAIN lookup localhost: cannot start a thread: Resource temporarily unavailable",
    );
    outcome.expect_value("tcp_errors", "count", 1.0).expect_value("iterations", "count", 1.0);
    let advice = outcome.log_lines("Out of threads");
    assert!(advice.len() == 1 && advice[0].contains("ulimit -u"), "{}", outcome.stderr);

    // What has to run on a thread of its own fails, and what was measured is still shown.
    let script = format!("{THREADS}\nexport function teardown() {{}}");
    let Some(outcome) = limited(&script) else { return };
    outcome
        .expect_code(255)
        .expect_text("teardown: resource temporarily unavailable: allow more processes (`ulimit -u`")
        .expect_text("TOTAL RESULTS");
    outcome.expect_value("iterations", "count", 1.0);
}

/// Opens a socket to each of `TARGETS`, again and again, until `SOCKETS` connects were tried; then says where from.
const PORTS: &str = r#"
import { Socket } from "k6/x/tcp"
const VUS = Number(__ENV.VUS || 1)
export const options = { scenarios: { s: { executor: "per-vu-iterations", vus: VUS, iterations: 1 } } }
export default async function () {
  const targets = __ENV.TARGETS.split(",")
  const open = []
  for (let n = 0; n < Number(__ENV.SOCKETS); n++) {
    const socket = new Socket()
    try {
      await socket.connect({ port: __ENV.PORT, host: targets[n % targets.length] })
      console.log(`from ${socket.local_ip} ${socket.local_port} to ${socket.remote_ip}`)
      open.push(socket)
    } catch (error) {
      console.log(`refused: ${error.code} ${error.message}`)
    }
  }
  for (const socket of open) socket.destroy()
}
"#;

/// Runs in a network of its own that has `ports` local ports, with an echo server on port 7000 of every address;
/// `None` where a user may not make networks.
fn with_local_ports(ports: u16, program: Program) -> Option<Outcome> {
    let makes = |flags: &str| {
        Command::new("unshare").args([flags, "true"]).output().is_ok_and(|o| o.status.success())
    };
    let Some(flags) = ["-n", "-rn"].into_iter().find(|flags| makes(flags)) else {
        eprintln!("not tested: networks cannot be made here");
        return None;
    };
    let last = 40000 + ports - 1;
    let inside = format!(
        r#"ip link set lo up && echo "40000 {last}" > /proc/sys/net/ipv4/ip_local_port_range || exit 99
        timeout 60 {BINARY} echo --listen 0.0.0.0:7000 > address &
        for i in $(seq 1000); do [ -s address ] && break; sleep 0.01; done
        "$@"; code=$?; kill $!; exit $code"#
    );
    let program = program.env("PORT", 7000).env("INSIDE", inside).within(BOUND);
    Some(program.under(&format!(r#"exec unshare {flags} sh -c "$INSIDE" sh "$@""#)).run())
}

#[test]
fn local_ports_run_out() {
    let program =
        Program::script(BINARY, PORTS).env("SOCKETS", 10).env("TARGETS", "127.1.0.1,127.1.0.1,127.1.0.2");
    let Some(outcome) = with_local_ports(4, program) else { return };
    outcome.expect_code(0);
    // Seven are for the first target, three for the second: each has four ports.
    assert_eq!(outcome.log_lines("to 127.1.0.1").len(), 4, "{}", outcome.stderr);
    assert_eq!(outcome.log_lines("to 127.1.0.2").len(), 3, "{}", outcome.stderr);
    let text = "refused: EADDRNOTAVAIL dial tcp 127.1.0.1:7000: connect: cannot assign requested address";
    assert_eq!(outcome.log_lines(text).len(), 3, "{}", outcome.stderr);
    outcome.expect_value("tcp_sockets", "count", 7.0).expect_value("tcp_errors", "count", 3.0);
    let advice = outcome.log_lines("Out of local ports");
    assert_eq!(advice.len(), 1, "said once: {}", outcome.stderr);
    for text in ["net.ipv4.ip_local_port_range", "--local-ips"] {
        assert!(advice[0].contains(text), "{}", advice[0]);
    }
}

/// A source address has all ports for each target: with A addresses, P ports and T targets there are A × P × T
/// connections. Were the port reserved by the bind, there would be A × P.
#[test]
fn source_addresses_multiply_the_local_ports() {
    let program = Program::script(BINARY, PORTS)
        .args(["--local-ips", "127.0.0.2-127.0.0.9"])
        .env("VUS", 8)
        .env("SOCKETS", 13)
        .env("TARGETS", "127.1.0.1,127.1.0.2,127.1.0.3");
    let Some(outcome) = with_local_ports(4, program) else { return };
    outcome.expect_code(0).expect_value("tcp_sockets", "count", 8.0 * 4.0 * 3.0);
    let mut sources = BTreeMap::<(&str, &str), BTreeSet<&str>>::new();
    for line in outcome.log_lines("from ") {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(sources.entry((words[1], words[2])).or_default().insert(words[4]), "twice: {line}");
    }
    assert_eq!(sources.len(), 8 * 4, "every port of every address");
    assert!(sources.values().all(|targets| targets.len() == 3), "is used for every target: {sources:?}");
    // The thirteenth of each VU.
    let refused = outcome.log_lines("refused: EADDRNOTAVAIL dial tcp 127.0.0.");
    assert_eq!(refused.len(), 8, "{}", outcome.stderr);
    outcome.expect_text("dial tcp 127.0.0.2:0->127.1.0.1:7000: connect: cannot assign requested address");
}

#[test]
fn users_take_source_addresses_in_turn() {
    let server = Server::start(Behaviour::Sink);
    let program = |local_ips: &str, target: &str| {
        let program = Program::script(BINARY, PORTS).args(["--local-ips", local_ips]).env("TARGETS", target);
        program.env("PORT", server.port()).env("SOCKETS", 1).env("VUS", 14).within(BOUND)
    };
    let outcome = program("127.0.0.2-127.0.0.5,127.0.1.0/30,127.0.0.9", "127.0.0.1").run();
    outcome.expect_code(0).expect_value("tcp_sockets", "count", 14.0);
    assert!(server.all_closed(BOUND));
    let mut sources = BTreeMap::new();
    for peer in server.peers() {
        *sources.entry(peer.ip().to_string()).or_insert(0) += 1;
    }
    let expected =
        ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9", "127.0.1.1", "127.0.1.2"];
    assert_eq!(sources, expected.into_iter().map(|ip| (ip.to_owned(), 2)).collect::<BTreeMap<_, _>>());

    // Addresses that are not this machine's (192.0.2.0/24 is nobody's), and of the other family.
    let port = server.port();
    let outcome = program("192.0.2.1", "127.0.0.1").run();
    let text = "bind: cannot assign requested address";
    let line = format!("refused: EADDRNOTAVAIL dial tcp 192.0.2.1:0->127.0.0.1:{port}: {text}");
    assert_eq!(outcome.log_lines(&line).len(), 14, "{}", outcome.stderr);
    let outcome = program("::1", "127.0.0.1").run();
    let text = "bind: address family not supported by protocol";
    let line = format!("refused: EAFNOSUPPORT dial tcp [::1]:0->127.0.0.1:{port}: {text}");
    assert_eq!(outcome.log_lines(&line).len(), 14, "{}", outcome.stderr);
}

/// A script that sleeps for the first time when it has every descriptor there is would keep time to the millisecond only.
#[test]
fn a_worker_has_its_timer_before_a_script_can_take_all_descriptors() {
    let server = Server::start(Behaviour::NeverReads);
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const socket = new Socket()
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  console.log("connected")
}
"#;
    let program = Program::script(BINARY, script).args(["--workers", "1", "--duration", "1h"]);
    let mut running = program.target(&server).within(BOUND).start();
    assert_eq!(running.wait_for("connected").timers(), Some(1));
    running.signal(Signal::INT);
    running.finish().expect_code(105);
}

#[test]
fn more_workers_than_the_system_gives_threads() {
    let program = Program::script(BINARY, "export default function () {}").args(["--workers", "16"]);
    let Some(program) = program.under(r#"exec prlimit --nproc=14 "$@""#).within(BOUND).unprivileged() else {
        eprintln!("not tested: no user can be found for whom limits hold");
        return;
    };
    program.run().expect_code(255).expect_text("resource temporarily unavailable");
}

/// What the smallest run has to do without, one limit after the other: it works, or it says what to do.
fn starved(limits: &[String], says: &[&str], extra: &[&str]) {
    let script = "import { sleep } from 'k6'\nexport default function () { sleep(0.01) }";
    for limit in limits {
        let program = Program::script(BINARY, script).args(["--vus", "2", "--iterations", "2"]);
        let program = program.args(extra.iter().copied()).under(&format!(r#"{limit} "$@""#)).within(BOUND);
        let Some(program) = program.unprivileged() else {
            eprintln!("not tested: no user can be found for whom limits hold");
            return;
        };
        let outcome = program.run();
        for word in ["panicked", "memory allocation of", "overflowed its stack", "os error"] {
            assert!(!outcome.stderr.contains(word), "{limit}: {}", outcome.stderr);
        }
        let code = outcome.code().unwrap_or_else(|| outcome.fail(&format!("{limit}: ended by a signal")));
        let is_told = says.iter().any(|text| outcome.stderr.contains(text));
        assert!(code == 0 || is_told, "{limit}: {code} {}", outcome.stderr);
    }
}

#[test]
fn processes_that_are_too_few_are_told() {
    let limits: Vec<_> = (1..12).map(|n| format!("exec prlimit --nproc={n}")).collect();
    starved(&limits, &["`ulimit -u`"], &[]);
    starved(
        &limits,
        &["`ulimit -u`"],
        &["--with-echo", "--address", "127.0.0.1:0", "--out", "json=out.json"],
    );
}

#[test]
fn open_files_that_are_too_few_are_told() {
    // With fewer, its libraries cannot be loaded.
    let limits: Vec<_> = (6..32).map(|n| format!("ulimit -n {n} && exec")).collect();
    starved(&limits, &["`ulimit -n`"], &[]);
    starved(
        &limits,
        &["`ulimit -n`"],
        &["--with-echo", "--address", "127.0.0.1:0", "--out", "json=out.json"],
    );
}

#[test]
fn a_stack_that_is_too_small_is_told() {
    let limits: Vec<_> = [64, 256, 1000, 1100, 8192].map(|n| format!("ulimit -s {n} && exec")).into();
    starved(&limits, &["`ulimit -s 8192`"], &[]);
    // The soft limit is raised to what the hard one allows.
    let outcome =
        Program::script(BINARY, "export default function () {}").under(r#"ulimit -Ss 64; exec "$@""#).run();
    outcome.expect_code(0);
}

/// Of a test that cannot even be held in memory no VU is made; the machine would go with it.
#[test]
fn more_vus_than_there_is_memory_for_are_refused() {
    for vus in ["100000000000", "9223372036854775807"] {
        let program = Program::script(BINARY, "export default function () {}").args(["--vus", vus]);
        let outcome = program.args(["--duration", "1s"]).within(BOUND).run();
        outcome.expect_code(104).expect_text(&format!("this test has {vus} VUs, and there is memory for"));
        outcome.expect_text("--execution-segment");
    }
}

/// What the system does not give while the run goes on ends it with a word, and not with a number of bytes and a core dump.
#[test]
fn memory_that_runs_out_is_told() {
    let script = "export const options = { vus: 200, iterations: 200 }\nexport default function () {}";
    let mut ended_for_it = 0;
    for mebibytes in (60..400).step_by(20) {
        let limit = format!(r#"ulimit -v {}; exec "$@""#, mebibytes << 10);
        let outcome = Program::script(BINARY, script).under(&limit).within(BOUND).run();
        assert!(!outcome.stderr.contains("memory allocation of"), "{}", outcome.stderr);
        // The engine and the C library have words of their own, in a script and where a thread cannot keep what it has to end.
        let is_told = ["`ulimit -v`", "out of memory"].iter().any(|text| outcome.stderr.contains(text));
        assert!(
            outcome.code() == Some(0) || is_told,
            "{mebibytes} MiB: {:?} {}",
            outcome.code(),
            outcome.stderr
        );
        ended_for_it += i32::from(outcome.code() != Some(0));
    }
    assert!(ended_for_it > 0, "none of the limits was reached");
}
