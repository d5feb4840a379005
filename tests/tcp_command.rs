//! `senary tcp`: a load test in one line, and the script that it prints.

use std::time::Duration;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

fn tcp(args: &[&str]) -> Outcome {
    let program = Program::new(BINARY).arg("tcp").args(args.iter().copied());
    program.within(Duration::from_secs(60)).run()
}

/// Runs against the echo server, and exports the summary as scripts of the tests do.
fn echoed(args: &[&str]) -> Outcome {
    let mut all =
        vec!["--with-echo", "--quiet", "--summary-export", "summary.json", "--summary-trend-stats", "count"];
    all.extend(args);
    tcp(&all)
}

#[test]
fn a_count_is_sent_and_answered() {
    let outcome = echoed(&["-m", "hello", "-m", r"wor\x6cd", "--count", "103", "--connections", "10"]);
    outcome.expect_code(0);
    for (metric, key, value) in [
        ("tcp_reqs", "count", 103.0),
        ("tcp_msgs_received", "count", 103.0),
        ("tcp_sockets", "count", 10.0),
        ("tcp_req_duration", "count", 103.0),
        ("iterations", "count", 10.0),
    ] {
        outcome.expect_value(metric, key, value);
    }
}

#[test]
fn a_rate_is_kept_for_the_duration() {
    let outcome = echoed(&["-m", "x", "--rate", "200", "--connections", "4", "--duration", "2s"]);
    outcome.expect_code(0);
    let sent = outcome.measured("tcp_reqs", "count");
    assert!((396.0..=404.0).contains(&sent), "{sent} requests at 200/s in 2 s");
}

#[test]
fn churn_opens_a_connection_for_each_request() {
    let outcome = echoed(&["-m", "x", "--churn", "--count", "20", "--connections", "3"]);
    outcome.expect_code(0).expect_value("tcp_sockets", "count", 20.0).expect_value("tcp_reqs", "count", 20.0);
}

#[test]
fn what_is_not_as_expected_fails_thresholds() {
    let wrong =
        ["-m", "hello", "--count", "5", "--expect", "goodbye", "--threshold", "tcp_req_failed: rate==0"];
    echoed(&wrong).expect_code(99).expect_value("tcp_reqs", "count", 5.0);
    let right = ["-m", "hello", "--count", "5", "--expect", "ell", "--threshold", "tcp_req_failed: rate==0"];
    echoed(&right).expect_code(0);
}

#[test]
fn a_server_that_is_not_there_makes_the_run_red() {
    let outcome = tcp(&["127.0.0.1:1", "-m", "x", "--count", "1", "--quiet"]);
    outcome.expect_code(121).expect_text("ECONNREFUSED");
}

#[test]
fn the_files_of_tls_are_read() {
    let server = Server::start_mutual_tls(Behaviour::Echo);
    let (certificate, key) = Certificate::client_pem();
    let with = |args: &[&str]| {
        let program = Program::new(BINARY)
            .file("ca.pem", Certificate::authority_pem())
            .file("cert.pem", &certificate)
            .file("key.pem", &key)
            .arg("tcp")
            .arg(format!("localhost:{}", server.port()))
            .args(["-m", "hello", "--count", "3", "--quiet", "--tls", "--tls-ca", "ca.pem"])
            .args(args.iter().copied());
        program.within(Duration::from_secs(60)).run()
    };
    with(&["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-servername", "127.0.0.1"]).expect_code(0);
    with(&[]).expect_code(121).expect_text("certificate required");
    with(&["--tls-cert", "none.pem", "--tls-key", "key.pem"]).expect_code(107).expect_text("none.pem");
}

/// The peer answers, but not with what the framing takes for a message.
#[test]
fn a_wrong_framing_is_suspected_where_bytes_come_and_no_message() {
    let start =
        || Server::start(Behaviour::Chunks { chunks: &["no line", "end"], gap: Duration::from_secs(30) });
    let hint = "7 B of what has come are no whole message: is the framing right?";
    let server = start();
    let target = server.address().to_string();
    let outcome = tcp(&[&target, "-m", "x", "--count", "1", "--timeout", "500ms", "--quiet"]);
    outcome.expect_code(121).expect_text(hint);
    let script = r#"
import { Socket } from "senary/tcp"
export default async function () {
  const socket = new Socket({ framing: "lines" })
  await socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST)
  await socket.request("x", { timeout: 500 }).catch(() => {})
  socket.destroy()
}"#;
    let server = start();
    Program::script(BINARY, script).target(&server).run().expect_code(0).expect_text(hint);
}

