//! The dashboard of a run, and its report: two states of one page.
//!
//! While the run goes on, a thread makes events once per period and records what the system says about the process, and a
//! server answers browsers. At the end the page is written with all data in it. Nothing of this exists unless the user asks
//! for it.
//!
//! `settings` reads what the user asks for. `recorder` makes the events of the reference's dashboard, and `event_log` keeps
//! them. `report` makes the document that the page is drawn from, out of `facts`, `figures` and `wrong`. `page` puts the page
//! together, and `site` answers requests.

mod event_log;
mod facts;
mod figures;
mod machine;
mod page;
mod recorder;
mod report;
mod settings;
mod site;
mod wrong;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use senary_metrics::tags::system;
use senary_metrics::threshold::{ThresholdSpec, WatchList};
use senary_metrics::{Registry, ValueType};
use senary_output::period::SharedSums;
use senary_output::timeline::{SharedTimeline, TimelineConfig};
use senary_output::{Output, OutputError};
use senary_words::{io_text, percent};
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::http_server::{BindError, Bound, Server};
use crate::logging::recent;
use crate::plan::TestPlan;
use crate::run_events::{Happened, RunEvent, Subscription};
use crate::run_phase::RunPhase;
use crate::test_run::{Ended, TestRun};
use event_log::Clients;
use machine::{MEMORY, MachineLook, OPEN_FILES};
use recorder::{Record, Recorder, TestFacts};
use report::{End, Report};
use settings::OUTPUT;
pub use settings::{DashboardSettings, Port, SettingError};
use site::Dashboard;

/// The open sockets of the test on the time line.
const OPEN_SOCKETS: &str = "senary_open_sockets";

/// How often the system is asked about the process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the user wants of a run: a dashboard, a report.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub dashboard: Option<DashboardSettings>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

impl Wanted {
    /// What the command line, the plan and the variables ask for.
    pub fn new(args: &RunArgs, plan: &TestPlan, env: &Environment) -> Result<Self, CommandError> {
        let query = plan.outputs.iter().find_map(|output| query_of(output));
        let settings =
            (plan.dashboard || query.is_some()).then(|| DashboardSettings::read(env, query.flatten()));
        let dashboard = settings.transpose().map_err(|error| not_created(&error))?;
        let report = args.config.report.as_ref().filter(|path| !path.is_empty());
        Ok(Self { dashboard, report: report.map(Into::into) })
    }
}

/// Whether an output is the dashboard, which takes samples in its own way.
pub fn is_meant_by(output: &str) -> bool {
    query_of(output).is_some()
}

/// The settings of the dashboard in an output, if it is the dashboard.
fn query_of(output: &str) -> Option<Option<&str>> {
    match output.strip_prefix(OUTPUT)? {
        "" => Some(None),
        settings => settings.strip_prefix('=').map(Some),
    }
}

/// Everything that can fail has been done; the run is not there yet.
pub struct Prepared {
    wanted: Wanted,
    timeline: SharedTimeline,
    sums: Option<SharedSums>,
    bound: Option<Bound>,
    record: Option<Record>,
}

impl Prepared {
    /// `None` if nothing is wanted.
    pub fn new(wanted: Wanted, plan: &TestPlan, registry: &Registry) -> Result<Option<Self>, CommandError> {
        if wanted.dashboard.is_none() && wanted.report.is_none() {
            return Ok(None);
        }
        let mut prepared = Self {
            timeline: SharedTimeline::new(TimelineConfig {
                registry: registry.clone(),
                watched: WatchList::new(&plan.thresholds, plan.evaluate_thresholds),
                by_scenario: plan.load.scenarios().len() > 1,
            }),
            sums: None,
            bound: None,
            record: None,
            wanted,
        };
        if let Some(settings) = &prepared.wanted.dashboard {
            prepared.sums = Some(SharedSums::new(registry.clone(), settings.tags.clone()));
            prepared.bound = bind(settings)?;
            let record = settings.record.as_ref().map(|path| create(path));
            prepared.record = record.transpose().map_err(|reason| not_created(&reason))?;
        }
        recent::keep();
        Ok(Some(prepared))
    }

