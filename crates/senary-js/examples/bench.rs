//! VUs by themselves: scripts run against real loopback servers without a scheduler.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use senary_execution::{
    Activation, Clock, ExecutionState, Iteration, IterationOutcome, Shutdown, Vu, VuFactory, VuId,
    WorkerContext,
};
use senary_js::{Bundle, JsVuFactory, RuntimeOptions, ScriptSource, SystemTags, VuSettings};
use senary_metrics::{ProducerId, Registry, SampleBatch, Sink, TagSet};
use senary_net::{Dialer, DnsConfig, EchoServer, Resolver, Tls, TlsOptions};
use tokio_util::sync::CancellationToken;

fn run(script: &str, env: &[(&str, String)], vus: u64, iterations: u64, limit: Duration) {
    let source = ScriptSource { url: "file:///test/script.js".into(), text: script.into() };
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let runtime = RuntimeOptions { env, ..RuntimeOptions::default() };
    let registry = Registry::new();
    let shutdown = Shutdown::new();
    let bundle = Bundle::load(source, runtime, registry.clone(), &shutdown).unwrap();
    let resolver = Resolver::new(&[], &[], &[], DnsConfig::default()).unwrap();
    let settings = Arc::new(VuSettings {
        run_tags: TagSet::default(),
        system_tags: SystemTags::default(),
        dialer: Arc::new(Dialer {
            resolver: Arc::new(resolver),
            tls: Tls::new(TlsOptions::default()).unwrap(),
        }),
        local_ips: None,
        options_json: "{}".into(),
        throw: false,
        setup_data: OnceLock::new(),
    });
    let factory = JsVuFactory::new(Arc::new(bundle), settings);
    let sink: senary_execution::BatchSink = Arc::new(|_| {});
    let worker =
        WorkerContext::new(ProducerId(0), Clock::new(), Arc::new(ExecutionState::new()), shutdown, sink);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let interrupt = CancellationToken::new();
        let mut tasks = Vec::new();
        for n in 1..=vus {
            let id = VuId { in_instance: n, in_test: n };
            let mut vu = factory.create(id, &worker, &interrupt).await.unwrap();
            vu.activate(&Arc::new(Activation {
                scenario: "default".into(),
                executor: "shared-iterations",
                exec: "default".into(),
                env: Vec::new(),
                tags: TagSet::default(),
                started: Duration::ZERO,
                started_unix_ms: 0,
                progress: Arc::new(|| 0.0),
            }));
            let interrupt = interrupt.clone();
            tasks.push(async move {
                for n in 0..iterations {
                    vu.run_iteration(Iteration { in_instance: n, in_test: n }, &interrupt).await;
                }
                vu
            });
        }
        let t = std::time::Instant::now();
        let tasks: Vec<_> = tasks.into_iter().map(tokio::task::spawn_local).collect();
        for task in tasks {
            task.await.unwrap();
        }
        println!("{:?}", t.elapsed());
    });
    worker.flush();
}
fn main() {
    let env = |n: &str| std::env::var(n).unwrap();
    let script = std::fs::read_to_string(env("SCRIPT")).unwrap();
    run(
        &script,
        &[("PORT", env("PORT")), ("N", env("N"))],
        env("VUS").parse().unwrap(),
        env("ITERS").parse().unwrap(),
        Duration::from_secs(100),
    );
}
