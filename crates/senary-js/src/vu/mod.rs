//! A VU: one engine, one event loop, the functions of the script, and how they are run.
//!
//! `drive` is the heart: it enters script, lets events in turn by turn, waits when there is nothing to do and
//! ends when the iteration is over. Turns are also taken directly by socket tasks when the VU is waiting, which
//! saves a task switch per message.

pub mod core;
pub mod evidence;
pub mod failures;
pub mod js_vu;
pub mod tags;
pub mod work;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Function, Object, Persistent, Promise, Runtime, Value, qjs};
use tokio_util::sync::CancellationToken;

use self::core::VuCore;
use crate::coroutine::{self, Blocked, Entered, Left, Resume, Suspended};
use crate::event_loop::Event;
use crate::failure::ScriptFailure;
use crate::source::stack as places;
use crate::stack::Room;
use crate::{slice_clock, stack, wake};

/// Work that starts a run; called on the script's stack.
pub type Job = Box<dyn for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<()>>;

/// Events a VU may handle before other VUs of its worker get their turn.
const EVENTS_PER_TURN: usize = 128;

/// At most this many promise jobs of an iteration that was ended still run, without effect.
const JOBS_OF_THE_ABANDONED: usize = 1024;

/// Where a run stands after a turn.
pub(crate) enum Turn {
    /// Nothing is left, or it failed.
    Ended(Result<(), ScriptFailure>),
    /// Suspended in the middle of script.
    Blocked(Blocked),
    /// Waiting for an event.
    Waiting,
    /// Work is left; others first.
    Yielded,
}

/// A promise that was rejected without a handler.
pub(crate) struct Rejection {
    promise: Persistent<Value<'static>>,
    reason: Persistent<Value<'static>>,
}

pub(crate) type Rejections = Rc<RefCell<Vec<Rejection>>>;

pub struct VuEngine {
    // Everything that refers to engine values comes before the engine: fields drop in order.
    /// What the script exports.
    pub(crate) exports: RefCell<Option<Persistent<Object<'static>>>>,
    /// The promise of the function that is running.
    pub(crate) awaited: RefCell<Option<Persistent<Promise<'static>>>>,
    blocked: RefCell<Option<Suspended<Turn>>>,
    pub(crate) rejections: Rejections,
    inline_turn: RefCell<Option<Turn>>,
    waiting: Cell<bool>,
    /// The run was cut off while it waited for an event or for the work of a call, and not in the middle of script.
    was_waiting: Cell<bool>,
    pub(crate) core: Rc<VuCore>,
    pub(crate) context: Context,
    pub(crate) runtime: Runtime,
}

impl VuEngine {
    pub(crate) fn new(core: Rc<VuCore>, context: Context, runtime: Runtime) -> Rc<Self> {
        let engine = Rc::new(Self {
            exports: RefCell::default(),
            awaited: RefCell::default(),
            blocked: RefCell::default(),
            rejections: Rc::default(),
            inline_turn: RefCell::default(),
            waiting: Cell::new(false),
            was_waiting: Cell::new(false),
            core,
            context,
            runtime,
        });
        engine.track_rejections();
        engine.watch_interrupt();
        engine.context.with(|ctx| engine.core.memory.belongs_to(&ctx));
        let _ = engine.core.engine.set(Rc::downgrade(&engine));
        engine
    }

    /// Runs `job` and everything it sets in motion, until nothing is left that could run script.
    pub(crate) async fn drive(
        self: &Rc<Self>,
        job: Job,
        interrupt: &CancellationToken,
    ) -> Result<(), ScriptFailure> {
        self.core.events.begin_run();
        let result = self.drive_to_the_end(job, interrupt).await;
        self.core.events.end_run();
        result
    }

    async fn drive_to_the_end(
        self: &Rc<Self>,
        job: Job,
        interrupt: &CancellationToken,
    ) -> Result<(), ScriptFailure> {
        self.core.interrupt.watch(interrupt);
        self.was_waiting.set(false);
        let mut turn = self.turn(Some(job));
        loop {
            turn = match turn {
                Turn::Ended(result) => return result,
                Turn::Blocked(blocked) => self.resume_when(blocked, interrupt).await,
                Turn::Yielded => {
                    tokio::task::yield_now().await;
                    self.turn(None)
                }
                Turn::Waiting => match self.wait(interrupt).await {
                    Some(turn) => turn,
                    None if self.core.interrupt.is_raised() => {
                        self.was_waiting.set(true);
                        return Err(ScriptFailure::Interrupted);
                    }
                    None => self.turn(None),
                },
            };
        }
    }

