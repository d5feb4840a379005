//! Commands around a run: packing a test and running it elsewhere, starting a new one, and what the REST API's
//! address has to be.

use std::net::TcpListener;
use std::path::Path;

use senary_testkit::{Outcome, Program, Signal};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

const TYPESCRIPT: &str = r#"
import { next } from "./lib/next.ts"
const data: { n: number } = JSON.parse(open("data.json"))
const size: number = open("./data.json", "b").byteLength
export const options = { iterations: 2 }
export default function (): void { console.log("saw", next(data.n), size, __ENV.X, __ENV.Y) }
"#;

/// Packs the script somewhere that is gone afterwards.
fn pack(arguments: &[&str], archive: &Path) {
    Program::new(BINARY)
        .file("test.ts", TYPESCRIPT)
        .file("lib/next.ts", "export const next = (n: number): number => n + 1")
        .file("data.json", r#"{"n":20}"#)
        .args(["archive", "test.ts"])
        .args(arguments.iter().copied())
        .arg("-O")
        .arg(archive)
        .run()
        .expect_code(0);
}

fn run(arguments: &[&str], archive: &Path) -> Outcome {
    let program = Program::new(BINARY).args(["run", "--quiet", "--log-format=raw"]);
    program.args(arguments.iter().copied()).arg(archive).run()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn an_archive_runs_without_what_it_was_made_of() {
    let folder = folder();
    let archive = folder.path().join("a.tar");
    pack(&["-e", "X=archived", "-e", "Y=archived"], &archive);
    let outcome = run(&["-e", "Y=given"], &archive);
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("saw 21 8 archived given").len(), 2);
    // Options on the command line win; standard input is as good as a file.
    let bytes = std::fs::read(&archive).expect("the archive");
    let outcome =
        Program::new(BINARY).args(["run", "--quiet", "--log-format=raw", "-i", "3", "-"]).stdin(bytes).run();
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("saw 21 8 archived archived").len(), 3);
}

#[test]
fn an_archive_of_an_archive_has_its_compatibility_mode() {
    let folder = folder();
    let [first, second] = ["first.tar", "second.tar"].map(|name| folder.path().join(name));
    let script = "export default function () { console.log('global is', typeof global) }";
    let archive = |program: Program, to: &Path| {
        program.arg("-O").arg(to).run().expect_code(0);
    };
    let base = ["archive", "--compatibility-mode=base", "script.js"];
    archive(Program::new(BINARY).file("script.js", script).args(base), &first);
    archive(Program::new(BINARY).arg("archive").arg(&first), &second);
    run(&[], &second).expect_code(0).expect_text("global is undefined");
}

#[test]
fn an_archive_of_an_archive() {
    let folder = folder();
    let (first, second) = (folder.path().join("a.tar"), folder.path().join("b.tar"));
    pack(&["-e", "X=secret"], &first);
    let program = Program::new(BINARY).args(["archive", "--exclude-env-vars", "-i", "1"]);
    program.arg(&first).arg("-O").arg(&second).run().expect_code(0);
    let outcome = run(&["--include-system-env-vars=false"], &second);
    outcome.expect_code(0);
    assert_eq!(outcome.log_lines("saw 21 8 undefined undefined").len(), 1);
}

#[test]
fn the_type_may_be_said() {
    let folder = folder();
    let archive = folder.path().join("a.tar");
    pack(&[], &archive);
    run(&["--type=archive"], &archive).expect_code(0);
    run(&["--type=js"], &archive).expect_code(107).expect_text("SyntaxError");
    let script = Program::new(BINARY).file("s.js", "export default function () {}");
    let outcome = script.args(["run", "--type=archive", "s.js"]).run();
    outcome.expect_code(255).expect_text("this is not an archive");
}

#[test]
fn an_archive_is_written_to_standard_output() {
    let program = Program::new(BINARY).file("s.js", "export default function () {}");
    let outcome = program.args(["archive", "-O", "-", "s.js"]).run();
    outcome.expect_code(0);
    assert!(outcome.stdout.starts_with("metadata.json\0"));
}

#[test]
fn new_scripts_run() {
    for (template, flag) in [("minimal", "--quiet"), ("protocol", "--with-echo")] {
        let folder = folder();
        let script = folder.path().join("made.js");
        let new = Program::new(BINARY).args(["new", "--template", template]).arg(&script).run();
        new.expect_code(0).expect_text("New script created: ");
        // How soon the answer is there is this machine's affair.
        let text = std::fs::read_to_string(&script).expect("the script").replace("p(95)<100", "p(95)<60000");
        std::fs::write(&script, text).expect("the script");
        let run =
            Program::new(BINARY).args(["run", flag, "--duration=1s", "--log-format=raw"]).arg(&script).run();
        run.expect_code(0).expect_text("✓ 'rate>0.99' rate=100.00%");
    }
}

