//! VUs by themselves: scripts run against real loopback servers without a scheduler.
// Its helpers run in tests only.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use senary_execution::{
    Activation, Iteration, IterationOutcome, Proof, RunContext, Shutdown, Vu, VuFactory, VuId, WorkerContext,
};
use senary_js::{Bundle, JsVuFactory, RuntimeOptions, ScriptSource, VuSettings};
use senary_metrics::{ProducerId, Registry, SampleBatch, Sink, TagSet};
use senary_modules::natives;
use senary_modules::secrets::Secrets;
use senary_net::EchoServer;
use tokio_util::sync::CancellationToken;

/// What a script did.
struct Ran {
    outcomes: Vec<IterationOutcome>,
    batches: Vec<SampleBatch>,
    registry: Registry,
}

impl Ran {
    /// The sum of a counter's samples.
    fn sum(&self, metric: &str) -> f64 {
        let id = self.registry.get(metric).expect("a metric").id;
        let mut series = Vec::new();
        let mut sink = Sink::new(senary_metrics::MetricType::Counter);
        for batch in &self.batches {
            series.extend(batch.new_series.iter().map(|s| s.metric));
            for sample in &batch.samples {
                if series[sample.series.0 as usize] == id {
                    sink.add(sample.value, sample.time);
                }
            }
        }
        match sink {
            Sink::Counter(sink) => sink.value(),
            _ => unreachable!(),
        }
    }
}

fn run(script: &str, env: &[(&str, String)], iterations: u64, limit: Duration) -> Ran {
    let source = ScriptSource { url: "file:///test/script.js".into(), text: script.into() };
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let runtime = RuntimeOptions { env, natives: natives(Secrets::default()), ..RuntimeOptions::default() };
    let registry = Registry::new();
    let shutdown = Shutdown::new();
    let bundle = Bundle::load(source, runtime, registry.clone(), &shutdown).expect("a bundle");
    let settings = Arc::new(VuSettings::without_options().expect("settings"));
    let factory = JsVuFactory::new(Arc::new(bundle), settings);
    let batches = Arc::new(Mutex::new(Vec::new()));
    let kept = batches.clone();
    let sink = Arc::new(move |batch| kept.lock().expect("no panic").push(batch));
    let worker = WorkerContext::new(ProducerId(0), RunContext::new(shutdown, sink));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let outcomes = local.block_on(&runtime, async {
        let interrupt = CancellationToken::new();
        let id = VuId { in_instance: 1, in_test: 1 };
        let mut vu = factory.create(id, &worker, &interrupt).await.expect("a VU");
        vu.activate(&Arc::new(Activation {
            scenario: "default".into(),
            executor: "shared-iterations",
            exec: "default".into(),
            env: Vec::new(),
            tags: TagSet::default(),
            started: Duration::ZERO,
            started_unix_ms: 0,
            failures: Arc::default(),
            measured: Arc::default(),
            progress: Arc::new(|| 0.0),
        }));
        let stop = interrupt.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(limit).await;
            stop.cancel();
        });
        let mut outcomes = Vec::new();
        for n in 0..iterations {
            let iteration = Iteration { in_instance: n, in_test: n };
            outcomes.push(vu.run_iteration(iteration, tokio::time::Instant::now(), &interrupt).await.outcome);
        }
        outcomes
    });
    worker.flush();
    let batches = std::mem::take(&mut *batches.lock().expect("no panic"));
    Ran { outcomes, batches, registry }
}

const ECHO: &str = r#"
import { Socket } from "k6/x/tcp";
import { Counter } from "k6/metrics";
const echoed = new Counter("echoed");
export default async function () {
  const socket = new Socket();
  const closed = new Promise((resolve, reject) => { socket.on("close", resolve); socket.on("error", reject); });
  let n = 0;
  socket.on("data", (data) => {
    echoed.add(data.length);
    if (++n === 3) socket.destroy(); else socket.write("hello");
  });
  await socket.connect(__ENV.PORT, "127.0.0.1");
  await socket.write("hello");
  await closed;
}
"#;

#[test]
fn a_socket_script_echoes() {
    let server = EchoServer::start("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let port = server.address().port().to_string();
    let ran = run(ECHO, &[("PORT", port)], 50, Duration::from_secs(20));
    assert!(ran.outcomes.iter().all(|o| *o == IterationOutcome::Complete { proof: Proof::Dialogue }));
    assert_eq!(ran.sum("echoed"), 750.0);
    assert_eq!(ran.sum("tcp_sockets"), 50.0);
    assert_eq!(ran.sum("data_sent"), 750.0);
    assert_eq!(ran.sum("iterations"), 50.0);
}

#[test]
fn blocked_and_waiting_scripts_are_interrupted() {
    for body in ["sleep(60)", "return new Promise((r) => setTimeout(r, 60000))"] {
        let script = format!("import {{ sleep }} from 'k6'; export default function () {{ {body} }}");
        let started = Instant::now();
        let ran = run(&script, &[], 1, Duration::from_millis(100));
        assert_eq!(ran.outcomes, [IterationOutcome::Interrupted { unanswered: false }], "{body}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn bundles_know_their_options() {
    let source = ScriptSource {
        url: format!("file://{}", Path::new("/test/s.js").display()),
        text: "export const options = { vus: 3 }; export default () => {}; export function other() {}".into(),
    };
    let bundle = Bundle::load(source, RuntimeOptions::default(), Registry::new(), &Shutdown::new()).unwrap();
    assert_eq!(bundle.options()["vus"], 3);
    assert!(bundle.has_export("default") && bundle.has_export("other"));
}
