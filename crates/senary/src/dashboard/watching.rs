//! Watches the run of this process, for its dashboard and its report.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use senary_metrics::Registry;
use senary_metrics::threshold::{ThresholdSpec, WatchList};
use senary_output::Output;
use senary_output::period::SharedSums;
use senary_output::timeline::{SharedTimeline, TimelineConfig};
use senary_words::percent;
use tokio_util::sync::CancellationToken;

use super::machine::{self, LOOK_EVERY, MachineLook};
use super::own_run::OwnRun;
use super::recorder::{Recorder, TestFacts};
use super::report::{Facts, Report};
use super::serving::{Opened, Served};
use super::settings::DashboardSettings;
use super::{Wanted, facts, write};
use crate::command_error::CommandError;
use crate::logging::recent;
use crate::plan::TestPlan;
use crate::run_events::{Happened, RunEvent, Subscription};
use crate::run_handle::RunHandle;
use crate::run_phase::RunPhase;
use crate::test_run::{Ended, TestRun};

/// Everything that can fail has been done; the run is not there yet.
pub struct Prepared {
    wanted: Wanted,
    timeline: SharedTimeline,
    dashboard: Option<(Opened, SharedSums)>,
}

impl Prepared {
    /// `None` if nothing is wanted.
    pub fn new(wanted: Wanted, plan: &TestPlan, registry: &Registry) -> Result<Option<Self>, CommandError> {
        if wanted.dashboard.is_none() && wanted.report.is_none() {
            return Ok(None);
        }
        let timeline = SharedTimeline::new(TimelineConfig {
            registry: registry.clone(),
            watched: WatchList::new(&plan.thresholds, plan.evaluate_thresholds),
            by_scenario: plan.load.scenarios().len() > 1,
        });
        let opened = wanted.dashboard.as_ref().map(|settings| {
            let sums = SharedSums::new(registry.clone(), settings.tags.clone());
            Opened::new(settings).map(|opened| (opened, sums))
        });
        let dashboard = opened.transpose()?;
        recent::keep();
        Ok(Some(Self { wanted, timeline, dashboard }))
    }

    /// Where the dashboard will be.
    pub fn url(&self) -> Option<String> {
        self.dashboard.as_ref().and_then(|(opened, _)| opened.url())
    }

    /// What takes the samples.
    pub fn outputs(&self) -> Vec<Box<dyn Output>> {
        let mut outputs = vec![self.timeline.output()];
        outputs.extend(self.dashboard.as_ref().map(|(_, sums)| sums.output()));
        outputs
    }

    /// Begins to watch a run that has not started; `url` is its script's.
    pub fn start(self, run: &TestRun, url: &str) -> Result<Watching, CommandError> {
        let Self { wanted, timeline, dashboard } = self;
        let (state, clock) = (run.handle.run.state.clone(), run.handle.run.clock);
        timeline.lock().begin_at(move || state.started().map(|started| clock.at(started)));
        let can_stop = dashboard.as_ref().is_some_and(|(opened, _)| opened.can_stop());
        let facts = Facts {
            run: facts::of_run(url, &run.plan, run.workers),
            scenarios: facts::of_scenarios(&run.plan.load),
        };
        let own = Arc::new(OwnRun::new(run.handle.clone(), facts));
        let report = Arc::new(Report::new(own.clone(), timeline, can_stop));
        let served = dashboard.map(|(opened, sums)| {
            let facts = test_facts(&opened.settings, &run.plan, url);
            opened.serve(&report, facts).map(|served| (served, sums))
        });
        let dashboard = served.transpose()?;
        let (subscription, happened) = run.handle.events.subscribe();
        let periods = dashboard.as_ref().map(|(served, sums)| {
            let (recorder, sums) = (served.recorder.clone(), sums.clone());
            Periods { recorder, sums }
        });
        let (of_report, of_thread, handle) = (report.clone(), periods.clone(), run.handle.clone());
        let thread = thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn(move || follow(&handle, &of_report, of_thread.as_ref(), &happened))
            .map_err(CommandError::system("starting the dashboard"))?;
        let following = Some(Following { subscription, thread });
        let served = dashboard.map(|(served, _)| served);
        Ok(Watching { wanted, own, report, served, periods, following })
    }
}

