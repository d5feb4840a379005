//! The whole test, made of the states of its instances: judged, and told as a run is told at its end.

mod handler;
mod prepared;
mod thresholds;

use senary_metrics::engine::Crossed;
use senary_metrics::{Engine, Results, Timestamp};
use senary_output::state::{Contribution, Head, Objection, Progress, TestFacts, Whole};
use senary_output::timeline::Timeline;
use senary_output::{InstanceRow, Instances, Output, Remark, TimeUnit, TrendStat};
use serde_json::Value;

pub use handler::{SummaryHandler, SummaryScript, load};
pub use prepared::Prepared;
pub use thresholds::judgeable;

use crate::cli::WholeArgs;
use crate::command_error::CommandError;
use crate::dashboard::{Contact, Gathered, Report, Standing, report_of_whole};
use crate::plan::{PlanError, SummarySettings};
use crate::report::Closing;
use crate::run_events::{RunEnd, ThresholdState};
use crate::run_phase::RunPhase;
use crate::settings::{RuntimeSettings, SummaryMode};
use crate::{report, verdict};

/// The whole test, judged.
pub struct Merged {
    pub whole: Whole,
    objections: Vec<Objection>,
    pub results: Results,
    crossed: Crossed,
    judged: Vec<ThresholdState>,
    /// Why some thresholds cannot be judged. The test is over, so they are no reason to have no summary.
    unjudged: Vec<String>,
    settings: SummarySettings,
    is_strict: bool,
    fails_on_saturation: bool,
}

impl Merged {
    pub fn new(
        args: &WholeArgs,
        runtime: &RuntimeSettings,
        whole: Whole,
        objections: Vec<Objection>,
    ) -> Result<Self, CommandError> {
        let Some(test) = whole.instances.first().map(|instance| instance.head.test.clone()) else {
            return Err(CommandError::Command("there is no state to merge".to_owned()));
        };
        let settings = summary_settings(args, runtime, &whole, &test)?;
        let is_full = settings.mode == SummaryMode::Full;
        // Instances may leave it to the whole to be judged (--no-thresholds).
        let evaluate = !runtime.no_thresholds;
        let (thresholds, unjudged) = match evaluate {
            true => judgeable(&test.thresholds, &whole.registry),
            false => (test.thresholds, Vec::new()),
        };
        let mut engine = Engine::new(whole.registry.clone(), &thresholds, evaluate, is_full)
            .map_err(|error| CommandError::Command(error.to_string()))?;
        engine.merge(&whole.totals).map_err(|error| CommandError::Command(error.to_string()))?;
        let crossed = engine.finish(whole.seconds);
        let judged = engine.judgements().map(|judgement| ThresholdState::of(&judgement)).collect();
        let mut results = engine.results(whole.seconds);
        if !is_full {
            results.parts.clear();
        }
        let any = |of: fn(&TestFacts) -> bool| whole.instances.iter().any(|instance| of(&instance.head.test));
        let is_strict = args.strict.unwrap_or_else(|| any(|test| test.strict));
        let fails_on_saturation =
            args.fail_on_saturation.unwrap_or_else(|| any(|test| test.fail_on_saturation));
        Ok(Self {
            whole,
            objections,
            results,
            crossed,
            judged,
            unjudged,
            settings,
            is_strict,
            fails_on_saturation,
        })
    }

    /// When the test was over.
    pub fn now(&self) -> Timestamp {
        let start = self.whole.started.unwrap_or_default();
        Timestamp(start.0.saturating_add((self.whole.seconds * 1e9) as i64))
    }