#[test]
fn an_address_that_is_taken_matters_only_to_who_insists_on_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let program = || Program::new(BINARY).file("s.js", "export default function () {}").args(["run", "s.js"]);
    let text = format!("listen tcp {address}: bind: address already in use");
    program().args(["--address", &address]).run().expect_code(106).expect_text(&text);
    program().env("K6_ADDRESS", &address).run().expect_code(0).expect_text(&text);
}

#[test]
fn lingering_ends_with_an_interrupt() {
    let script = Program::new(BINARY).file("s.js", "export default function () {}");
    let mut running = script.args(["run", "--linger", "s.js"]).start();
    running.wait_for("The test is done, but --linger was enabled, so Senary is waiting for Ctrl+C to end...");
    running.signal(Signal::INT);
    running.finish().expect_code(0);
}

#[test]
fn an_archive_keeps_what_its_options_come_to() {
    let metadata = |script: &str, arguments: &[&str]| {
        let program = Program::new(BINARY).file("s.js", script).args(["archive", "-O", "a.tar", "s.js"]);
        let archive = program.args(arguments.iter().copied()).run().expect_code(0).file("a.tar");
        let json = &archive[archive.find('{').expect("the metadata")..];
        let mut values = serde_json::Deserializer::from_str(json).into_iter::<serde_json::Value>();
        (values.next().expect("an object").expect("JSON"), archive)
    };
    let (plain, _) = metadata("export default function () {}", &[]);
    let options = &plain["options"];
    assert_eq!(options["summaryTrendStats"].to_string(), r#"["avg","min","med","max","p(90)","p(95)"]"#);
    assert_eq!(options["systemTags"][0], "check");
    assert_eq!(options["scenarios"], serde_json::Value::Null);

    let script = "
import exec from 'k6/execution';
export default function () {
  const { systemTags, executionSegment } = exec.test.options;
  console.log('runs as', JSON.stringify(systemTags), executionSegment);
}";
    let (metadata, archive) = metadata(script, &["--system-tags", "", "--execution-segment", "100%"]);
    assert_eq!(metadata["options"]["executionSegment"], "0:1");
    let run = Program::new(BINARY).args(["run", "--quiet", "--log-format=raw", "-"]).stdin(archive).run();
    run.expect_code(0).expect_text("runs as [] 0:1");
}

#[test]
fn dependencies_are_listed_without_running_the_script() {
    let program = |script: &str| {
        Program::new(BINARY)
            .file("lib/b.ts", "import { Socket } from 'k6/x/tcp'\nexport const b: number = 1\nnew Socket()")
            .file("test.js", format!("import {{ b }} from './lib/b.ts'\n{script}\nthrow new Error('it ran')"))
    };
    let known = program("import { check } from 'k6'\nimport * as tcp from 'k6/x/tcp'");
    let folder = known.folder().canonicalize().expect("the folder");
    let outcome = known.args(["deps", "test.js"]).run();
    outcome.expect_code(0);
    let expected = "Build Dependencies:\n  k6/x/tcp: *\n\nImports:\n  file://DIR/lib/b.ts\n  file://DIR/test.js\n  k6\n  k6/x/tcp\n\nCustom Build Required: no\n";
    assert_eq!(outcome.stdout.replace(&folder.display().to_string(), "DIR"), expected);

    let none =
        Program::new(BINARY).file("test.js", "import './b.js'").file("b.js", "").args(["deps", "test.js"]);
    none.run().expect_code(0).expect_text("Build Dependencies: (none)\n\nImports:\n  file://");

    let lacking = |flag: &str| {
        program("import 'k6/browser'\nimport 'k6/net/grpc'").args(["deps", flag, "test.js"]).run()
    };
    lacking("--json=false")
        .expect_code(0)
        .expect_text("\nNot Supported by Senary: k6/browser, k6/net/grpc\n");
    lacking("--json")
        .expect_code(0)
        .expect_text("\"unsupported\": [\n    \"k6/browser\",\n    \"k6/net/grpc\"\n  ]");

    let script = "'use k6 >= 99'\nimport 'k6/x/faker'\nimport './lib/b.ts'";
    let outcome = Program::new(BINARY)
        .file("lib/b.ts", "'use k6 with k6/x/faker >= 0.4'\nexport const b = 1")
        .file("test.js", script)
        .args(["deps", "--json", "test.js"])
        .run();
    let report: serde_json::Value = serde_json::from_str(&outcome.expect_code(0).stdout).expect("JSON");
    assert_eq!(report["buildDependencies"].to_string(), r#"{"k6":">= 99","k6/x/faker":">= 0.4"}"#);
    assert_eq!(report["customBuildRequired"], true);
    assert_eq!(report["imports"].as_array().map(Vec::len), Some(3));

    let outcome = program("import 'lodash'").args(["deps", "test.js"]).run();
    outcome.expect_code(107);
    assert_eq!(outcome.log_lines("couldn't be recognised").len(), 1);
}
