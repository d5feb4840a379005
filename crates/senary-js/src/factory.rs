//! Making VUs of a bundle: an engine, its globals, the script's init code run in it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rquickjs::function::This;
use rquickjs::{Context, Ctx, Function, Object, Persistent, Promise, Runtime, Value};
use senary_execution::{VuFactory, VuId, WorkerContext};
use tokio_util::sync::CancellationToken;

use crate::bundle::{Bundle, OPTIONS};
use crate::failure::ScriptFailure;
use crate::lifecycle::LifecycleError;
use crate::memory::Memory;
use crate::script_context::ScriptContext;
use crate::settings::VuSettings;
use crate::source::loader;
use crate::vu::core::{Interrupt, VuCore, VuHandle};
use crate::vu::js_vu::JsVu;
use crate::vu::{VuInner, is_pending};
use crate::wake;
use crate::{globals, modules};

/// Makes VUs; shared by all workers.
pub struct JsVuFactory {
    bundle: Arc<Bundle>,
    settings: Arc<VuSettings>,
}

impl JsVuFactory {
    pub fn new(bundle: Arc<Bundle>, settings: Arc<VuSettings>) -> Self {
        Self { bundle, settings }
    }
}

impl VuFactory for JsVuFactory {
    type Vu = JsVu;
    type Error = LifecycleError;

    async fn create(
        &self,
        id: VuId,
        worker: &Rc<WorkerContext>,
        interrupt: &CancellationToken,
    ) -> Result<JsVu, LifecycleError> {
        let made = init_vu(&self.bundle, id, worker, self.settings.clone(), interrupt).await;
        match made {
            Ok(inner) => Ok(JsVu::new(inner, self.bundle.clone())),
            Err(LifecycleError::Script(failure)) if failure != ScriptFailure::Interrupted => {
                Err(LifecycleError::VuInit { vu: id.in_instance, failure })
            }
            Err(error) => Err(error),
        }
    }

    /// Left as it is: the process ends soon, and its memory with it. To take thousands of engines apart would hold up
    /// the summary for a quarter of the time that making them took.
    fn retire(&self, vu: JsVu) {
        std::mem::forget(vu);
    }
}

/// An engine in which the script's init code has run; its exports are kept in it.
pub(crate) async fn init_vu(
    bundle: &Bundle,
    id: VuId,
    worker: &Rc<WorkerContext>,
    settings: Arc<VuSettings>,
    interrupt: &CancellationToken,
) -> Result<Rc<VuInner>, LifecycleError> {
    let engine = |e: rquickjs::Error| LifecycleError::Engine(e.to_string());
    wake::watch();
    let memory = Memory::new(bundle.runtime.memory_limit);
    let runtime = Runtime::new().map_err(engine)?;
    runtime.set_loader(loader::ScriptResolver, loader::ScriptLoader);
    let context = Context::full(&runtime).map_err(engine)?;
    let core = VuCore::new(
        id,
        worker.clone(),
        settings,
        bundle.registry.clone(),
        bundle.runtime.env.clone(),
        bundle.runtime.freeze_env,
        Interrupt::default(),
        memory,
    );
    let inner = VuInner::new(core, context, runtime);
    inner.with_script(|ctx| prepare(ctx, &inner.core, bundle)).map_err(engine)?;

    // Settles with the module: what it was rejected with, or nothing.
    let rejected: Rc<RefCell<Option<Persistent<Value<'static>>>>> = Rc::default();
    let evaluation: Rc<RefCell<Option<Persistent<Promise<'static>>>>> = Rc::default();
    let (exports, rejection, running) = (inner.clone(), rejected.clone(), evaluation.clone());
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
    let outcome = inner.drive(evaluate, interrupt).await;
    let outcome = outcome.and_then(|()| match rejected.take() {
        None => match evaluation.take().map(|promise| inner.with_script(|ctx| is_pending(ctx, promise))) {
            Some(true) => Err(ScriptFailure::NeverEvaluated),
            _ => Ok(()),
        },
        Some(reason) => inner.with_script(|ctx| match reason.restore(ctx) {
            Ok(reason) => Err(ScriptFailure::thrown(ctx, &reason)),
            Err(error) => Err(ScriptFailure::from_error(ctx, error)),
        }),
    });
    if let Err(failure) = outcome {
        // What stops a module's own code comes out of it as an exception.
        let stopped = inner.core.aborted.get() || inner.core.interrupt.is_raised();
        let failure = if stopped { ScriptFailure::Interrupted } else { failure };
        inner.abandon();
        return Err(LifecycleError::Script(failure));
    }
    inner.core.script_context.set(ScriptContext::Vu);
    let write_back =
        |ctx: &Ctx<'_>| inner.core.settings.derived_options.write_back(ctx, &exported(ctx, &inner, OPTIONS)?);
    inner.with_script(write_back).map_err(engine)?;
    Ok(inner)
}

fn prepare(ctx: &Ctx<'_>, core: &Rc<VuCore>, bundle: &Bundle) -> rquickjs::Result<()> {
    // Storing userdata fails only while some of it is being read, which nobody does yet.
    let _ = ctx.store_userdata(VuHandle(core.clone()));
    let _ = ctx.store_userdata(core.script_context.clone());
    bundle.shared_arrays.install(ctx);
    bundle.hints.install(ctx);
    bundle.runtime.secrets.install(ctx);
    modules::install_globals(ctx)?;
    globals::install(ctx, core, bundle.runtime.base_compatibility)?;
    loader::install(ctx, &bundle.store)?;
    crate::source::files::install(ctx)
}

/// An exported function, looked up when it is needed: exports are live bindings.
pub(crate) fn exported<'js>(ctx: &Ctx<'js>, inner: &VuInner, name: &str) -> rquickjs::Result<Value<'js>> {
    match inner.exports.borrow().clone() {
        Some(exports) => {
            let exports: Object<'js> = exports.restore(ctx)?;
            exports.get(name)
        }
        None => Ok(Value::new_undefined(ctx.clone())),
    }
}
