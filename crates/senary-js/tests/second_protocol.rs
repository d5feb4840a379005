//! A protocol in one file: all that the runtime is told of it is here, and nothing else knows its name.
//!
//! A bell rings some times in a row. Until the last ring it holds the iteration open, as a connection does, and each ring
//! is an event in script. It needs no unsafe code, and no file of the runtime.
// Its helpers run in tests only.
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rquickjs::function::{Constructor, This};
use rquickjs::{Class, Ctx, Function, Object, Persistent};
use senary_execution::{
    Activation, Iteration, IterationOutcome, Proof, RunContext, Shutdown, Vu, VuFactory, VuId, WorkerContext,
};
use senary_js::event_loop::Event;
use senary_js::live::{Live, LiveId};
use senary_js::natives::{NativeModule, NativeModules, Natives};
use senary_js::vu::core::{VuCore, vu_of};
use senary_js::{
    Bundle, JsVuFactory, RuntimeOptions, ScriptSource, VuSettings, native, native_class, userdata,
};
use senary_metrics::{ProducerId, Registry, TagSet};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The module.
static MODULES: NativeModules = NativeModules::new(
    &[NativeModule { opens_files: true, ..NativeModule::new("k6/x/bell", exports) }],
    |name| format!("there is no module {name}"),
);

fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    Class::<Bell>::define(&module)?;
    module.set("note", native::function(ctx, note)?.with_name("note")?)?;
    module.set("pause", native::function(ctx, pause)?.with_name("pause")?)?;
    Ok(module)
}

/// What the module keeps for each VU: here, what happened to its bells and in its script.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

userdata!(Notes);

impl Notes {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }
}

/// The script's object.
struct Bell {
    ringing: Rc<Ringing>,
}

native_class!(Bell, "Bell", prototype, constructor);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    prototype.set("ring", native::function(ctx, ring)?.with_name("ring")?)?;
    Ok(prototype)
}

fn constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
    let construct = |ctx: Ctx<'js>| {
        let vu = vu_of(&ctx)?;
        let notes = ctx.userdata::<Notes>().map(|notes| notes.clone()).unwrap_or_default();
        let ringing = Rc::new(Ringing {
            id: vu.events.new_live_id(),
            vu,
            notes,
            left: Cell::new(0),
            listener: RefCell::default(),
            task: RefCell::default(),
        });
        Class::instance(ctx, Bell { ringing })
    };
    Constructor::new_class::<Bell, _, _>(ctx.clone(), construct).map(Some)
}

/// `bell.ring(times, every, listener)`; `every` is in milliseconds.
fn ring<'js>(ctx: Ctx<'js>, this: This<Class<'js, Bell>>, times: u32, every: u32, listener: Function<'js>) {
    let ringing = this.0.borrow().ringing.clone();
    ringing.left.set(times);
    ringing.listener.replace(Some(Persistent::save(&ctx, listener)));
    ringing.vu.events.hold(ringing.id, ringing.clone());
    let bell = ringing.clone();
    let task = tokio::task::spawn_local(async move {
        for _ in 0..times {
            tokio::time::sleep(Duration::from_millis(every.into())).await;
            bell.vu.events.push(Event::Live(bell.clone()));
        }
    });
    ringing.task.replace(Some(task.abort_handle()));
}

fn note(ctx: Ctx<'_>, text: String) {
    if let Some(notes) = ctx.userdata::<Notes>() {
        notes.add(text);
    }
}

/// Blocks the VU, as `sleep()` does.
fn pause(ctx: Ctx<'_>, ms: u32) -> rquickjs::Result<()> {
    vu_of(&ctx)?.block_until(&ctx, Instant::now() + Duration::from_millis(ms.into()))
}

/// What lives on after `ring()` has returned.
struct Ringing {
    id: LiveId,
    vu: Rc<VuCore>,
    notes: Notes,
    left: Cell<u32>,
    listener: RefCell<Option<Persistent<Function<'static>>>>,
    task: RefCell<Option<AbortHandle>>,
}

impl Ringing {
    /// The last thing it does.
    fn end(&self) -> Option<Persistent<Function<'static>>> {
        self.vu.events.release(self.id);
        self.listener.take()
    }
}

impl Live for Ringing {
    fn deliver(self: Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        let left = self.left.get() - 1;
        self.left.set(left);
        let listener = if left == 0 { self.end() } else { self.listener.borrow().clone() };
        let Some(listener) = listener else { return Ok(()) };
        listener.restore(ctx)?.call((left,))
    }

    fn discard(&self) {
        self.left.set(self.left.get() - 1);
    }

