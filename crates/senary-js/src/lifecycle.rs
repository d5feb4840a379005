//! The functions that run once per test: `setup`, `teardown` and `handleSummary`, each in a VU of its own.
//!
//! They are called from ordinary threads and return when they are done: each call has a runtime of its own, so a busy
//! script delays nothing else. The caller ends a call by cancelling its token, for example because of a time limit or a
//! signal.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rquickjs::{Ctx, Persistent, Value};
use senary_execution::{RunContext, VuId, WorkerContext};
use senary_metrics::ProducerId;
use tokio_util::sync::CancellationToken;

use crate::bundle::{Bundle, HANDLE_SUMMARY, SETUP, TEARDOWN};
use crate::failure::ScriptFailure;
use crate::go_type::go_type;
use crate::json;
use crate::lifecycle_error::LifecycleError;
use crate::properties;
use crate::settings::VuSettings;
use crate::value_text::to_text;
use crate::vu::tags::ITER;
use crate::vu::{VuEngine, failures};

/// What `handleSummary` returned: where to write what.
pub type SummaryFiles = Vec<(String, Vec<u8>)>;

/// The functions of a bundle, and what they need of the run they belong to.
pub struct Lifecycle {
    pub bundle: Arc<Bundle>,
    pub settings: Arc<VuSettings>,
    pub run: RunContext,
    /// The id of the next producer: each call records samples as a separate producer.
    pub next_producer: AtomicU32,
}

impl Lifecycle {
    /// Runs `setup()`; its result as JSON, if it has one.
    pub fn setup(&self, interrupt: &CancellationToken) -> Result<Option<String>, LifecycleError> {
        self.call(SETUP, self.run.clone(), None, interrupt, setup_data)
    }

    /// Runs `teardown()` with what `setup()` returned.
    pub fn teardown(&self, interrupt: &CancellationToken) -> Result<(), LifecycleError> {
        let data = self.settings.setup_data.get();
        self.call(TEARDOWN, self.run.clone(), data.as_deref(), interrupt, |_, _| Ok(()))
    }

    /// Runs `handleSummary()`; `None` if it returned nothing; an empty object is a result. Samples that it causes are
    /// no longer counted.
    pub fn handle_summary(
        &self,
        data: &str,
        interrupt: &CancellationToken,
    ) -> Result<Option<SummaryFiles>, LifecycleError> {
        let run = RunContext { sink: Arc::new(|_| {}), ..self.run.clone() };
        self.call(HANDLE_SUMMARY, run, Some(data), interrupt, summary_files)
    }

    fn call<R>(
        &self,
        name: &'static str,
        run: RunContext,
        data: Option<&str>,
        interrupt: &CancellationToken,
        take: impl for<'js> FnOnce(&Ctx<'js>, Value<'js>) -> Result<R, LifecycleError>,
    ) -> Result<R, LifecycleError> {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| LifecycleError::system(&error))?;
        let producer = ProducerId(self.next_producer.fetch_add(1, Ordering::Relaxed));
        let worker = WorkerContext::new(producer, run);
        let local = tokio::task::LocalSet::new();
        let result = local.block_on(&executor, async {
            let id = VuId { in_instance: 0, in_test: 0 };
            let program = &self.bundle.program;
            let engine = program.init_vu(id, &worker, self.settings.clone(), interrupt).await?;
            // Samples are delivered during a long call, so that thresholds and outputs see them.
            let result = tokio::select! {
                result = call_function(&engine, name, data, interrupt) => result,
                never = worker.flush_regularly() => match never {},
            };
            engine.core.record_data(engine.core.now());
            if name == SETUP && engine.core.evidence.proof().is_failure() {
                worker.state.note_failed_setup();
            }
            let result = result.and_then(|value| {
                engine.with_script(|ctx| match value.restore(ctx) {
                    Ok(value) => take(ctx, value),
                    Err(error) => Err(LifecycleError::Script(ScriptFailure::from_error(ctx, error))),
                })
            });
            if matches!(result, Err(LifecycleError::Script(ScriptFailure::Interrupted))) {
                warn_of_live(&engine, name);
            }
            engine.abandon();
            result
        });
        worker.flush();
        result
    }
}

