//! The generator tells on itself: a test it cannot keep up with ends with a verdict, one it can with none.

use std::io::Read;
use std::time::{Duration, Instant};

use senary_testkit::{Outcome, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(90);
const BOTTLENECK: &str = "the generator was the bottleneck";

/// More work per second than one worker can do in it.
const TOO_MUCH: &str = r#"
export const options = {
  scenarios: {
    burn: { executor: "constant-arrival-rate", rate: 100, duration: "6s", preAllocatedVUs: 10, maxVUs: 10, gracefulStop: "0s" },
  },
}
export default function () {
  const until = Date.now() + 50
  while (Date.now() < until);
}
"#;

fn too_much(script: &str, args: &[&str]) -> Outcome {
    let program = Program::script(BINARY, script).args(["--workers", "1"]).args(args.iter().copied());
    program.within(BOUND).run()
}

fn quiet(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains("bottleneck"), "{text}");
    }
}

#[test]
fn a_worker_that_cannot_keep_up_is_named() {
    let outcome = too_much(TOO_MUCH, &["--out", "json=samples.json"]);
    outcome.expect_code(0).expect_text(BOTTLENECK).expect_text("1 of 1 workers ");
    // Which advice depends on who has the cores: the script alone, or others beside it.
    let last = outcome.stdout.trim_end().lines().next_back().unwrap_or_default();
    assert!(last.trim_start().starts_with('↳'), "the advice comes last: {}", outcome.stdout);
    // Outputs have the figures behind it, summaries do not.
    let samples = outcome.file("samples.json");
    for metric in ["senary_worker_busy", "senary_worker_lag", "senary_start_lag", "senary_cpu"] {
        assert!(samples.contains(&format!(r#"{{"metric":"{metric}","type":"Point""#)), "no {metric}");
    }
    assert!(!outcome.file("summary.json").contains("senary_") && !outcome.stdout.contains("senary_"));
}

#[test]
fn saturation_can_be_a_failure() {
    let outcome = too_much(TOO_MUCH, &["--fail-on-saturation"]);
    outcome.expect_code(120).expect_text(BOTTLENECK).expect_text("--fail-on-saturation");
}

#[test]
fn without_the_default_text_the_verdict_is_logged() {
    let script = format!(
        "{TOO_MUCH}
export function handleSummary(data) {{
  return {{ stdout: `own metrics: ${{Object.keys(data.metrics).filter((name) => name.startsWith('senary_'))}};` }}
}}"
    );
    // Thresholds may name the metrics behind the verdict; then they are shown. Figures nobody can trust count more
    // than what was crossed by them.
    let thresholds = r#"{"senary_worker_busy": ["avg<5"], "senary_cpu": ["max>0"]}"#;
    let program = Program::script(BINARY, &script).args(["--workers=1"]).env("K6_THRESHOLDS", thresholds);
    let outcome = program.env("K6_FAIL_ON_SATURATION", "true").within(BOUND).run();
    outcome.expect_code(120).expect_text("own metrics: senary_cpu,senary_worker_busy;");
    outcome.expect_text("thresholds on metrics 'senary_worker_busy' have been crossed");
    assert!(!outcome.log_lines("its figures cannot be trusted").is_empty(), "{}", outcome.stderr);
}

#[test]
fn a_generator_with_time_to_spare_is_quiet() {
    let script = r#"
import { sleep } from "k6"
export const options = { vus: 20, duration: "5s" }
export default function () { sleep(0.5) }
"#;
    let config = r#"{"failOnSaturation": true}"#;
    let program =
        Program::script(BINARY, script).file("config.json", config).args(["--config", "config.json"]);
    let outcome = program.within(BOUND).run();
    outcome.expect_code(0);
    quiet(&outcome);
}

/// Too few VUs for a target that takes its time: it is not the generator that is slow.
#[test]
fn a_slow_target_is_not_the_generator() {
    let script = r#"
export const options = {
  scenarios: {
    s: { executor: "constant-arrival-rate", rate: 50, duration: "5s", preAllocatedVUs: 2, maxVUs: 3 },
  },
}
export default async function () { await new Promise((resolve) => setTimeout(resolve, 1000)) }
"#;
    let outcome = Program::script(BINARY, script).arg("--fail-on-saturation").within(BOUND).run();
    outcome.expect_code(0).expect_text("Insufficient VUs, reached 3 active VUs");
    assert!(outcome.measured("dropped_iterations", "count") > 100.0);
    quiet(&outcome);
}

#[test]
fn a_short_run_is_not_judged() {
    let script = r#"
export const options = { vus: 4, duration: "1s" }
export default function () { for (let i = 0; i < 1e5; i++); }
"#;
    let outcome = too_much(script, &["--fail-on-saturation"]);
    outcome.expect_code(0);
    quiet(&outcome);
}

#[test]
fn descriptors_that_run_out_are_the_generators_limit() {
    let script = r#"
import { Socket } from "k6/x/tcp"
export default async function () {
  const sockets = Array.from({ length: 200 }, () => new Socket())
  const connects = sockets.map((socket) => socket.connect(__ENV.TCP_PORT, __ENV.TCP_HOST))
  const failed = (await Promise.allSettled(connects)).filter((result) => result.status === "rejected")
  console.log("failed", failed.length > 0, new Set(failed.map((result) => result.reason.code)).size)
  sockets.forEach((socket) => socket.destroy())
}
"#;
    let server = senary_testkit::Server::start(senary_testkit::Behaviour::Echo);
    let command = format!("ulimit -n 100; exec {BINARY} run --quiet --fail-on-saturation script.js");
    let outcome =
        Program::new("/bin/sh").file("script.js", script).target(&server).args(["-c", &command]).run();
    outcome.expect_code(120).expect_text("failed true 1").expect_text(BOTTLENECK);
    outcome.expect_text("connects failed for want of descriptors, threads, ports or addresses");
}

/// More VUs that sleep at once than there is memory for their stacks.
#[test]
fn stacks_that_run_out_are_the_generators_limit() {
    const VUS: usize = 600;
    let script = format!(
        r#"
import {{ sleep }} from "k6"
import {{ Counter }} from "k6/metrics"
const ran = new Counter("ran")
export const options = {{
  scenarios: {{ a: {{ executor: "per-vu-iterations", vus: {VUS}, iterations: 1, maxDuration: "60s" }} }},
  thresholds: {{ iterations_failed: ["count<1"] }},
}}
export default function () {{ ran.add(1); sleep(3) }}
"#
    );
    let command = format!(
        "ulimit -v 600000; exec {BINARY} run -q --workers=2 --fail-on-saturation --summary-export=summary.json script.js"
    );
    let program = Program::new("/bin/sh").file("script.js", &script).args(["-c", &command]).within(BOUND);
    let outcome = program.run();
    outcome.expect_code(120).expect_text(BOTTLENECK).expect_text("because no stack was left");
    let (ran, dropped) = (outcome.measured("ran", "count"), outcome.measured("dropped_iterations", "count"));
    assert!(ran > 0.0 && dropped > 0.0, "{ran} ran, {dropped} were dropped");
    assert_eq!(ran + dropped, VUS as f64);
    outcome.expect_value("iterations", "count", ran);
    assert!(
        outcome.measured("iteration_duration", "min") >= 3000.0,
        "only iterations that ran have a duration"
    );
    assert_eq!(outcome.log_lines("Out of stacks").len(), 1, "said once: {}", outcome.stderr);
    assert_eq!(outcome.log_lines("kB of address space").len(), 1, "and before: {}", outcome.stderr);
}

#[test]
fn an_output_that_holds_the_workers_up_is_named() {
    let script = r#"
import { Counter } from "k6/metrics"
const many = new Counter("many")
export const options = { vus: 2, duration: "5s", systemTags: ["scenario"] }
export default function () { for (let i = 0; i < 1000; i++) many.add(1) }
"#;
    let program = Program::script(BINARY, script).args(["--out", "json=pipe"]).within(BOUND);
    let path = program.folder().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let reader = std::thread::spawn(move || {
        let (mut pipe, mut buffer) = (std::fs::File::open(path).expect("a pipe"), vec![0; 64 * 1024]);
        let started = Instant::now();
        while let Ok(1..) = pipe.read(&mut buffer) {
            // Slow, until the run must be over.
            if started.elapsed() < Duration::from_secs(8) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let outcome = program.run();
    reader.join().expect("the reader ends");
    outcome.expect_code(0).expect_text(BOTTLENECK).expect_text("outputs were too slow for");
    outcome.expect_text("The outputs could not keep up with the samples");
}
