//! Watches instances that are collected, for one dashboard over all of them and one report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use senary_metrics::Results;
use senary_output::period::{PeriodsOfMany, Told};
use senary_output::state::{Head, Whole};
use senary_output::timeline::{SharedTimeline, Timeline};
use tokio_util::sync::CancellationToken;

use super::many::{Many, Standing};
use super::recorder::{self, TestFacts};
use super::report::Report;
use super::serving::{Opened, Served};
use super::settings::DashboardSettings;
use super::{Wanted, write};
use crate::command_error::CommandError;
use crate::run_events::{RunEnd, ThresholdState};

/// The dashboard of instances, before and while they are followed.
pub struct Gathering {
    wanted: Wanted,
    /// `None` once it is served.
    opened: Option<Opened>,
    following: Option<Following>,
}

struct Following {
    many: Arc<Many>,
    report: Arc<Report>,
    dashboard: Option<Live>,
}

/// What browsers and viewers are told.
struct Live {
    served: Served,
    periods: PeriodsOfMany,
    has_begun: bool,
    next: Instant,
}

/// What the states of all instances come to at a moment.
pub struct Gathered {
    pub standing: Standing,
    pub timeline: Timeline,
    pub judged: Vec<ThresholdState>,
    pub results: Results,
}

impl Gathering {
    /// Takes the port, if there is to be a dashboard.
    pub fn new(wanted: Wanted) -> Result<Self, CommandError> {
        let opened = wanted.dashboard.as_ref().map(Opened::new).transpose()?;
        Ok(Self { wanted, opened, following: None })
    }

    /// Where the dashboard is.
    pub fn url(&self) -> Option<String> {
        self.opened.as_ref().and_then(Opened::url)
    }

    /// Whether anybody looks at what is gathered.
    pub fn is_wanted(&self) -> bool {
        self.wanted.dashboard.is_some() || self.wanted.report.is_some()
    }

    pub fn is_started(&self) -> bool {
        self.following.is_some()
    }

    /// Begins to show the instances; `stop` is what ends all of them.
    pub fn start(
        &mut self,
        gathered: Gathered,
        whole: &Whole,
        stop: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), CommandError> {
        let can_stop = self.opened.as_ref().is_some_and(Opened::can_stop);
        let many = Arc::new(Many::new(gathered.standing, stop));
        many.judged(gathered.judged);
        let timeline = SharedTimeline::of(gathered.timeline);
        let report = Arc::new(Report::new(many.clone(), timeline, can_stop));
        let served = self.opened.take().map(|opened| {
            let facts = test_facts(&opened.settings, whole);
            let periods = PeriodsOfMany::new(opened.settings.tags.clone());
            let served = opened.serve(&report, facts)?;
            Ok::<_, CommandError>(Live { served, periods, has_begun: false, next: Instant::now() })
        });
        self.following = Some(Following { many, report, dashboard: served.transpose()? });
        Ok(())
    }

    /// The time line that the next one takes the place of.
    pub fn timeline(&self) -> Timeline {
        let shown = self.following.as_ref().map(|following| following.report.timeline.lock().emptied());
        shown.unwrap_or_else(Timeline::of_many)
    }

    /// Shows how the instances stand now.
    pub fn show(&mut self, gathered: Gathered) {
        let Some(following) = &mut self.following else { return };
        let Gathered { standing, timeline, judged, mut results } = gathered;
        let has_begun = standing.has_begun();
        let seconds = standing.seconds();
        *following.report.timeline.lock() = timeline;
        following.many.stands(standing);
        following.many.judged(judged);
        let Some(live) = &mut following.dashboard else { return };
        if has_begun && !live.has_begun {
            live.has_begun = true;
            live.served.recorder.start();
            live.next = Instant::now() + live.served.recorder.period();
        }
        if live.has_begun && Instant::now() >= live.next {
            live.next += live.served.recorder.period();
            let told = live.told(&following.report, &mut results, seconds);
            live.served.recorder.tick(following.many.run_events(), &told);
        }
    }

    /// Tells how the whole test ended and writes the files; then waits for those who still watch, unless it was ended early.
    pub async fn finish(
        self,
        last: Option<Gathered>,
        verdict: &Result<(), CommandError>,
        signalled: &CancellationToken,
    ) {
        let Some(Following { many, report, dashboard }) = self.following else { return };
        let is_whole = last.is_some();
        let (mut results, has_thresholds) = match last {
            Some(Gathered { standing, timeline, judged, results }) => {
                let has_thresholds = !judged.is_empty();
                *report.timeline.lock() = timeline;
                many.stands(standing);
                many.judged(judged);
                (results, has_thresholds)
            }
            None => (Results::default(), true),
        };
        report.finish(RunEnd::new(verdict, has_thresholds));
        if let Some(path) = self.wanted.report.as_ref().filter(|_| is_whole) {
            write(&report, path);
        }
        let Some(mut live) = dashboard else { return };
        let told = live.told(&report, &mut results, many.seconds());
        live.served.recorder.stop(many.run_events(), &told);
        if is_whole {
            live.served.write_file(&report);
        }
        live.served.close(verdict, signalled).await;
    }
}

impl Live {
    fn told(&mut self, report: &Report, results: &mut Results, elapsed: f64) -> Told {
        self.periods.end(&report.timeline.lock(), results, recorder::now(), elapsed)
    }
}

/// What the first events say of the test.
fn test_facts(settings: &DashboardSettings, whole: &Whole) -> TestFacts {
    let first = whole.instances.first().map(|instance| &instance.head);
    let number = |name: &str| first.and_then(|head| head.test.facts.get(name)?.as_f64()).unwrap_or_default();
    let planned = Duration::try_from_secs_f64(number("planned") + number("graceful")).unwrap_or_default();
    let scenarios = first.and_then(|head| head.test.scenarios.as_array()).into_iter().flatten();
    let names = scenarios.filter_map(|scenario| scenario["name"].as_str().map(str::to_owned));
    let thresholds = first.map(|head: &Head| &head.test.thresholds).into_iter().flatten();
    let sources = thresholds.map(|(name, specs)| {
        (name.clone(), specs.iter().map(|spec| spec.source.clone()).collect::<Vec<_>>())
    });
    TestFacts {
        script: first.map_or_else(String::new, |head| head.test.script.clone()),
        scenarios: names.collect(),
        thresholds: sources.collect(),
        tags: settings.tags.clone(),
        planned,
        period: settings.period_of(planned),
    }
}