/// How many open things are named.
const MAX_NAMED: usize = 5;

/// Logs what a function that was cut off may have been waiting for.
fn warn_of_live(engine: &VuEngine, name: &str) {
    let live = engine.core.events.describe_live();
    let Some(first) = live.chunks(MAX_NAMED).next() else { return };
    let more = match live.len() - first.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    log::warn!(
        "{name}() ends once nothing is open any more, and {}{more}; call destroy() when it is not needed any more",
        first.join(", ")
    );
}

/// Calls an exported function and waits for its promise, if it is one.
async fn call_function(
    engine: &Rc<VuEngine>,
    name: &'static str,
    data: Option<&str>,
    interrupt: &CancellationToken,
) -> Result<Persistent<Value<'static>>, LifecycleError> {
    let core = &engine.core;
    let system = core.settings.system_tags;
    core.tags.reset(&core.worker, &core.settings.run_tags, system);
    if system.group {
        core.tags.enter_group(&core.worker, name);
    }
    if system.iter {
        // The call is an iteration of its own; the VU has no number.
        core.tags.set_metadata(ITER, Some("0"));
    }
    let result: Rc<RefCell<Option<Persistent<Value<'static>>>>> = Rc::default();
    let (keep, data, vu) = (result.clone(), data.map(str::to_owned), engine.clone());
    let job = Box::new(move |ctx: &Ctx<'_>| {
        let function = vu.export(ctx, name)?;
        let Some(function) = function.as_function() else { return Ok(()) };
        let data = match data {
            Some(json) => ctx.json_parse(json)?,
            None => Value::new_undefined(ctx.clone()),
        };
        let value: Value<'_> = function.call((data,))?;
        vu.awaits(ctx, &value);
        keep.replace(Some(Persistent::save(ctx, value)));
        Ok(())
    });
    engine.drive(job, interrupt).await.map_err(LifecycleError::Script)?;
    if !failures::has_settled(engine, name) && name == HANDLE_SUMMARY {
        return Err(LifecycleError::SummaryNeverSettled);
    }
    let Some(result) = result.take() else {
        return Err(match name {
            HANDLE_SUMMARY => LifecycleError::SummaryNotAFunction,
            _ => LifecycleError::NotAFunction(name.to_owned()),
        });
    };
    engine.with_script(|ctx| settled(ctx, result)).map_err(LifecycleError::Script)
}

/// The value of a promise that nothing can settle any more, or the value itself.
fn settled(
    ctx: &Ctx<'_>,
    value: Persistent<Value<'static>>,
) -> Result<Persistent<Value<'static>>, ScriptFailure> {
    let failed = |e| ScriptFailure::from_error(ctx, e);
    let value = value.restore(ctx).map_err(failed)?;
    let value = match value.as_promise() {
        None => value,
        Some(promise) => match promise.result::<Value<'_>>() {
            Some(result) => result.map_err(failed)?,
            None => Value::new_undefined(ctx.clone()),
        },
    };
    Ok(Persistent::save(ctx, value))
}

fn setup_data<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Option<String>, LifecycleError> {
    if value.is_undefined() {
        return Ok(None);
    }
    json::of(ctx, value, json::Gaps::Silent).map_err(|e| LifecycleError::SetupData(e.to_string()))
}

fn summary_files<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Option<SummaryFiles>, LifecycleError> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let Some(object) = value.as_object().filter(|_| !value.is_array() && !value.is_function()) else {
        return Err(LifecycleError::SummaryNoMap);
    };
    let failed = |e| LifecycleError::Script(ScriptFailure::from_error(ctx, e));
    let mut files = SummaryFiles::new();
    for entry in properties::entries(object) {
        let (key, value) = entry.map_err(failed)?;
        let bytes = if value.is_string() {
            to_text(ctx, &value).into_bytes()
        } else {
            let view =
                value.as_object().map(|o| crate::bytes::of_object(ctx, o)).transpose().map_err(failed)?;
            match view.flatten() {
                Some(view) => view.as_slice().to_vec(),
                None => return Err(LifecycleError::SummaryValue { key, kind: go_type(&value) }),
            }
        };
        files.push((key, bytes));
    }
    Ok(Some(files))
}