    /// Where the dashboard will be.
    pub fn url(&self) -> Option<String> {
        let (bound, settings) = (self.bound.as_ref()?, self.wanted.dashboard.as_ref()?);
        let host = match settings.host.as_str() {
            "" | "0.0.0.0" | "::" | "[::]" => "127.0.0.1",
            host => host,
        };
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        Some(format!("http://{host}:{}", bound.address().port()))
    }

    /// What takes the samples.
    pub fn outputs(&self) -> Vec<Box<dyn Output>> {
        let mut outputs = vec![self.timeline.output()];
        outputs.extend(self.sums.as_ref().map(SharedSums::output));
        outputs
    }

    /// Begins to watch a run that has not started; `url` is its script's.
    pub fn start(self, run: &TestRun, url: &str) -> Result<Watching, CommandError> {
        let page_url = self.url();
        let Self { wanted, timeline, sums, bound, record } = self;
        let (state, clock) = (run.handle.run.state.clone(), run.handle.run.clock);
        timeline.lock().begin_at(move || state.started().map(|started| clock.at(started)));
        let can_stop = bound.as_ref().is_some_and(|bound| bound.address().ip().is_loopback());
        let facts = (facts::of_run(url, &run.plan, run.workers), facts::of_scenarios(&run.plan.load));
        let report = Report::new(run.handle.clone(), timeline, facts, can_stop);
        let report = Arc::new(report);
        let settings = wanted.dashboard.clone().unwrap_or_default();
        let recorder =
            sums.map(|sums| Arc::new(Recorder::new(sums, test_facts(&settings, &run.plan, url), record)));
        let clients = Clients::default();
        let server = match (bound, &recorder) {
            (Some(bound), Some(recorder)) => {
                let (report, recorder) = (report.clone(), recorder.clone());
                let (clients, origins) = (clients.clone(), settings.origins.clone());
                let site = Dashboard { report, recorder, clients, can_stop, origins };
                Some(bound.serve("dashboard-http", Arc::new(site)).map_err(|error| not_created(&error))?)
            }
            _ => None,
        };
        if let Some(url) = page_url.filter(|_| settings.open) {
            open_browser(&url);
        }
        let (subscription, happened) = run.handle.events.subscribe();
        let (of_report, of_recorder) = (report.clone(), recorder.clone());
        let thread = thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn(move || follow(&of_report, of_recorder.as_deref(), &happened))
            .map_err(CommandError::system("starting the dashboard"))?;
        let following = Some(Following { subscription, thread });
        Ok(Watching { wanted, report, recorder, clients, server, following })
    }
}

/// Opens the port. If the default port is taken, another one is used.
fn bind(settings: &DashboardSettings) -> Result<Option<Bound>, CommandError> {
    let host = &settings.host;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
    let at = |port: u16| Bound::new(&format!("{host}:{port}"));
    match settings.port {
        Port::None => Ok(None),
        Port::Chosen(port) => at(port).map(Some).map_err(|error| not_created(&error)),
        Port::Default => match at(settings::PORT) {
            Ok(bound) => Ok(Some(bound)),
            Err(error @ BindError::Bind { .. }) => {
                let bound = at(0).map_err(|error| not_created(&error))?;
                log::warn!(
                    "The dashboard is at port {} instead of {}: {error}",
                    bound.address().port(),
                    settings::PORT
                );
                Ok(Some(bound))
            }
            Err(error) => Err(not_created(&error)),
        },
    }
}

fn create(path: &Path) -> Result<Record, String> {
    Record::create(path).map_err(|error| format!("open {}: {}", path.display(), io_text(&error)))
}