    /// What the summary says besides results.
    pub fn closing(&self, handler: SummaryHandler, no_color: bool) -> Closing {
        let objections = if self.is_strict {
            let outcomes = verdict::whole_outcomes(&self.whole);
            verdict::objections(&self.results, &outcomes, verdict::has_setup_failed(&self.whole))
        } else {
            Vec::new()
        };
        let data = |instance: &Contribution| {
            let json = instance.head.progress.setup_data.as_ref()?;
            serde_json::from_str::<Value>(json).ok()
        };
        Closing {
            settings: self.settings.clone(),
            handler,
            setup_data: self.whole.instances.iter().find_map(data),
            script: String::new(),
            no_color,
            remarks: self.whole.instances.iter().flat_map(remarks).collect(),
            objections,
            instances: Some(Instances {
                rows: self.whole.instances.iter().map(row).collect(),
                objections: self.objections.iter().map(ToString::to_string).collect(),
            }),
            now: self.now(),
        }
    }

    /// Whether the script makes the summary itself.
    pub fn handles_summary(&self) -> bool {
        self.whole.instances.iter().any(|instance| instance.head.test.handles_summary)
    }

    /// The name of the script.
    pub fn script(&self) -> &str {
        self.whole.instances.first().map_or("", |instance| &instance.head.test.script)
    }

    /// The report of the whole test, with the time lines of all instances.
    pub fn report(&self, timeline: Timeline, verdict: &Result<(), CommandError>) -> Report {
        let end = RunEnd::new(verdict, !self.judged.is_empty());
        report_of_whole(self.standing(&timeline, Contact::of_state), timeline, self.judged.clone(), end)
    }

    /// The same for those who have watched it.
    pub fn gathered(self, timeline: Timeline, contact: impl Fn(&Head) -> Contact) -> Gathered {
        let standing = self.standing(&timeline, contact);
        Gathered { standing, timeline, judged: self.judged, results: self.results }
    }

    /// How the test stands at its end.
    fn standing(&self, timeline: &Timeline, contact: impl Fn(&Head) -> Contact) -> Standing {
        let Self { whole, results, objections, .. } = self;
        Standing::new(whole, results.clone(), timeline, objections, RunPhase::Ended, contact)
    }

    /// Tells `handleSummary()`'s author why it does not get what a run gets.
    pub fn warn_of_left_out(&self) {
        let is_left_out = |of: &Contribution| of.head.progress.is_setup_data_left_out;
        if self.handles_summary() && self.whole.instances.iter().any(is_left_out) {
            log::warn!(
                "What setup() returned was too much for the states: handleSummary() gets no setup_data"
            );
        }
    }

    /// Tells of a test in which nothing was done, or nothing that thresholds could be judged by. Why instances have not run at
    /// all is told elsewhere.
    pub fn warn_of_nothing_done(&self) {
        let ran = || self.whole.instances.iter().map(|of| &of.head.progress).filter(|of| of.has_run);
        if ran().next().is_none() {
            return;
        }
        let sum = |of: fn(&Progress) -> u64| ran().map(of).fold(0, u64::saturating_add);
        let (full, cut) = (sum(|of| of.full_iterations), sum(|of| of.interrupted_iterations));
        report::warn_of_no_iterations(full, cut);
        verdict::warn_of_missing(&self.results);
    }

    /// Writes outputs that need no samples.
    pub fn write_outputs(&self, outputs: Vec<Box<dyn Output>>) -> Result<(), CommandError> {
        for mut output in outputs {
            output.conclude(&self.results);
            output.close().map_err(CommandError::system("writing an output"))?;
        }
        Ok(())
    }

    /// How the test ended: as a run's end, with the ends of all instances in the place of its own.
    pub fn verdict(&self, closing: &Closing, reported: Result<(), CommandError>) -> Result<(), CommandError> {
        let mut ends = self.whole.instances.iter().filter_map(|instance| {
            let end = instance.head.progress.end.as_ref()?;
            let (code, reason) = (end.code, end.reason.clone());
            Some(CommandError::OfInstance { instance: name(instance), code, reason })
        });
        if let Some(first) = ends.next() {
            ends.for_each(|other| other.log());
            return Err(first);
        }
        reported?;
        let crossed = match self.crossed.metrics.is_empty() {
            true => Ok(()),
            false => Err(CommandError::ThresholdsCrossed(self.crossed.metrics.clone())),
        };
        if !self.unjudged.is_empty() {
            if let Err(failure) = &crossed {
                failure.log();
            }
            return Err(CommandError::Plan(PlanError { problems: self.unjudged.clone() }));
        }
        if self.fails_on_saturation && !closing.remarks.is_empty() {
            if let Err(failure) = &crossed {
                failure.log();
            }
            return Err(CommandError::Saturated(
                closing.remarks.iter().map(|remark| remark.text.clone()).collect(),
            ));
        }
        crossed?;
        match closing.objections.is_empty() {
            true => Ok(()),
            false => Err(CommandError::ProvesNothing(closing.objections.clone())),
        }
    }
}

