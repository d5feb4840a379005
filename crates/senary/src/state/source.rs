//! Gathers the state of a run.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Once, OnceLock};

use senary_execution::{Outcomes, Unnoticed};
use senary_js::bundle::HANDLE_SUMMARY;
use senary_metrics::{Failures, Totals};
use senary_output::state::{
    Declared, EarlyEnd, Head, Instance, Progress, ScenarioOutcome, State, TestFacts, hash_of_script,
};

use crate::archive::Archive;
use crate::command_error::CommandError;
use crate::dashboard::{self, ForStates};
use crate::failures;
use crate::plan::TestPlan;
use crate::run_handle::RunHandle;
use crate::run_phase::RunPhase;
use crate::settings::SummaryMode;
use crate::test_run::{Ended, TestRun};

/// A script with more than this is not kept in states, in bytes. Whoever merges them gives it then.
const MAX_SCRIPT: usize = 16 << 20;

/// What `setup()` returns is not kept in states if it takes more than this: each instance would write it again and again.
const MAX_SETUP_DATA: usize = 16 << 20;

/// Files with these endings are modules; what else a script reads may differ from instance to instance.
const MODULES: [&str; 5] = [".js", ".mjs", ".cjs", ".ts", ".mts"];

/// Makes states of a run, while it lasts and when it is over.
pub struct StateSource {
    handle: Arc<RunHandle>,
    instance: Instance,
    test: TestFacts,
    script: Option<Arc<[u8]>>,
    watched: ForStates,
    /// What the run adds up to, once nothing is added any more. Its summary may still be made, and take minutes.
    measured: OnceLock<Arc<Totals>>,
    over: OnceLock<Over>,
    warned: Once,
}

/// What came of a run that is over.
pub struct Over {
    pub totals: Arc<Totals>,
    /// Without thresholds: these are judged on the whole.
    pub failures: Failures,
    pub has_run: bool,
    pub end: Option<EarlyEnd>,
    /// What outputs lost, in words.
    pub lost: Vec<String>,
}

impl Over {
    pub fn new(
        verdict: &Result<(), CommandError>,
        ended: &Ended,
        totals: Arc<Totals>,
        lost: &[String],
    ) -> Self {
        let failures = failures::counted(&ended.handle.run, lost);
        Self { totals, failures, has_run: ended.has_run, end: early_end(verdict), lost: lost.to_vec() }
    }
}

impl StateSource {
    pub fn new(run: &TestRun, instance: Instance, script: Archive, watched: ForStates) -> Self {
        watched.begin(run, &script.url);
        let (facts, scenarios) = watched.facts();
        let bundle = &run.handle.lifecycle.bundle;
        let hash = script_hash(&script);
        let handles_summary = bundle.exports_anything_as(HANDLE_SUMMARY);
        let plan = &run.plan;
        let test = TestFacts {
            script: name_of(&script.url),
            hash,
            options: plan.options.clone(),
            thresholds: plan.thresholds.clone(),
            evaluate_thresholds: plan.evaluate_thresholds,
            metrics: Declared::all(bundle.registry()),
            has_parts: plan.summary.mode == SummaryMode::Full,
            handles_summary,
            strict: plan.strict,
            fail_on_saturation: plan.fail_on_saturation,
            facts,
            scenarios,
        };
        let script = if handles_summary { packed(&script) } else { None };
        Self {
            handle: run.handle.clone(),
            instance,
            test,
            script,
            watched,
            measured: OnceLock::new(),
            over: OnceLock::new(),
            warned: Once::new(),
        }
    }

    /// The state of the run as it is now. `None` while its last samples are added up.
    pub fn state(&self) -> Option<State> {
        let over = self.over.get();
        let (totals, failures) = match over {
            Some(over) => ((*over.totals).clone(), over.failures.clone()),
            None => (self.totals()?, self.handle.run.state.failures()),
        };
        let head =
            Head { instance: self.instance.clone(), test: self.test.clone(), progress: self.progress(over) };
        let (timeline, script) = (Some(self.watched.timeline()), self.script.clone());
        Some(State { head, totals, failures, timeline, script })
    }

    fn totals(&self) -> Option<Totals> {
        self.handle.totals().or_else(|| self.measured.get().map(|totals| (**totals).clone()))
    }

    /// Nothing is measured any more.
    pub fn keep(&self, totals: Arc<Totals>) {
        let _ = self.measured.set(totals);
    }

