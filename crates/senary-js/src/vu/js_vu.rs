//! The script's VU as the executors know it: activation, iterations, and what of each is counted and logged.

use std::rc::Rc;
use std::sync::Arc;

use rquickjs::{Function, Persistent, Value};
use senary_execution::{Activation, Ended, Iteration, IterationOutcome, Proof, Vu};
use senary_metrics::builtin;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::core::VuCore;
use super::failures;
use super::tags::{ITER, SCENARIO, VU};
use super::{Job, VuEngine, cancel_blocked};
use crate::failure::ScriptFailure;
use crate::globals;
use crate::lifecycle_error::LifecycleError;
use crate::program::Program;

pub struct JsVu {
    // Values of the engine come before it: fields drop in order.
    function: Option<Persistent<Function<'static>>>,
    setup_data: Option<Persistent<Value<'static>>>,
    engine: Rc<VuEngine>,
    program: Arc<Program>,
    /// Its engine ran out of memory, and could not be replaced yet.
    is_broken: bool,
}

impl JsVu {
    pub(crate) fn new(engine: Rc<VuEngine>, program: Arc<Program>) -> Self {
        Self { function: None, setup_data: None, engine, program, is_broken: false }
    }

    /// The end of the VU, as far as others see it: its connections are closed, and recorded.
    pub(crate) fn close(&self) {
        self.engine.close_residents();
    }

    /// Gives the VU a new engine, in which the script's init code runs again: one that ran out of memory may hold what
    /// the script keeps between iterations, and allocations may have failed in the middle of anything.
    async fn start_over(&mut self, interrupt: &CancellationToken) -> Result<(), ScriptFailure> {
        let old = self.engine.core.clone();
        // The old engine is freed before the new one is made.
        self.function = None;
        self.setup_data = None;
        let made = self.program.init_vu(old.id, &old.worker, old.settings.clone(), interrupt).await;
        let engine = made.map_err(|error| match error {
            LifecycleError::Script(failure) => failure,
            other => ScriptFailure::Exception(other.to_string()),
        })?;
        self.engine = engine;
        if let Some(activation) = old.activation() {
            self.activate(&activation);
        }
        let core = &self.engine.core;
        core.iteration.set(old.iteration.get());
        core.iterations_begun.set(old.iterations_begun.get());
        core.iterations_in_scenario.set(old.iterations_in_scenario.get());
        self.is_broken = false;
        Ok(())
    }

    /// Makes ready to run the scenario's function with the data of `setup()`; `None` if there is nothing to run.
    async fn prepare(&mut self, interrupt: &CancellationToken) -> Result<Option<Job>, ScriptFailure> {
        if self.is_broken {
            self.start_over(interrupt).await?;
        }
        if self.setup_data.is_none() {
            self.setup_data = Some(self.parse_setup_data()?);
        }
        let (Some(function), Some(data)) = (self.function.clone(), self.setup_data.clone()) else {
            return Ok(None);
        };
        let begun = self.engine.core.iterations_begun.get() - 1;
        let engine = self.engine.clone();
        Ok(Some(Box::new(move |ctx| {
            ctx.globals().set(globals::ITER, begun as f64)?;
            let data = data.restore(ctx)?;
            let value = function.restore(ctx)?.call::<_, Value<'_>>((data,))?;
            engine.awaits(ctx, &value);
            Ok(())
        })))
    }

    /// Runs the scenario's function, and everything it sets in motion.
    async fn run_function(&mut self, interrupt: &CancellationToken) -> Result<(), ScriptFailure> {
        let job = self.prepare(interrupt).await;
        if interrupt.is_cancelled() {
            // Nothing has run, not even the script's own counters: this iteration never was.
            return Err(ScriptFailure::NotBegun);
        }
        match job? {
            Some(job) => self.engine.drive(job, interrupt).await,
            None => Ok(()),
        }
    }

    /// Parsed once per VU: what iterations change in it stays changed for the VU's later ones.
    fn parse_setup_data(&self) -> Result<Persistent<Value<'static>>, ScriptFailure> {
        let json = self.engine.core.settings.setup_data.get();
        self.engine.with_script(|ctx| {
            let value = match json {
                Some(json) => ctx.json_parse(&*json).map_err(|e| ScriptFailure::from_error(ctx, e))?,
                None => Value::new_undefined(ctx.clone()),
            };
            Ok(Persistent::save(ctx, value))
        })
    }

    fn log(&self, failure: &ScriptFailure) {
        let activation = self.engine.core.activation();
        let (executor, scenario) =
            activation.as_ref().map_or(("", ""), |a| (a.executor, a.scenario.as_str()));
        match failure {
            ScriptFailure::Exception(text) => log::error!(
                executor, scenario, hint = "script exception", source = "stacktrace"; "{text}"
            ),
            ScriptFailure::Rejection(_)
            | ScriptFailure::NeverEvaluated
            | ScriptFailure::OutOfMemory { .. } => {
                log::error!(executor, scenario; "{failure}");
            }
            // Advice about missing stacks is given once for all of them.
            ScriptFailure::Interrupted | ScriptFailure::NotBegun | ScriptFailure::NoStack { .. } => {}
        }
    }
}