/// What the summary shows: as the flags say, or as the test itself was run.
fn summary_settings(
    args: &WholeArgs,
    runtime: &RuntimeSettings,
    whole: &Whole,
    test: &TestFacts,
) -> Result<SummarySettings, CommandError> {
    let has_parts = whole.instances.iter().all(|instance| instance.head.test.has_parts);
    let is_given = args.runtime.summary_mode.is_some();
    let mode = match runtime.summary_mode {
        SummaryMode::Compact if !is_given && has_parts => SummaryMode::Full,
        SummaryMode::Full if !has_parts => {
            log::warn!(
                "The states do not tell groups and scenarios apart: for a full summary, run the test with --summary-mode=full"
            );
            SummaryMode::Full
        }
        mode => mode,
    };
    let texts = |option: &str| {
        let stats = test.options.get(option).and_then(Value::as_array).into_iter().flatten();
        stats.filter_map(|stat| stat.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let stats = match args.summary_trend_stats.is_empty() {
        true => texts("summaryTrendStats"),
        false => given_stats(args),
    };
    let trend_stats = trend_stats(&stats)?;
    let own_unit = test.options.get("summaryTimeUnit").and_then(Value::as_str);
    let unit = args.summary_time_unit.as_deref().or(own_unit).unwrap_or_default();
    Ok(SummarySettings {
        mode,
        trend_stats,
        time_unit: time_unit(unit)?,
        export: runtime.summary_export.clone(),
        new_machine_readable: runtime.new_machine_readable_summary,
    })
}

fn given_stats(args: &WholeArgs) -> Vec<String> {
    args.summary_trend_stats.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
}

fn trend_stats(texts: &[String]) -> Result<Vec<TrendStat>, CommandError> {
    let stats = texts.iter().map(|text| TrendStat::parse(text)).collect::<Result<_, _>>();
    stats.map_err(|error| CommandError::Command(error.to_string()))
}

fn time_unit(text: &str) -> Result<Option<TimeUnit>, CommandError> {
    TimeUnit::parse(text).map_err(|error| CommandError::Command(error.to_string()))
}

fn name(instance: &Contribution) -> String {
    format!("{} ({})", instance.head.instance.name, instance.head.instance.segment)
}

/// What speaks against the figures of an instance.
fn remarks(instance: &Contribution) -> Vec<Remark> {
    let of_instance = |remark: &Remark| Remark {
        text: format!("{}: {}", name(instance), remark.text),
        advice: remark.advice.clone(),
    };
    instance.head.progress.generator.remarks.iter().map(of_instance).collect()
}

fn row(instance: &Contribution) -> InstanceRow {
    let (head, progress) = (&instance.head, &instance.head.progress);
    let verdict = match (&progress.end, progress.is_final) {
        (None, _) if !progress.has_run => "has never begun its part".to_owned(),
        (_, false) => "has written no last state".to_owned(),
        (Some(end), _) => end.reason.lines().next().unwrap_or_default().to_owned(),
        (None, _) if !progress.generator.remarks.is_empty() => "was the bottleneck".to_owned(),
        (None, _) => "ok".to_owned(),
    };
    InstanceRow {
        name: head.instance.name.clone(),
        segment: head.instance.segment.clone(),
        iterations: instance.iterations,
        failures: instance.failures,
        seconds: progress.seconds,
        is_good: verdict == "ok",
        verdict,
    }
}
