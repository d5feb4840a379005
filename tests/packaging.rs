//! What is in `packaging`: the manifests of Kubernetes are checked field by field, and then followed by processes that do what the
//! operator of k6, or Kubernetes itself, does with them. The image and the Debian package have scripts of their own,
//! `packaging/test-image.sh` and `packaging/test-deb.sh`, because they need root and a mirror of Debian.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use senary_testkit::{Behaviour, Outcome, Program, Running, Server};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const BOUND: Duration = Duration::from_secs(60);

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path)
}

/// The documents of a manifest.
fn documents(name: &str) -> Vec<Value> {
    let path = packaging("kubernetes").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|d| Value::deserialize(d).unwrap_or_else(|e| panic!("{name}: {e}"))).collect()
}

/// The only document of this kind in a manifest.
fn document(name: &str, kind: &str) -> Value {
    let mut found: Vec<Value> = documents(name).into_iter().filter(|d| d["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind} in {name}");
    found.remove(0)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Which fields an object of Kubernetes may have here: those of its API that the manifests use. A misspelt one would be refused by
/// a cluster, or passed over.
#[track_caller]
fn has_only(what: &str, object: &Value, fields: &[&str]) {
    for name in object.as_object().unwrap_or_else(|| panic!("{what} is an object")).keys() {
        assert!(fields.contains(&name.as_str()), "{what} has no field {name}");
    }
}

fn check_container(container: &Value) {
    has_only(
        "a container",
        container,
        &["name", "image", "command", "args", "env", "ports", "readinessProbe", "resources", "volumeMounts"],
    );
    check_environment(&container["env"]);
}

fn check_environment(variables: &Value) {
    for variable in variables.as_array().into_iter().flatten() {
        has_only("a variable", variable, &["name", "value", "valueFrom"]);
        // A number that is not a text is refused.
        assert!(
            variable["value"].is_string() != variable["valueFrom"]["fieldRef"]["fieldPath"].is_string(),
            "{variable}"
        );
    }
}

fn check_pod(spec: &Value) {
    has_only(
        "a pod",
        spec,
        &["containers", "restartPolicy", "securityContext", "topologySpreadConstraints", "volumes"],
    );
    let containers = spec["containers"].as_array().expect("containers");
    let volumes: Vec<&Value> =
        spec["volumes"].as_array().into_iter().flatten().map(|volume| &volume["name"]).collect();
    for container in containers {
        check_container(container);
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            assert!(volumes.contains(&&mount["name"]), "{mount} has no volume");
        }
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        has_only("a volume", volume, &["name", "configMap", "persistentVolumeClaim"]);
    }
}

#[test]
fn manifests_have_fields_that_there_are() {
    let version = env!("CARGO_PKG_VERSION");
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(packaging("kubernetes")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name of text");
        for document in documents(&name) {
            let (kind, spec) = (document["kind"].as_str().expect("a kind").to_owned(), &document["spec"]);
            assert!(document["metadata"]["name"].is_string(), "{name}");
            let api = match kind.as_str() {
                "TestRun" => {
                    has_only("a TestRun", spec, &["parallelism", "script", "arguments", "runner"]);
                    has_only(
                        "a runner",
                        &spec["runner"],
                        &["image", "env", "securityContext", "volumeMounts", "volumes"],
                    );
                    check_environment(&spec["runner"]["env"]);
                    "k6.io/v1alpha1"
                }
                "Job" => {
                    has_only(
                        "a job",
                        spec,
                        &["completionMode", "completions", "parallelism", "backoffLimit", "template"],
                    );
                    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never", "{name}");
                    check_pod(&spec["template"]["spec"]);
                    "batch/v1"
                }
                "Deployment" => {
                    has_only("a deployment", spec, &["selector", "template"]);
                    assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]);
                    check_pod(&spec["template"]["spec"]);
                    "apps/v1"
                }
                "ConfigMap" | "PersistentVolumeClaim" | "Service" => "v1",
                other => panic!("{name}: {other}"),
            };
            assert_eq!(document["apiVersion"], api, "{name}");
            kinds.push(kind);
        }
        let text = std::fs::read_to_string(packaging("kubernetes").join(&name)).expect("a text");
        for line in text.lines().filter(|line| line.trim_start().starts_with("image:")) {
            assert!(line.ends_with(&format!("image: senary:{version}")), "{name}: {line}");
        }
    }
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["ConfigMap", "Deployment", "Job", "Job", "PersistentVolumeClaim", "Service", "TestRun"]
    );
}

