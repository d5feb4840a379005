//! A program is the script of a test and everything that its VUs share. This module also makes VUs: an engine with its
//! globals, in which the script's init code runs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rquickjs::function::This;
use rquickjs::{CaughtError, Context, Ctx, Function, Persistent, Promise, Runtime, Value};
use senary_execution::{VuId, WorkerContext};
use senary_metrics::Registry;
use tokio_util::sync::CancellationToken;

use crate::failure::ScriptFailure;
use crate::hints::Hints;
use crate::lifecycle_error::LifecycleError;
use crate::memory::Memory;
use crate::natives::Natives;
use crate::script_context::ScriptContext;
use crate::settings::VuSettings;
use crate::source::{ModuleStore, files, loader};
use crate::vu::core::{Interrupt, VuCore, VuHandle};
use crate::vu::{VuEngine, is_pending};
use crate::{console, globals, wake};

/// The name that options are exported under.
pub const OPTIONS: &str = "options";

/// What the engine throws when an allocation fails.
const OUT_OF_MEMORY: &str = "out of memory";

/// The settings of a script that are needed before its options are known.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// `__ENV`.
    pub env: Arc<[(String, String)]>,
    /// `--compatibility-mode=base`: no `global`.
    pub base_compatibility: bool,
    /// The modules and globals that the program brings.
    pub natives: Natives,
    /// `__ENV` is frozen: the feature `freeze-env`.
    pub freeze_env: bool,
    /// The memory limit of one VU's script in bytes; `None` for the default.
    pub memory_limit: Option<usize>,
}

/// Shared by all VUs of a test.
pub struct Program {
    pub store: Arc<ModuleStore>,
    pub registry: Registry,
    runtime: RuntimeOptions,
    hints: Hints,
}

impl Program {
    pub fn new(store: Arc<ModuleStore>, runtime: RuntimeOptions, registry: Registry) -> Self {
        Self { store, registry, runtime, hints: Hints::default() }
    }

    /// A VU in which the script's init code has run; the exports of the script are kept in it.
    pub(crate) async fn init_vu(
        &self,
        id: VuId,
        worker: &Rc<WorkerContext>,
        settings: Arc<VuSettings>,
        interrupt: &CancellationToken,
    ) -> Result<Rc<VuEngine>, LifecycleError> {
        wake::watch();
        let engine = self.new_engine(id, worker, settings)?;
        if let Err(failure) = evaluate(&engine, interrupt).await {
            // An interruption of a module's own code arrives as an exception.
            let stopped = engine.core.aborted.get() || engine.core.interrupt.is_raised();
            let failure = if stopped { ScriptFailure::Interrupted } else { failure };
            engine.abandon();
            return Err(LifecycleError::Script(failure));
        }
        engine.core.script_context.set(ScriptContext::Vu);
        engine.with_script(|ctx| {
            let options = engine.export(ctx, OPTIONS);
            let written =
                options.and_then(|options| engine.core.settings.derived_options.write_back(ctx, &options));
            written.map_err(|error| refused(ctx, error))
        })?;
        Ok(engine)
    }

    /// An engine with everything a script may use, and without the script.
    fn new_engine(
        &self,
        id: VuId,
        worker: &Rc<WorkerContext>,
        settings: Arc<VuSettings>,
    ) -> Result<Rc<VuEngine>, LifecycleError> {
        let memory = Memory::new(self.runtime.memory_limit);
        let runtime = Runtime::new().map_err(no_engine)?;
        runtime.set_loader(loader::ScriptResolver, loader::ScriptLoader);
        let context = Context::full(&runtime).map_err(no_engine)?;
        let core = VuCore::new(
            id,
            worker.clone(),
            settings,
            self.registry.clone(),
            self.runtime.env.clone(),
            self.runtime.freeze_env,
            Interrupt::default(),
            memory,
        );
        let engine = VuEngine::new(core, context, runtime);
        engine.with_script(|ctx| self.prepare(ctx, &engine.core).map_err(|error| refused(ctx, error)))?;
        Ok(engine)
    }

    fn prepare(&self, ctx: &Ctx<'_>, core: &Rc<VuCore>) -> rquickjs::Result<()> {
        // Storing userdata fails only while some of it is being read, which nobody does yet.
        let _ = ctx.store_userdata(VuHandle(core.clone()));
        let _ = ctx.store_userdata(core.script_context.clone());
        self.hints.install(ctx);
        globals::install_go_error(ctx)?;
        console::install(ctx)?;
        self.runtime.natives.install(ctx)?;
        globals::install(ctx, core, self.runtime.base_compatibility)?;
        loader::install(ctx, &self.store)?;
        files::install(ctx)
    }
}

/// Why there is no engine, or none that is complete. An exception is not the script's, of which nothing runs meanwhile.
fn refused(ctx: &Ctx<'_>, error: rquickjs::Error) -> LifecycleError {
    match CaughtError::from_error(ctx, error) {
        CaughtError::Error(error) => no_engine(error),
        CaughtError::Exception(exception) => match exception.message() {
            Some(text) if text != OUT_OF_MEMORY => LifecycleError::Engine(text),
            _ => out_of_memory(),
        },
        // Without memory there is no error object, either.
        CaughtError::Value(_) => out_of_memory(),
    }
}

fn no_engine(error: rquickjs::Error) -> LifecycleError {
    match error {
        rquickjs::Error::Allocation => out_of_memory(),
        error => LifecycleError::Engine(error.to_string()),
    }
}

fn out_of_memory() -> LifecycleError {
    LifecycleError::system(&std::io::ErrorKind::OutOfMemory.into())
}

/// Runs the script's init code.
async fn evaluate(engine: &Rc<VuEngine>, interrupt: &CancellationToken) -> Result<(), ScriptFailure> {
    // Settles with the module: what it was rejected with, or nothing.
    let rejected: Rc<RefCell<Option<Persistent<Value<'static>>>>> = Rc::default();
    let evaluation: Rc<RefCell<Option<Persistent<Promise<'static>>>>> = Rc::default();
    let (exports, rejection, running) = (engine.clone(), rejected.clone(), evaluation.clone());
    let evaluate = Box::new(move |ctx: &Ctx<'_>| {
        let (namespace, promise) = loader::evaluate_entry(ctx)?;
        exports.exports.replace(Some(Persistent::save(ctx, namespace)));
        let Some(promise) = promise else { return Ok(()) };
        running.replace(Some(Persistent::save(ctx, promise.clone())));
        let on_rejected = Function::new(ctx.clone(), move |reason: Value<'_>| {
            rejection.replace(Some(Persistent::save(&reason.ctx().clone(), reason)));
        })?;
        promise.catch()?.call((This(promise.clone()), on_rejected))
    });
    engine.drive(evaluate, interrupt).await?;
    match rejected.take() {
        None => match evaluation.take().map(|promise| engine.with_script(|ctx| is_pending(ctx, promise))) {
            Some(true) => Err(ScriptFailure::NeverEvaluated),
            _ => Ok(()),
        },
        Some(reason) => engine.with_script(|ctx| match reason.restore(ctx) {
            Ok(reason) => Err(ScriptFailure::thrown(ctx, &reason)),
            Err(error) => Err(ScriptFailure::from_error(ctx, error)),
        }),
    }
}