#[test]
fn the_printed_script_does_the_same() {
    let args = [
        "-m",
        "hello",
        r"-m=\xff\x00",
        "--framing",
        "u16",
        "--count",
        "7",
        "--connections",
        "2",
        "--with-echo",
    ];
    let mut print = args.to_vec();
    print.push("--print-script");
    let printed = tcp(&print);
    printed.expect_code(0);
    let script = printed.stdout.clone();
    assert!(script.starts_with("import { Socket } from \"senary/tcp\"\n"), "{script}");
    let run = Program::script(BINARY, &script)
        .args(["--with-echo", "--quiet"])
        .within(Duration::from_secs(60))
        .run();
    run.expect_code(0).expect_value("tcp_reqs", "count", 7.0).expect_value("tcp_sockets", "count", 2.0);
}

/// Options that other flags set are in the script, so that it does the same without them.
#[test]
fn the_printed_script_has_the_options_of_other_flags() {
    let server = Server::start_tls(Behaviour::Echo, Certificate::Valid);
    let target = format!("localhost:{}", server.port());
    let args = [&target, "-m", "x", "-n", "3", "--tls", "--insecure-skip-tls-verify", "--tag", "build=7"];
    let mut args = args.to_vec();
    args.extend(["--threshold", "tcp_reqs{build:7}: count==3", "--summary-trend-stats", "p(42)"]);
    args.extend(["--system-tags", "name,error_code", "--dns", "ttl=1m", "--print-script"]);
    let printed = tcp(&args);
    printed.expect_code(0);
    let run = Program::script(BINARY, &printed.stdout).arg("--quiet").within(Duration::from_secs(60)).run();
    run.expect_code(0).expect_value("tcp_reqs", "count", 3.0);
    assert!(run.value("tcp_req_duration", "p(42)").is_some(), "{}", run.stdout);
    tcp(&["127.0.0.1:1", "-m", "x", "--tag", "build", "--print-script"]).expect_text("invalid tag");
}

/// Each of several messages has its turn, however few a connection sends.
#[test]
fn messages_take_turns_over_connections_that_come_and_go() {
    let args = ["-m", "one", "-m", "two", "--churn", "-n", "6", "-C", "1"];
    let expect = ["--expect", "two", "--threshold", "tcp_req_failed: rate==0.5"];
    echoed(&[&args[..], &expect[..]].concat()).expect_code(0).expect_value("tcp_reqs", "count", 6.0);
}

/// Where there are more connections than requests, the connections without a request have not failed.
#[test]
fn a_connection_without_a_request_is_no_failure() {
    let outcome = echoed(&["-m", "x", "-n", "2", "-C", "5"]);
    outcome.expect_code(0).expect_value("tcp_sockets", "count", 5.0).expect_value("tcp_reqs", "count", 2.0);
    assert!(!outcome.stderr.contains("answered"), "{}", outcome.stderr);
}

/// All connections together keep to the rate, even if it is lower than their number, and they send in turn.
#[test]
fn connections_share_a_rate_in_turn() {
    for (rate, connections, seconds) in [("10", "50", "1s"), ("120", "50", "1s"), ("30", "4", "1500ms")] {
        let outcome = echoed(&["-m", "x", "-r", rate, "-C", connections, "-d", seconds]);
        let sent = outcome.measured("tcp_reqs", "count");
        let expected = rate.parse::<f64>().unwrap() * if seconds == "1s" { 1.0 } else { 1.5 };
        outcome.expect_code(0);
        assert!(
            (sent - expected).abs() <= 1.0,
            "{sent} requests over {connections} connections, not {expected}"
        );
    }
}