#[test]
fn the_release_is_a_workflow() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.github/workflows/release.yml");
    let text = std::fs::read_to_string(path).expect("the workflow");
    let workflow: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let jobs = workflow["jobs"].as_object().expect("jobs");
    assert!(["test", "build", "image", "publish"].iter().all(|name| jobs.contains_key(*name)));
    for (name, job) in jobs {
        let needs =
            [texts(&job["needs"]), job["needs"].as_str().map(str::to_owned).into_iter().collect()].concat();
        assert!(needs.iter().all(|needed| jobs.contains_key(needed)), "{name} needs {needs:?}");
    }
    // Every script that it runs is there, and can be run.
    let scripts: Vec<&str> =
        text.split("packaging/").skip(1).filter_map(|rest| rest.split([' ', '\n', ')']).next()).collect();
    for script in scripts.iter().filter(|name| name.ends_with(".sh")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(packaging(script))
            .unwrap_or_else(|e| panic!("{script}: {e}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
    assert!(scripts.len() >= 4, "{scripts:?}");
}

/// A release says where it comes from, and a version that the changelog does not know is none.
#[test]
fn release_notes_are_of_the_repository_that_makes_them() {
    let script = packaging("release-notes.sh");
    let notes = |version: &str| {
        let program = Program::new(script.to_str().expect("a path of text")).within(BOUND);
        program.args([version, "Some/Fork"]).run()
    };
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../CHANGELOG.md");
    let changelog = std::fs::read_to_string(changelog).expect("the changelog");
    let version = changelog.lines().find_map(|line| line.strip_prefix("## ")).expect("a version");
    let first = changelog.split_once(&format!("## {version}\n")).expect("its section").1.trim_start();
    let outcome = notes(version);
    outcome
        .expect_code(0)
        .expect_text("--repo Some/Fork")
        .expect_text(&format!("ghcr.io/some/fork:{version}"));
    outcome.expect_text(first.lines().next().expect("a line"));
    // Links to files lead to the files of this version.
    let files = format!("https://github.com/Some/Fork/blob/v{version}/");
    let links: Vec<&str> =
        outcome.stdout.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()).collect();
    for link in &links {
        let file = link.strip_prefix(&files).unwrap_or_else(|| panic!("{link} leads elsewhere"));
        assert!(packaging("..").join(file).exists(), "{file}");
    }
    assert!(!links.is_empty());
    let outcome = notes("0.0.0");
    outcome.expect_code(1).expect_text("it needs a section with the heading '## 0.0.0'");
}

/// A cluster: one folder for what the pods mount, one place for programs, and a service to test.
struct Cluster {
    folder: TempDir,
    target: Server,
}

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["test", "results", "tmp", "bin"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        // As in the image: k6 is a link to senary.
        symlink(BINARY, folder.path().join("bin/senary")).expect("a link");
        symlink("senary", folder.path().join("bin/k6")).expect("a link");
        let script =
            document("script.yaml", "ConfigMap")["data"]["script.js"].as_str().expect("a script").to_owned();
        std::fs::write(folder.path().join("test/script.js"), script).expect("a file");
        Self { folder, target: Server::start(Behaviour::Echo) }
    }

    fn path(&self, of: &str) -> String {
        self.folder.path().join(of.trim_start_matches('/')).to_str().expect("a path of text").to_owned()
    }

    /// What a container sees of a text: its mounts are folders of the cluster, and variables in it have been filled in.
    fn seen(&self, text: &str, variables: &BTreeMap<String, String>) -> String {
        let mut text = text.to_owned();
        for (name, value) in variables {
            text = text.replace(&format!("$({name})"), value);
        }
        assert!(!text.contains("$("), "{text}: nothing fills this in");
        for mount in ["/results", "/test/"] {
            text = text.replace(mount, &self.path(mount));
        }
        text
    }

    /// The variables of a container; `fields` are those of its pod.
    fn variables(&self, list: &Value, fields: &[(&str, String)]) -> BTreeMap<String, String> {
        let variable = |variable: &Value| {
            let name = variable["name"].as_str().expect("a name").to_owned();
            let value = match (name.as_str(), variable["value"].as_str()) {
                ("TCP_HOST", Some(_)) => self.target.host().to_string(),
                ("TCP_PORT", Some(_)) => self.target.port().to_string(),
                (_, Some(value)) => value.to_owned(),
                (_, None) => {
                    let path = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str().expect("a field");
                    let field = fields.iter().find(|(name, _)| *name == path);
                    field.unwrap_or_else(|| panic!("a pod has no field {path}")).1.clone()
                }
            };
            (name, value)
        };
        list.as_array().into_iter().flatten().map(variable).collect()
    }

    fn program(&self, command: &str, variables: &BTreeMap<String, String>) -> Program {
        let mut program = Program::new(command).within(BOUND).env("DURATION", "3s");
        program = program.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin")));
        for (name, value) in variables {
            program = program.env(name, value);
        }
        program
    }

    /// The job that merges: its exit code is the verdict.
    fn merge(&self) -> Outcome {
        let job = document("merge-job.yaml", "Job");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let variables = BTreeMap::new();
        let arguments: Vec<String> =
            texts(&container["args"]).iter().map(|text| self.seen(text, &variables)).collect();
        self.program(&self.path("bin/senary"), &variables).args(arguments.iter().map(String::as_str)).run()
    }

    /// One summary of all instances, with every request that the server has seen.
    fn expect_one_result(&self, merged: &Outcome) {
        merged.expect_code(0).expect_text("'rate==1' rate=100.00%").expect_text("p(99)<1000");
        let summary =
            std::fs::read_to_string(self.folder.path().join("results/summary.json")).expect("a summary");
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        let iterations = summary["metrics"]["iterations"]["count"].as_u64().expect("a number");
        // 400 per second for three seconds; the last start falls on the end.
        // On a machine that stands still for a moment, some are dropped.
        let dropped = summary["metrics"]["dropped_iterations"]["count"].as_u64().unwrap_or(0);
        assert!((1199..=1201).contains(&(iterations + dropped)), "{iterations}, {dropped} dropped");
        assert_eq!(summary["metrics"]["checks"]["passes"], json!(iterations));
        // Each of them wrote "ping\n".
        assert_eq!(self.target.bytes(), 5 * iterations);
    }
}

