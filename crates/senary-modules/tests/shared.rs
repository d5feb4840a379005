//! What VUs share: arrays, and the threads on which long work is done. VUs of one script on several workers,
//! without a scheduler; what they say is read from their console.

// Its helpers run in tests only.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use senary_execution::{
    Activation, Iteration, IterationOutcome, Proof, RunContext, Shutdown, Vu, VuFactory, VuId, WorkerContext,
};
use senary_js::{Bundle, JsVuFactory, RuntimeOptions, ScriptSource, VuSettings};
use senary_metrics::{ProducerId, Registry, TagSet};
use senary_modules::natives;
use senary_modules::secrets::Secrets;
use tokio_util::sync::CancellationToken;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Console;

impl log::Log for Console {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        // Lines of init code, and the others.
        ["senary_js::console", "console"].contains(&metadata.target())
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// How often a line was written; tests write lines of their own.
fn count(line: &str) -> usize {
    LINES.lock().unwrap().iter().filter(|other| *other == line).count()
}

fn factory(script: &str) -> (Arc<JsVuFactory>, Shutdown) {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(&Console).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
    let source = ScriptSource { url: "file:///test/script.js".into(), text: script.into() };
    let shutdown = Shutdown::new();
    let runtime = RuntimeOptions { natives: natives(Secrets::default()), ..RuntimeOptions::default() };
    let bundle = Bundle::load(source, runtime, Registry::new(), &shutdown).unwrap();
    let settings = VuSettings::without_options().unwrap();
    (Arc::new(JsVuFactory::new(Arc::new(bundle), Arc::new(settings))), shutdown)
}

/// Makes VUs side by side on one worker and lets each run its iterations, until `limit`.
fn work(
    factory: &Arc<JsVuFactory>,
    shutdown: &Shutdown,
    ids: impl Iterator<Item = u64>,
    iterations: u64,
    limit: Duration,
) -> Vec<IterationOutcome> {
    let run = RunContext::new(shutdown.clone(), Arc::new(|_| {}));
    let worker = WorkerContext::new(ProducerId(0), run);
    let activation = Arc::new(Activation {
        scenario: "default".into(),
        executor: "per-vu-iterations",
        exec: "default".into(),
        env: Vec::new(),
        tags: TagSet::default(),
        started: Duration::ZERO,
        started_unix_ms: 0,
        failures: Arc::default(),
        measured: Arc::default(),
        progress: Arc::new(|| 0.0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let vus: Vec<_> = ids
            .map(|id| {
                let (factory, worker, activation) = (factory.clone(), worker.clone(), activation.clone());
                tokio::task::spawn_local(async move {
                    let init = CancellationToken::new();
                    let id = VuId { in_instance: id, in_test: id };
                    let mut vu = factory.create(id, &worker, &init).await.unwrap();
                    vu.activate(&activation);
                    let mut outcomes = Vec::new();
                    for n in 0..iterations {
                        let interrupt = CancellationToken::new();
                        let stop = interrupt.clone();
                        let timer = tokio::task::spawn_local(async move {
                            tokio::time::sleep(limit).await;
                            stop.cancel();
                        });
                        let iteration = Iteration { in_instance: n, in_test: n };
                        outcomes.push(
                            vu.run_iteration(iteration, tokio::time::Instant::now(), &interrupt)
                                .await
                                .outcome,
                        );
                        timer.abort();
                    }
                    outcomes
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for vu in vus {
            outcomes.extend(vu.await.unwrap());
        }
        outcomes
    })
}

const LIMIT: Duration = Duration::from_secs(60);

/// The first init leaves the array to the VUs, all of which want it at once; its builder sleeps meanwhile.
#[test]
fn an_array_is_built_once_for_all_workers() {
    let (factory, shutdown) = factory(
        "import { SharedArray } from 'k6/data';
         import { sleep } from 'k6';
         const build = () => { console.log('building'); sleep(0.2); return ['a', { b: 1 }] };
         const data = __VU === 0 ? null : new SharedArray('late', build);
         export default function () { console.log(`has ${JSON.stringify(data)}`) }",
    );
    std::thread::scope(|scope| {
        for first in [1, 11] {
            let (factory, shutdown) = (&factory, &shutdown);
            scope.spawn(move || work(factory, shutdown, first..first + 5, 1, LIMIT));
        }
    });
    assert_eq!(count("building"), 1);
    assert_eq!(count("has [\"a\",{\"b\":1}]"), 10);
}

/// A builder that fails leaves the array to the next VU.
#[test]
fn a_failed_build_passes_on() {
    let (factory, shutdown) = factory(
        "import { SharedArray } from 'k6/data';
         import { sleep } from 'k6';
         let data = [];
         const build = () => { sleep(0.1); if (__VU === 1) throw new Error('not me'); return [__VU] };
         try { data = __VU === 0 ? [] : new SharedArray('passed on', build) } catch (e) { console.log(`failed: ${e.message}`) }
         export default function () { console.log(`passed on: ${data.length}`) }",
    );
    work(&factory, &shutdown, 1..4, 1, LIMIT);
    assert_eq!(count("failed: not me"), 1);
    assert_eq!(count("passed on: 0"), 1);
    assert_eq!(count("passed on: 1"), 2);
}

const STRETCH: &str = "
    const stretch = async (iterations) => {
      const key = await crypto.subtle.importKey('raw', new Uint8Array(8), 'PBKDF2', false, ['deriveBits']);
      return crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt: new Uint8Array(8), iterations }, key, 512);
    };";

#[test]
fn long_work_holds_up_neither_timers_nor_other_vus() {
    let (factory, shutdown) = factory(&format!(
        "{STRETCH}
         export default async function () {{
           let ticks = 0;
           const timer = setInterval(() => ticks++, 1);
           const bits = await stretch(500000);
           clearInterval(timer);
           console.log(`ticked ${{ticks > 5}} ${{bits.byteLength}}`);
         }}"
    ));
    let outcomes = work(&factory, &shutdown, 1..3, 1, LIMIT);
    assert_eq!(outcomes, [IterationOutcome::Complete { proof: Proof::Idle }; 2]);
    assert_eq!(count("ticked true 64"), 2);
}

#[test]
fn an_iteration_lasts_until_its_work_is_done() {
    let (factory, shutdown) = factory(&format!(
        "{STRETCH}
         export default function () {{ stretch(100000).then(() => console.log('nobody waited')) }}"
    ));
    assert_eq!(
        work(&factory, &shutdown, 1..2, 3, LIMIT),
        [IterationOutcome::Complete { proof: Proof::Idle }; 3]
    );
    assert_eq!(count("nobody waited"), 3);
}

#[test]
fn an_interrupted_iteration_drops_its_work() {
    let (factory, shutdown) = factory(&format!(
        "{STRETCH}
         let n = 0;
         export default async function () {{
           if (n++ > 0) return console.log('the next one runs');
           await stretch(5000000);
           console.log('too late');
         }}"
    ));
    let started = Instant::now();
    let outcomes = work(&factory, &shutdown, 1..2, 2, Duration::from_millis(100));
    assert_eq!(
        outcomes,
        [
            IterationOutcome::Interrupted { unanswered: false },
            IterationOutcome::Complete { proof: Proof::Idle }
        ]
    );
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!((count("the next one runs"), count("too late")), (1, 0));
}

/// Passwords, keys and digests of every long kind come back right from elsewhere.
#[test]
fn long_work_gives_what_short_work_gives() {
    let (factory, shutdown) = factory(
        "export default async function () {
           const s = crypto.subtle, much = new Uint8Array(3 << 20);
           const { publicKey, privateKey } = await s.generateKey({ name: 'RSA-PSS', modulusLength: 2176, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, true, ['sign', 'verify']);
           const p = { name: 'RSA-PSS', saltLength: 32 }, signature = await s.sign(p, privateKey, much);
           const hex = (b) => Array.from(new Uint8Array(b)).map((x) => x.toString(16).padStart(2, '0')).join('');
           console.log(`elsewhere ${await s.verify(p, publicKey, signature, much)} ${signature.byteLength} ${hex(await s.digest('SHA-1', much))}`);
           try {
             await s.generateKey({ name: 'RSA-PSS', modulusLength: 1, publicExponent: new Uint8Array([3]), hash: 'SHA-256' }, true, ['sign']);
           } catch (e) {
             console.log(`elsewhere ${e.name}`);
           }
         }",
    );
    work(&factory, &shutdown, 1..2, 1, LIMIT);
    assert_eq!(
        count("elsewhere true 272 1e5f8def40bb0cb0f7156b9c2bab9efb49cfb699"),
        1,
        "{:?}",
        LINES.lock().unwrap()
    );
    assert_eq!(count("elsewhere OperationError"), 1);
}