fn test_facts(settings: &DashboardSettings, plan: &TestPlan, url: &str) -> TestFacts {
    let thresholds = plan.thresholds.iter().filter(|_| plan.evaluate_thresholds);
    let sources = |specs: &[ThresholdSpec]| specs.iter().map(|s| s.source.clone()).collect();
    TestFacts {
        script: percent::decoded_text(url),
        scenarios: plan.load.scenarios().iter().map(|scenario| scenario.name.clone()).collect(),
        thresholds: thresholds.map(|(name, specs)| (name.clone(), sources(specs))).collect(),
        tags: settings.tags.clone(),
        planned: plan.load.max_duration(),
        period: settings.period_of(plan.load.max_duration()),
    }
}

/// What is told of the run once a period.
#[derive(Clone)]
struct Periods {
    recorder: Arc<Recorder>,
    sums: SharedSums,
}

impl Periods {
    fn tick(&self, handle: &RunHandle) {
        handle.judge();
        self.recorder.tick(&handle.events, &self.end(handle));
    }

    fn end(&self, handle: &RunHandle) -> senary_output::period::Told {
        let elapsed = handle.run.state.run_duration().as_secs_f64();
        self.sums.lock().end(super::recorder::now(), self.recorder.period().as_secs_f64(), elapsed)
    }
}

/// The thread that follows the run.
struct Following {
    /// Dropping it ends the thread.
    subscription: Subscription,
    thread: JoinHandle<()>,
}

/// A run that is being watched.
pub struct Watching {
    wanted: Wanted,
    own: Arc<OwnRun>,
    report: Arc<Report>,
    served: Option<Served>,
    periods: Option<Periods>,
    /// `None` once the run is over.
    following: Option<Following>,
}

impl Watching {
    /// The scenarios are over: no period ends any more.
    pub fn run_is_over(&mut self) {
        if let Some(Following { subscription, thread }) = self.following.take() {
            drop(subscription);
            // A thread that has panicked has said so.
            let _ = thread.join();
        }
    }

    /// Tells how the run ended and writes the files; then waits for those who still watch, unless the run was ended early.
    pub async fn finish(
        mut self,
        verdict: &Result<(), CommandError>,
        ended: &Ended,
        lost: Vec<String>,
        signalled: &CancellationToken,
    ) {
        self.run_is_over();
        let handle = &self.own.handle;
        self.own.finish(ended.saturation.clone(), lost);
        if let Some(end) = handle.events.ended() {
            self.report.finish(end);
        }
        if let Some(periods) = &self.periods {
            periods.recorder.stop(&handle.events, &periods.end(handle));
        }
        if let Some(path) = &self.wanted.report {
            write(&self.report, path);
        }
        if let Some(served) = self.served.take() {
            served.write_file(&self.report);
            served.close(verdict, signalled).await;
        }
    }
}

/// Follows a run from its start until there are no more events.
fn follow(handle: &RunHandle, report: &Report, periods: Option<&Periods>, happened: &Receiver<Happened>) {
    let is_start = |happened: Happened| happened.event == RunEvent::Phase(RunPhase::Started);
    if !happened.iter().any(is_start) {
        return;
    }
    let Some(started) = handle.run.state.started() else { return };
    if let Some(periods) = periods {
        periods.recorder.start();
    }
    let period = periods.map(|periods| periods.recorder.period());
    let (mut look, mut look_at, mut period_at) =
        (MachineLook::default(), started, period.map(|period| started + period));
    loop {
        let next = period_at.into_iter().chain([look_at]).min().unwrap_or(look_at);
        match happened.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Happened { event: RunEvent::Phase(RunPhase::Ended | RunPhase::Interrupted), .. }) => return,
            Ok(_) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        if let Some((at, periods)) = period_at.as_mut().zip(periods).filter(|(at, _)| now >= **at) {
            periods.tick(handle);
            *at += periods.recorder.period();
        }
        if now >= look_at {
            look_at += LOOK_EVERY;
            machine::note(&report.timeline, handle, &mut look);
        }
    }
}