    /// Whether the end of the run may still take its time.
    pub fn makes_summary(&self) -> bool {
        self.test.handles_summary
    }

    /// The run is over: from now on this is its state.
    pub fn finish(&self, over: Over) {
        let _ = self.over.set(over);
    }

    /// What the file of the state is called in a folder.
    pub fn file_name(instance: &Instance) -> String {
        let own = match instance.segment.as_str() {
            "0:1" => String::new(),
            segment => format!("-{}", segment.replace(['/', ':'], "_")),
        };
        format!("{}{own}.state", instance.name.replace('/', "_"))
    }

    fn progress(&self, over: Option<&Over>) -> Progress {
        let run = &self.handle.run;
        let saturation = self.handle.watch.saturation();
        let lost = over.map(|over| over.lost.clone()).unwrap_or_default();
        let setup_data = self.handle.lifecycle.settings.setup_data.get();
        let is_setup_data_left_out = setup_data.as_ref().is_some_and(|data| data.len() > MAX_SETUP_DATA);
        if is_setup_data_left_out {
            self.warned.call_once(|| warn_of_setup_data(setup_data.as_ref().map_or(0, |data| data.len())));
        }
        Progress {
            is_final: over.is_some(),
            written: run.clock.now(),
            started: run.state.started().map(|started| run.clock.at(started)),
            seconds: run.state.run_duration().as_secs_f64(),
            has_run: over.map_or(self.handle.events.phase() >= RunPhase::Running, |over| over.has_run),
            end: over.and_then(|over| over.end.clone()),
            full_iterations: run.state.full_iterations(),
            interrupted_iterations: run.state.interrupted_iterations(),
            setup_data: setup_data.filter(|_| !is_setup_data_left_out).map(|data| data.to_string()),
            is_setup_data_left_out,
            outcomes: self.handle.watch.outcomes().into_iter().map(outcome).collect(),
            setup_failed: run.state.has_setup_failed(),
            generator: dashboard::generator(&saturation, &lost),
            lost,
            row: self.watched.row(),
            log: dashboard::log_lines(),
        }
    }
}

/// A hash of a script and the modules that it imports.
pub fn script_hash(script: &Archive) -> String {
    let modules = script.contents.iter().filter(|(url, _)| MODULES.iter().any(|end| url.ends_with(end)));
    hash_of_script(&script.script, modules.map(|(_, content)| &**content))
}

/// The instance that this process is.
pub fn instance(plan: &TestPlan) -> Instance {
    let segment = plan.load.segment();
    Instance {
        // Two processes never draw the same number.
        id: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        name: host_name(),
        segment: segment.segment().to_string(),
        sequence: segment.sequence().to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

fn name_of(url: &str) -> String {
    senary_words::percent::decoded_text(url.rsplit('/').next().unwrap_or(url))
}

fn outcome((scenario, of): (String, Outcomes)) -> ScenarioOutcome {
    let Outcomes { succeeded, idle, failed, unnoticed, silence } = of;
    let Unnoticed { refused, ignored, stranded } = unnoticed;
    let silence = silence.map(|silence| silence.as_secs_f64());
    ScenarioOutcome { scenario, succeeded, idle, failed, refused, ignored, stranded, silence }
}

fn warn_of_setup_data(bytes: usize) {
    let megabytes = bytes / 1_000_000;
    log::warn!(
        "What setup() returned is {megabytes} MB, which is too much for a state: the summary of all instances will not have it"
    );
}

fn packed(archive: &Archive) -> Option<Arc<[u8]>> {
    let size: usize = archive.contents.values().map(|content| content.len()).sum();
    if size > MAX_SCRIPT {
        log::warn!(
            "The script and what it reads are {} MB, which is too much for a state: give it to `senary merge` (--script), so that its handleSummary() can be called",
            size / 1_000_000
        );
        return None;
    }
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    archive.write(&mut bytes).ok()?;
    Some(bytes.into())
}

/// How a run ended, as far as that is not for the whole to judge: its thresholds, and whether it proves anything, are.
fn early_end(verdict: &Result<(), CommandError>) -> Option<EarlyEnd> {
    match verdict {
        Ok(())
        | Err(
            CommandError::ThresholdsCrossed(_) | CommandError::Saturated(_) | CommandError::ProvesNothing(_),
        ) => None,
        Err(failure) => Some(EarlyEnd { code: failure.code(), reason: failure.to_string() }),
    }
}