impl Vu for JsVu {
    fn activate(&mut self, activation: &Arc<Activation>) {
        let core = &self.engine.core;
        let system = core.settings.system_tags;
        let mut base = core.settings.run_tags.merged(activation.tags.iter());
        if system.scenario {
            base = base.with(SCENARIO, &activation.scenario);
        }
        core.tags.reset(&core.worker, &base, system);
        if system.vu {
            core.tags.set_metadata(VU, Some(&core.id.in_test.to_string()));
        }
        core.iterations_in_scenario.set(0);
        core.activation.replace(Some(activation.clone()));
        self.function = self.engine.with_script(|ctx| {
            // Fails only when memory is out; then the iteration will say so.
            let _ = globals::reset_env(ctx);
            let function = self.engine.export(ctx, &activation.exec).ok()?;
            Some(Persistent::save(ctx, function.as_function()?.clone()))
        });
    }

    async fn run_iteration(
        &mut self,
        iteration: Iteration,
        begun: Instant,
        interrupt: &CancellationToken,
    ) -> Ended {
        let mut core = self.engine.core.clone();
        core.iteration.set(iteration);
        core.iterations_begun.set(core.iterations_begun.get() + 1);
        core.iterations_in_scenario.set(core.iterations_in_scenario.get() + 1);
        if core.settings.system_tags.iter {
            let number = core.iterations_in_scenario.get() - 1;
            core.tags.set_metadata(ITER, Some(&number.to_string()));
        }
        core.begin_iteration();
        let outcome = self.run_function(interrupt).await;
        let at = Instant::now();
        core = self.engine.core.clone();
        let (has_settled, unanswered) = match &outcome {
            Ok(()) => (failures::ended(&self.engine), false),
            Err(failure) => {
                self.log(failure);
                failures::failed(&self.engine, failure);
                let unanswered = self.engine.was_unanswered();
                self.engine.abandon();
                (false, unanswered)
            }
        };
        let end = End::of(&outcome, core.aborted.get());
        if end == End::NotBegun {
            core.iterations_begun.set(core.iterations_begun.get() - 1);
            core.iterations_in_scenario.set(core.iterations_in_scenario.get() - 1);
            return Ended { outcome: IterationOutcome::NotBegun, at };
        }
        end.record(&core, begun, at);
        if matches!(outcome, Err(ScriptFailure::OutOfMemory { .. })) {
            self.is_broken = true;
            if !interrupt.is_cancelled() {
                // This happens now so that the memory is freed. If it fails, the next iteration tries again and reports
                // why.
                let _ = self.start_over(interrupt).await;
            }
        }
        let outcome = match end {
            End::Interrupted => IterationOutcome::Interrupted { unanswered },
            End::Returned if core.aborted.get() => IterationOutcome::Complete { proof: Proof::Success },
            End::Returned if has_settled => IterationOutcome::Complete { proof: core.evidence.proof() },
            _ => IterationOutcome::Complete { proof: Proof::Failure },
        };
        Ended { outcome, at }
    }
}

/// How an iteration ended, as metrics tell it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Returned,
    Failed,
    /// It was ended from outside, or the machine ran out of something.
    Interrupted,
    NotBegun,
}

impl End {
    fn of(outcome: &Result<(), ScriptFailure>, has_aborted: bool) -> Self {
        match outcome {
            Ok(()) => Self::Returned,
            // An iteration that ends the test by `exec.test.abort()` did what it was to do.
            Err(ScriptFailure::Interrupted) if has_aborted => Self::Returned,
            Err(ScriptFailure::Interrupted | ScriptFailure::NoStack { has_begun: true, .. }) => {
                Self::Interrupted
            }
            Err(ScriptFailure::NotBegun | ScriptFailure::NoStack { has_begun: false, .. }) => Self::NotBegun,
            Err(_) => Self::Failed,
        }
    }

    fn record(self, core: &VuCore, begun: Instant, ended: Instant) {
        let at = core.worker.clock.at(ended.into_std());
        match self {
            Self::NotBegun => {}
            Self::Interrupted => {
                core.record_at(builtin::ITERATIONS_INTERRUPTED, 1.0, at);
                core.record_data(at);
            }
            Self::Returned | Self::Failed => {
                let length = ended.saturating_duration_since(begun).as_secs_f64() * 1e3;
                core.record_iteration(length, self == Self::Failed, at);
            }
        }
    }
}

impl Drop for JsVu {
    fn drop(&mut self) {
        // If the scheduler drops an iteration half-way, no script may remain on a coroutine's stack.
        cancel_blocked(&self.engine);
        self.function = None;
        self.setup_data = None;
        self.engine.abandon();
    }
}