    /// Lets the VU handle what was queued, now, if it is waiting; called by socket tasks.
    pub(crate) fn run_from_io(self: &Rc<Self>) {
        if !self.waiting.get() {
            // Running, blocked or about to be polled: it will look at its queue itself.
            return;
        }
        let due = self.core.events.next_due();
        match self.turn(None) {
            Turn::Waiting if self.core.events.next_due() == due => {}
            Turn::Waiting => self.core.events.wake(),
            turn => {
                self.waiting.set(false);
                self.inline_turn.replace(Some(turn));
                self.core.events.wake();
            }
        }
    }

    /// Whether script of this VU is suspended in a blocking call; its sockets are not read meanwhile.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Something the script exports, looked up when it is needed: exports are live bindings.
    pub(crate) fn export<'js>(&self, ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Value<'js>> {
        match self.exports.borrow().clone() {
            Some(exports) => {
                let exports: Object<'js> = exports.restore(ctx)?;
                exports.get(name)
            }
            None => Ok(Value::new_undefined(ctx.clone())),
        }
    }

    /// Remembers what a function returned, if it is a promise that is not settled yet.
    pub(crate) fn awaits<'js>(&self, ctx: &Ctx<'js>, value: &Value<'js>) {
        let pending = value.as_promise().filter(|promise| promise.state() == PromiseState::Pending);
        if pending.is_some() {
            places::watch_awaits(ctx);
        }
        self.awaited.replace(pending.map(|promise| Persistent::save(ctx, promise.clone())));
    }

    /// Whether the function that ran still awaits something, and at which place of the script, if that is known. Asked
    /// once, at the end of the run.
    pub(crate) fn still_awaits(&self) -> Option<String> {
        let promise = self.awaited.take()?;
        self.with_script(|ctx| {
            let promise = promise.restore(ctx).ok()?;
            let pending = promise.state() == PromiseState::Pending;
            pending.then(|| places::awaiting(ctx, promise.as_value()).unwrap_or_default())
        })
    }

    /// Whether the run was cut off while it waited for a peer. To be called before what the run left behind is closed.
    pub(crate) fn was_unanswered(&self) -> bool {
        self.was_waiting.get() && self.core.events.waits_for_peer()
    }

    /// Closes what an abnormal end left behind: sockets, timers, queued events. No handler runs.
    pub(crate) fn abandon(&self) {
        self.core.events.abandon_live();
        for (id, is_interval) in self.core.events.clear() {
            let name = if is_interval { "setInterval" } else { "setTimeout" };
            log::warn!("{name} {id} was stopped because the VU iteration was interrupted");
        }
        self.awaited.take();
        self.rejections.borrow_mut().clear();
        self.inline_turn.take();
        // The jobs left in the queue have no effect any more. They are run so that the next iteration starts with an
        // empty queue.
        self.core.interrupt.raise();
        self.with_script(|ctx| {
            for _ in 0..JOBS_OF_THE_ABANDONED {
                if !matches!(execute_job(ctx), JobResult::Ran | JobResult::Threw) {
                    break;
                }
                ctx.catch();
            }
        });
        self.rejections.borrow_mut().clear();
    }

    /// The VU ends: everything that has outlived its iterations is closed, and recorded.
    pub(crate) fn close_residents(&self) {
        if !self.core.events.residents.is_empty() {
            self.core.events.residents.abandon();
            self.core.record_data(self.core.now());
        }
    }

    /// Runs native code with the context outside of any run. It may call script, which cannot give the worker back here.
    pub(crate) fn with_script<R>(&self, f: impl FnOnce(&Ctx<'_>) -> R) -> R {
        let _stretch = slice_clock::enter();
        stack::run(|room| {
            self.context.with(|ctx| {
                enter_stack(&ctx, room);
                let result = f(&ctx);
                // SAFETY: the runtime is alive and entered.
                let is_deep = unsafe { stack::take_is_deep(runtime_of(&ctx)) };
                (result, is_deep)
            })
        })
    }

    fn turn(self: &Rc<Self>, job: Option<Job>) -> Turn {
        let (this, has_begun) = (self.clone(), job.is_none());
        match coroutine::enter(&self.core.gate, move |room| this.run_on_stack(job, room)) {
            Ok(entered) => self.settle(entered),
            Err(error) => {
                self.core.worker.meter.ran_out_of_stacks();
                senary_net::limits::advise_on_stacks(&error);
                Turn::Ended(Err(ScriptFailure::NoStack { reason: error.to_string(), has_begun }))
            }
        }
    }

    fn settle(&self, entered: Entered<Turn>) -> Turn {
        match entered {
            Entered::Finished(turn) => turn,
            Entered::Blocked(suspended, blocked) => {
                self.blocked.replace(Some(suspended));
                Turn::Blocked(blocked)
            }
        }
    }

    /// Waits until a blocking call is over, then resumes the script that made it.
    async fn resume_when(&self, blocked: Blocked, interrupt: &CancellationToken) -> Turn {
        let is_for_work = blocked.is_for_work();
        let resume = tokio::select! {
            biased;
            () = interrupt.cancelled() => Resume::Cancel,
            () = blocked.wait() => Resume::Continue,
        };
        self.was_waiting.set(is_for_work && resume == Resume::Cancel);
        match self.blocked.take() {
            Some(suspended) => {
                let turn = self.settle(suspended.resume(resume));
                // Sockets that were not read while the VU was blocked may go on.
                self.core.events.wake_live();
                turn
            }
            None => Turn::Waiting,
        }
    }

    /// Waits for an event, a timer or the interrupt. `Some`: a socket task ran a turn meanwhile that ended
    /// otherwise than waiting.
    async fn wait(&self, interrupt: &CancellationToken) -> Option<Turn> {
        let mut cancelled = pin!(interrupt.cancelled());
        let mut timer = pin!(None::<wake::Sleep>);
        let mut armed = None;
        self.waiting.set(true);
        let turn = poll_fn(|cx| {
            self.core.events.set_waker(cx.waker());
            if let Some(turn) = self.inline_turn.take() {
                return Poll::Ready(Some(turn));
            }
            if cancelled.as_mut().poll(cx).is_ready() || self.core.events.has_work() {
                return Poll::Ready(None);
            }
            let due = self.core.events.next_due();
            if due != armed {
                armed = due;
                timer.set(due.map(wake::sleep_until));
            }
            match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(None),
                _ => Poll::Pending,
            }
        })
        .await;
        self.waiting.set(false);
        turn
    }

    fn run_on_stack(&self, job: Option<Job>, room: Room) -> Left<Turn> {
        self.context.with(|ctx| {
            enter_stack(&ctx, room);
            let result = self.run_turn(&ctx, job);
            // SAFETY: the runtime is alive; nobody else uses it, for script of this VU runs here only.
            let stack_is_deep = unsafe { stack::take_is_deep(runtime_of(&ctx)) };
            Left { result, stack_is_deep }
        })
    }

    /// The body of a turn; on the script's stack.
    fn run_turn(&self, ctx: &Ctx<'_>, job: Option<Job>) -> Turn {
        let turn = self.run_events(ctx, job);
        if self.core.memory.is_exhausted() {
            return Turn::Ended(Err(self.out_of_memory()));
        }
        match turn {
            Ok(turn) => turn,
            Err(ScriptFailure::Exception(_)) if self.core.interrupt.is_raised() => {
                Turn::Ended(Err(ScriptFailure::Interrupted))
            }
            Err(failure) => Turn::Ended(Err(failure)),
        }
    }

    fn out_of_memory(&self) -> ScriptFailure {
        ScriptFailure::OutOfMemory { limit: self.core.memory.limit() }
    }

    fn run_events<'js>(&self, ctx: &Ctx<'js>, job: Option<Job>) -> Result<Turn, ScriptFailure> {
        if let Some(job) = job {
            // The time that another VU has used up is no reason to cut this one off before its first line.
            slice_clock::restart();
            self.core.begin_script();
            job(ctx).map_err(|e| ScriptFailure::from_error(ctx, e))?;
        }
        self.run_jobs(ctx)?;
        let mut was_event = false;
        for _ in 0..EVENTS_PER_TURN {
            // A timer that is due does not wait until a flood of events is over, nor do events wait for timers that set others.
            let is_timers_turn = was_event && self.core.events.has_due_timer() && !self.core.events.is_done();
            let event = if is_timers_turn { None } else { self.core.events.pop() };
            was_event = event.is_some();
            if let Some(event) = event {
                self.dispatch(ctx, event).map_err(|e| ScriptFailure::from_error(ctx, e))?;
            } else if self.core.events.is_done() {
                self.core.events.clear_background();
                return Ok(Turn::Ended(Ok(())));
            } else if self.core.events.next_due().is_some() {
                let Some((callback, arguments)) = self.core.events.take_due_timer(Instant::now()) else {
                    return Ok(Turn::Waiting);
                };
                call_timer(ctx, callback, arguments).map_err(|e| ScriptFailure::from_error(ctx, e))?;
            } else {
                return Ok(Turn::Waiting);
            }
            self.run_jobs(ctx)?;
        }
        Ok(Turn::Yielded)
    }

    fn dispatch(&self, ctx: &Ctx<'_>, event: Event) -> rquickjs::Result<()> {
        match event {
            Event::Live(live) => live.deliver(ctx),
            Event::Callback(callback) => callback(ctx),
        }
    }

    /// Runs promise jobs until none is left. After that, an unhandled rejection is a failure.
    fn run_jobs(&self, ctx: &Ctx<'_>) -> Result<(), ScriptFailure> {
        loop {
            match execute_job(ctx) {
                JobResult::None => break,
                JobResult::Ran => {}
                JobResult::Threw => return Err(ScriptFailure::from_error(ctx, rquickjs::Error::Exception)),
            }
            if self.core.must_stop() {
                return Err(ScriptFailure::Interrupted);
            }
        }
        if self.rejections.borrow().is_empty() {
            return Ok(());
        }
        let rejections = std::mem::take(&mut *self.rejections.borrow_mut());
        match rejections.into_iter().next().map(|r| r.reason.restore(ctx)) {
            Some(Ok(reason)) => Err(ScriptFailure::Rejection(places::describe_rejected(ctx, &reason))),
            _ => Ok(()),
        }
    }

    fn track_rejections(&self) {
        let rejections = self.rejections.clone();
        self.runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |ctx, promise, reason, handled| {
                let promise = Persistent::save(&ctx, promise);
                let mut rejections = rejections.borrow_mut();
                if handled {
                    rejections.retain(|known| known.promise != promise);
                } else {
                    rejections.push(Rejection { promise, reason: Persistent::save(&ctx, reason) });
                }
            },
        )));
    }

    fn watch_interrupt(&self) {
        let core = self.core.clone();
        self.runtime.set_interrupt_handler(Some(Box::new(move || core.must_stop())));
        self.context.with(|ctx| slice_clock::watch(&ctx));
    }
}