    fn wake(&self) {
        self.notes.add("woken");
    }

    fn describe(&self) -> String {
        "a bell is still ringing".to_owned()
    }

    fn traffic(&self) -> String {
        format!("a bell with {} rings left", self.left.get())
    }

    fn waits_for_peer(&self) -> bool {
        self.left.get() > 0
    }

    fn abandon(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.listener.take();
        self.notes.add("abandoned");
    }
}

/// What came of iterations of a script.
struct Ran {
    outcomes: Vec<IterationOutcome>,
    notes: Vec<String>,
    opens_files: bool,
}

/// Runs the default function that has this body; it is interrupted after `limit`.
fn run(body: &str, iterations: u64, limit: Duration) -> Ran {
    let text =
        format!("import {{ Bell, note, pause }} from 'k6/x/bell'; export default function () {{ {body} }}");
    let source = ScriptSource { url: "file:///test/script.js".into(), text };
    let notes = Notes::default();
    let of_vus = notes.clone();
    let natives = Natives::new(MODULES, move |ctx| {
        // Fails only while userdata is being read, which nobody does here.
        let _ = ctx.store_userdata(of_vus.clone());
        Ok(())
    });
    let runtime = RuntimeOptions { natives, ..RuntimeOptions::default() };
    let shutdown = Shutdown::new();
    let bundle = Bundle::load(source, runtime, Registry::new(), &shutdown).unwrap();
    let opens_files = bundle.opens_files();
    let factory = JsVuFactory::new(Arc::new(bundle), Arc::new(VuSettings::without_options().unwrap()));
    let worker = WorkerContext::new(ProducerId(0), RunContext::new(shutdown, Arc::new(|_| {})));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes = tokio::task::LocalSet::new().block_on(&runtime, async {
        let interrupt = CancellationToken::new();
        let id = VuId { in_instance: 1, in_test: 1 };
        let mut vu = factory.create(id, &worker, &interrupt).await.unwrap();
        vu.activate(&Arc::new(activation()));
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
    let notes = notes.0.lock().unwrap().clone();
    Ran { outcomes, notes, opens_files }
}

fn activation() -> Activation {
    Activation {
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
    }
}

/// Long enough for everything that ends by itself.
const PLENTY: Duration = Duration::from_secs(30);

#[test]
fn its_events_reach_script_and_hold_the_iteration_open() {
    let ran = run("new Bell().ring(3, 1, (left) => note(`${left} left`)); note('returned')", 2, PLENTY);
    assert_eq!(ran.outcomes, [IterationOutcome::Complete { proof: Proof::Idle }; 2]);
    let once = ["returned", "2 left", "1 left", "0 left"];
    assert_eq!(ran.notes, [once, once].concat());
    assert!(ran.opens_files);
}

#[test]
fn it_is_woken_when_its_vu_is_back_from_a_blocking_call() {
    let ran = run("new Bell().ring(1, 1000, () => note('rang')); pause(1); note('returned')", 1, PLENTY);
    assert_eq!(ran.outcomes, [IterationOutcome::Complete { proof: Proof::Idle }]);
    assert_eq!(ran.notes, ["returned", "woken", "rang"]);
}

#[test]
fn it_is_abandoned_with_an_iteration_that_throws() {
    let body = "new Bell().ring(1000, 1, (left) => { note(`${left} left`); throw new Error('enough') })";
    let ran = run(body, 2, PLENTY);
    assert_eq!(ran.outcomes, [IterationOutcome::Complete { proof: Proof::Failure }; 2]);
    let once = ["999 left", "abandoned"];
    assert_eq!(ran.notes, [once, once].concat());
}

#[test]
fn it_is_abandoned_with_an_iteration_that_is_interrupted() {
    let ran = run("new Bell().ring(1_000_000, 1, () => {})", 1, Duration::from_millis(50));
    assert_eq!(ran.outcomes, [IterationOutcome::Interrupted { unanswered: true }]);
    assert_eq!(ran.notes, ["abandoned"]);
}

#[test]
fn a_script_that_imports_what_is_not_there_is_told_by_the_table() {
    let source = ScriptSource { url: "file:///test/script.js".into(), text: "import 'k6/x/drum'".to_owned() };
    let natives = Natives::new(MODULES, |_| Ok(()));
    let runtime = RuntimeOptions { natives, ..RuntimeOptions::default() };
    let error = Bundle::load(source, runtime, Registry::new(), &Shutdown::new()).err().unwrap();
    assert!(error.to_string().contains("there is no module k6/x/drum"), "{error}");
}