/// The error of an output, because users name the dashboard as one.
fn not_created(reason: &impl ToString) -> CommandError {
    CommandError::Output(OutputError::NotCreated { kind: OUTPUT, reason: reason.to_string() })
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

fn open_browser(url: &str) {
    let opened = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = opened {
        log::warn!("No browser could be opened ({}); the dashboard is at {url}", io_text(&error));
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
    report: Arc<Report>,
    recorder: Option<Arc<Recorder>>,
    clients: Clients,
    server: Option<Server>,
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
        if let Some(run) = self.report.handle.events.ended() {
            self.report.finish(End { run, saturation: ended.saturation.clone(), lost });
        }
        if let Some(recorder) = &self.recorder {
            recorder.stop(&self.report.handle);
        }
        self.write_files();
        if self.server.is_some() && !matches!(verdict, Err(CommandError::Stopped(_))) {
            tokio::select! {
                () = self.clients.all_gone() => {}
                () = signalled.cancelled() => {}
            }
        }
        drop(self.server.take());
    }

    fn write_files(&self) {
        if let Some(path) = &self.wanted.report {
            self.write(path, None);
        }
        let Some((settings, recorder)) = self.wanted.dashboard.as_ref().zip(self.recorder.as_deref()) else {
            return;
        };
        if let Some(path) = &settings.export {
            // Somebody who has chosen a period has a reason to want some of them.
            match settings.period.is_some() && recorder.periods() < 2 {
                true => log::warn!(
                    "The test run was short, report generation was skipped (not enough data): it had fewer than two periods of {:?}",
                    recorder.period()
                ),
                false => self.write(path, Some(recorder)),
            }
        }
    }

    /// Writes the page with the data. A report that cannot be written changes nothing about how the run ended.
    fn write(&self, path: &Path, recorder: Option<&Recorder>) {
        let written = self.report.html(recorder).and_then(|page| save(path, page.as_bytes()));
        if let Err(error) = written {
            log::error!("The report could not be written: open {}: {}", path.display(), io_text(&error));
        }
    }
}

fn save(path: &Path, page: &[u8]) -> io::Result<()> {
    match path.extension().is_some_and(|end| end == "gz") {
        true => fs::write(path, page::compressed(page)?),
        false => fs::write(path, page),
    }
}

/// Follows a run from its start until there are no more events.
fn follow(report: &Report, recorder: Option<&Recorder>, happened: &Receiver<Happened>) {
    let is_start = |happened: Happened| happened.event == RunEvent::Phase(RunPhase::Started);
    if !happened.iter().any(is_start) {
        return;
    }
    let Some(started) = report.handle.run.state.started() else { return };
    if let Some(recorder) = recorder {
        recorder.start();
    }
    let period = recorder.map(Recorder::period);
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
        if let Some((at, recorder)) = period_at.as_mut().zip(recorder).filter(|(at, _)| now >= **at) {
            recorder.tick(&report.handle);
            *at += recorder.period();
        }
        if now >= look_at {
            look_at += LOOK_EVERY;
            note_machine(report, &mut look);
        }
    }
}

/// Adds to the time line what no sample contains.
fn note_machine(report: &Report, look: &mut MachineLook) {
    let now = report.handle.run.clock.now();
    let (memory, open_files) = (look.memory(), look.open_files());
    let scenarios = report.handle.progress().scenarios;
    let mut timeline = report.timeline.lock();
    if let Some(memory) = memory {
        timeline.note(MEMORY, &[], ValueType::Data, memory, now);
    }
    if let Some(count) = open_files {
        timeline.note(OPEN_FILES, &[], ValueType::Default, count, now);
    }
    if let Some(open) = figures::open_sockets(&timeline) {
        timeline.note(OPEN_SOCKETS, &[], ValueType::Default, open, now);
    }
    if scenarios.len() > 1 {
        for scenario in scenarios {
            let tags = [(system::SCENARIO, scenario.name.as_str())];
            timeline.note("vus", &tags, ValueType::Default, scenario.active_vus as f64, now);
        }
    }
}