/// Connections that come and go are opened no faster than asked for.
#[test]
fn churn_opens_no_more_per_second_than_it_may() {
    let begun = std::time::Instant::now();
    let outcome = echoed(&["-m", "x", "--churn", "--connect-rate", "20", "-n", "11", "-C", "3"]);
    outcome.expect_code(0).expect_value("tcp_sockets", "count", 11.0);
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    // The best of three, because what is missed while the machine stands still is not made up for.
    let mut most = 0.0;
    for _ in 0..3 {
        let outcome = echoed(&["-m", "x", "--churn", "--connect-rate", "10", "-d", "3s", "-C", "4"]);
        let opened = outcome.expect_code(0).measured("tcp_sockets", "count");
        assert!(opened <= 31.0, "{opened} connections in 3 s at 10/s");
        most = opened.max(most);
        if most >= 24.0 {
            break;
        }
    }
    assert!(most >= 24.0, "{most} connections in 3 s at 10/s");
}

/// A run may be shorter than a second, though the option `duration` of a scenario may not.
#[test]
fn a_run_may_be_short() {
    echoed(&["-m", "x", "-d", "100ms", "--timeout", "800ms"]).expect_code(0);
}

/// A message that is in a file is checked before the run, too.
#[test]
fn a_file_that_does_not_fit_the_framing_is_refused() {
    let with = |content: &str| {
        let program = Program::new(BINARY).file("message.txt", content).arg("tcp").arg("--with-echo");
        program
            .args(["--message-file", "message.txt", "-n", "2", "--quiet"])
            .within(Duration::from_secs(60))
            .run()
    };
    with("hello").expect_code(0);
    let refused = with("hello\n");
    refused
        .expect_code(255)
        .expect_text("the message in the file message.txt cannot be sent with --framing lines");
    refused.expect_text("leave out what ends the message, the framing adds that");
}

#[test]
fn what_cannot_be_understood_says_what_to_do() {
    for (args, text) in [
        (&[][..], "accepts 1 arg(s), received 0: the address of the server, e.g. localhost:6379"),
        (&["localhost", "-m", "x"], "\\\"localhost\\\" is not an address: give HOST:PORT"),
        (&["h:0", "-m", "x"], "is not an address"),
        (&["h:1"], "there is nothing to send: give --message"),
        (&["h:1", "-m", r"a\q"], "is not an escape"),
        (&["h:1", "-m", "f", "--hex"], "pairs of hexadecimal digits"),
        (&["h:1", "-m", "x", "-f", "{"], "--framing takes a name such as lines"),
        (&["h:1", "-m", "x", "--threshold", "p(99)<5"], "is not a threshold: give METRIC: EXPRESSION"),
        (&["h:1", "-m", "x", "--tls-servername", "a"], "the options of TLS need --tls"),
        (&["h:1", "-m", "x", "-C", "0"], "give a whole number from 1"),
        (&["h:1", "-m", "x", "-f", "u33"], "there is no framing \\\"u33\\\""),
        (&["h:1", "-m", "x", "-f", "linse"], "did you mean lines?"),
        (
            &["h:1", "-m", "x", "-f", r#"{"length":{"bites":2}}"#],
            r#"no field \"bites\": did you mean \"bytes\"?"#,
        ),
        (
            &["h:1", "-m", "x", "-f", r#"{"length":{"bytes":9}}"#],
            "--framing: `length.bytes` has to be a number",
        ),
        (&["h:1", "-m", "x", "-f", "{}"], "--framing: a framing has exactly one of delimiter"),
        (&["h:1", "-m", "x", "-f", r#"{"fixed":2}"#], "the message has 1 bytes"),
        (&["h:1", "-m", r"PING\r\n"], "leave out what ends the message, the framing adds that"),
        (&["h:1", "-m", "x", "-d", "0"], "give a time above 0, such as 10s"),
        (&["h:1", "-m", "x", "-d", "-1s"], "give a time above 0, such as 10s"),
        (&["h:1", "-m", "x", "--timeout", "0"], "give a time above 0, such as 10s"),
        (&["h:1", "-m", "x", "--churn", "-d", "500ms"], "--churn takes a --duration of 1s or more"),
        (
            &["h:1", "-m", "x", "--churn", "--window", "2"],
            "--churn makes one request per connection: leave --window out",
        ),
        (&["h:1", "-m", "x", "--tls", "--tls-cert", "a"], "--tls-cert and --tls-key belong together"),
        (&["h:1", "-m", "x", "--tls", "--tls-key", "a"], "--tls-cert and --tls-key belong together"),
    ] {
        let outcome = tcp(args);
        outcome.expect_code(255);
        outcome.expect_text(text);
    }
}