/// What the operator takes out of the arguments before it gives them to `k6 archive`.
fn for_archive(arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-o" | "--out" => drop(arguments.next()),
            "-l" | "--linger" | "--no-usage-report" | "-v" | "--verbose" => {}
            other if other.starts_with("--log-output") || other.starts_with("--out=") => {}
            _ => kept.push(argument.clone()),
        }
    }
    kept
}

fn ask(address: &str, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}", body.len());
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The operator: it packs and inspects the test, starts a paused pod for each segment, waits until all are ready, and starts them
/// one after the other.
#[test]
fn the_operator_runs_the_test_run() {
    let cluster = Cluster::new();
    let spec = document("testrun.yaml", "TestRun")["spec"].clone();
    let runner = &spec["runner"];
    let parallelism = spec["parallelism"].as_u64().expect("a number");
    let arguments: Vec<String> =
        spec["arguments"].as_str().expect("a text").split_whitespace().map(str::to_owned).collect();
    assert_eq!(
        (&spec["script"]["configMap"]["name"], &spec["script"]["configMap"]["file"]),
        (&json!("senary-script"), &json!("script.js"))
    );

    let (script, tar, log) = (
        cluster.path("test/script.js"),
        cluster.path("tmp/script.js.archived.tar"),
        cluster.path("tmp/k6logs"),
    );
    let initializer = format!(
        r#"set -e; command -v k6 >/dev/null; mkdir -p "$(dirname {tar})"; k6 archive {script} -O {tar} {} 2>{log}
        k6 inspect --execution-requirements {tar} 2>{log}
        ! grep 'level.*error' {log} >&2"#,
        for_archive(&arguments).join(" ")
    );
    let variables = cluster
        .variables(&runner["env"], &[("metadata.labels['job-name']", "senary-test-initializer".to_owned())]);
    let initialized = cluster.program("/bin/sh", &variables).args(["-c", &initializer]).run();
    initialized.expect_code(0);
    let requirements: Value = serde_json::from_str(&initialized.stdout).expect("nothing but JSON");
    assert!(requirements["maxVUs"].as_u64() >= Some(parallelism), "{requirements}");

    let points: Vec<String> = (1..parallelism).map(|n| format!("{n}/{parallelism}")).collect();
    let sequence = format!("--execution-segment-sequence=0,{},1", points.join(","));
    let mut pods: Vec<(Running, String)> = Vec::new();
    for n in 1..=parallelism {
        let name = format!("senary-test-{n}");
        let variables = cluster.variables(&runner["env"], &[("metadata.labels['job-name']", name)]);
        // Each pod has an address of its own; all of 127.0.0.0/8 is loopback.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let address = format!("127.{}.{low}.{}:6565", 64 + (high & 63), u64::from(high >> 6) * 60 + 30 + n);
        let from = if n == 1 { "0".to_owned() } else { format!("{}/{parallelism}", n - 1) };
        let to = if n == parallelism { "1".to_owned() } else { format!("{n}/{parallelism}") };
        let program = cluster
            .program(&cluster.path("bin/k6"), &variables)
            .args(["run", "--quiet", &format!("--execution-segment={from}:{to}"), &sequence])
            .args(
                arguments
                    .iter()
                    .map(|text| cluster.seen(text, &variables))
                    .collect::<Vec<_>>()
                    .iter()
                    .map(String::as_str),
            )
            .args([script.as_str(), &format!("--address={address}"), "--paused"])
            .args(["--tag", &format!("instance_id={n}"), "--tag", "testrun_name=senary-test"]);
        pods.push((program.start(), address));
    }
    for (_, address) in &pods {
        let started = Instant::now();
        while ask(address, "GET", "/v1/status", "").is_none_or(|(code, _)| code >= 400) {
            assert!(started.elapsed() < BOUND, "{address} does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let body = r#"{"data":{"attributes":{"paused":false,"stopped":false},"id":"default","type":"status"}}"#;
    for (_, address) in &pods {
        assert_eq!(ask(address, "PATCH", "/v1/status", body).expect("an answer").0, 200);
    }
    for (pod, _) in pods {
        pod.finish().expect_code(0);
    }
    cluster.expect_one_result(&cluster.merge());
}

/// Kubernetes: it numbers the pods of the job.
#[test]
fn kubernetes_runs_the_indexed_job() {
    let cluster = Cluster::new();
    let spec = document("indexed-job.yaml", "Job")["spec"].clone();
    assert_eq!((&spec["completionMode"], &spec["completions"]), (&json!("Indexed"), &spec["parallelism"]));
    let container = &spec["template"]["spec"]["containers"][0];
    let completions = spec["completions"].as_u64().expect("a number");
    let pods: Vec<Running> = (0..completions)
        .map(|index| {
            let field = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
            let variables = cluster.variables(&container["env"], &[(field, index.to_string())]);
            assert_eq!(variables["SENARY_INSTANCE_COUNT"], completions.to_string());
            let arguments: Vec<String> =
                texts(&container["args"]).iter().map(|text| cluster.seen(text, &variables)).collect();
            let program = cluster.program(&cluster.path("bin/senary"), &variables);
            program.args(arguments.iter().map(String::as_str)).start()
        })
        .collect();
    for pod in pods {
        pod.finish().expect_code(0);
    }
    cluster.expect_one_result(&cluster.merge());
}