impl Drop for VuEngine {
    fn drop(&mut self) {
        self.rejections.borrow_mut().clear();
        self.close_residents();
        self.core.events.clear();
    }
}

pub(crate) fn is_pending(ctx: &Ctx<'_>, promise: Persistent<Promise<'static>>) -> bool {
    promise.restore(ctx).is_ok_and(|promise| promise.state() == PromiseState::Pending)
}

/// Ends script that is suspended in a blocking call; afterwards nothing of the VU is on any stack.
pub(crate) fn cancel_blocked(engine: &Rc<VuEngine>) {
    engine.core.interrupt.raise();
    // Bounded: each resumption throws what no script can catch, so script cannot block again for ever.
    for _ in 0..1000 {
        let Some(suspended) = engine.blocked.take() else { return };
        engine.settle(suspended.resume(Resume::Cancel));
    }
}

fn call_timer<'js>(
    ctx: &Ctx<'js>,
    callback: Persistent<Function<'static>>,
    arguments: Vec<Persistent<Value<'static>>>,
) -> rquickjs::Result<()> {
    let callback = callback.restore(ctx)?;
    let mut args = rquickjs::function::Args::new(ctx.clone(), arguments.len());
    args.this(ctx.globals())?;
    for argument in arguments {
        args.push_arg(argument.restore(ctx)?)?;
    }
    callback.call_arg(args)
}

enum JobResult {
    None,
    Ran,
    Threw,
}

fn execute_job(ctx: &Ctx<'_>) -> JobResult {
    let mut of = std::ptr::null_mut();
    // SAFETY: the runtime is the one this context belongs to; it is entered (the caller holds a `Ctx`), and
    // the engine only writes the context pointer.
    let result = unsafe { qjs::JS_ExecutePendingJob(runtime_of(ctx), &mut of) };
    match result {
        0 => JobResult::None,
        n if n > 0 => JobResult::Ran,
        _ => JobResult::Threw,
    }
}

/// Tells the engine which stack it is on.
fn enter_stack(ctx: &Ctx<'_>, room: Room) {
    // SAFETY: the runtime is alive and entered; the room is that of the stack that script was just switched to.
    unsafe { stack::enter(runtime_of(ctx), room) }
}

fn runtime_of(ctx: &Ctx<'_>) -> *mut qjs::JSRuntime {
    // SAFETY: the context is alive; the call reads a field.
    unsafe { qjs::JS_GetRuntime(ctx.as_raw().as_ptr()) }
}
