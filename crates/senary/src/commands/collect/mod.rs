//! `senary collect`: one summary of instances that run, from their REST APIs, and one verdict while they run.
//!
//! `address` reads where they are, `client` asks one, `instance` follows one, `all` looks at them together, `setup` is what
//! happens once for all of them (`--start`), `progress` tells how far they are. What becomes of their states is `merge`'s
//! business.

mod address;
mod all;
mod client;
mod instance;
mod progress;
mod setup;

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use senary_execution::{Shutdown, StopReason};
use senary_metrics::engine::Crossed;
use tokio_util::sync::CancellationToken;

use self::address::Address;
use self::all::{All, Together, contact_of};
use self::progress::Progress;
use super::merge::{self, Concluded};
use crate::cli::{CollectArgs, WholeArgs};
use crate::command_error::CommandError;
use crate::dashboard::{Gathered, Gathering, Wanted};
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::merged::Prepared;
use crate::settings::{GlobalSettings, RuntimeSettings};
use crate::signals;

/// How often the instances are looked at together.
const EVERY: Duration = Duration::from_secs(1);
/// At most one part in so many of the time is spent judging.
const SHARE: u32 = 4;
/// How long instances that were stopped may take to end, after Ctrl+C.
const LAST_STATES: Duration = Duration::from_secs(10);

pub fn run(args: &CollectArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    let runtime = RuntimeSettings::new(&args.whole.runtime, env, true)?;
    let addresses = Address::all(&args.address)?;
    let shutdown = Shutdown::new();
    let event_loop = event_loop()?;
    let signalled = signals::watch(shutdown.clone()).map_err(CommandError::system("watching for signals"))?;
    let stop_asked = CancellationToken::new();
    let judges = !runtime.no_thresholds;
    let prepared = event_loop.block_on(Prepared::new(&args.whole, &runtime, global, env, &shutdown))?;
    let wanted = Wanted::of_many(args.dashboard, args.whole.report.as_deref(), env)?;
    let gathering = Gathering::new(wanted)?;
    if let Some(url) = gathering.url().filter(|_| !global.quiet) {
        // A reader that closed our output does not want to read about it.
        let _ = writeln!(stdout(), "web dashboard: {url}");
    }
    let collecting = Collecting { args, global, env, judges, shutdown, signalled, stop_asked };
    event_loop.block_on(collecting.main_line(addresses, prepared, gathering))
}

struct Collecting<'a> {
    args: &'a CollectArgs,
    global: &'a GlobalSettings,
    env: &'a Environment,
    /// Whether a threshold may end the test.
    judges: bool,
    shutdown: Shutdown,
    signalled: CancellationToken,
    /// Somebody who looks at the dashboard wants the test to end.
    stop_asked: CancellationToken,
}

/// Why the instances are not followed any longer.
enum End {
    /// Nothing new is to come.
    Settled,
    /// A threshold has ended the test.
    Aborted(Crossed),
    Signalled,
}

impl Collecting<'_> {
    async fn main_line(
        &self,
        addresses: Vec<Address>,
        prepared: Prepared,
        mut gathering: Gathering,
    ) -> Result<(), CommandError> {
        let retry_for = Duration::from_nanos(self.args.retry_for.0.max(0) as u64);
        let all = All::follow(addresses, &self.global.web, retry_for);
        self.first_states(&all).await?;
        let starts = self.args.start.unwrap_or_default();
        if starts {
            self.start(&all).await?;
        }
        let mut progress = Progress::new(self.global.quiet);
        let end = self.follow(&all, &mut progress, &mut gathering).await?;
        progress.end();
        let is_over = self.stop_if_signalled(&all, &end).await;
        let torn_down = if starts && is_over { setup::end(&all).await } else { Ok(()) };
        let (verdict, last) = match self.conclude(&all, prepared, &end, gathering.is_wanted()).await {
            Ok((verdict, last)) => {
                self.end_linger(&all).await;
                (verdict, last)
            }
            Err(failure) => {
                // What they have measured is in no summary yet.
                log::warn!(
                    "The instances that linger are left alone: their states can be collected again{}",
                    again(&failure)
                );
                (Err(failure), None)
            }
        };
        let verdict = merge::first_of([verdict, torn_down]);
        gathering.finish(last, &verdict, &self.signalled).await;
        verdict
    }

    /// Waits until every instance has told its state once.
    async fn first_states(&self, all: &All) -> Result<(), CommandError> {
        while !all.have_answered() {
            self.pause(EVERY / 10).await?;
        }
        all.check(self.partial(), self.judges)
    }

    async fn start(&self, all: &All) -> Result<(), CommandError> {
        let started = tokio::select! {
            started = setup::start(all) => started,
            () = self.signalled.cancelled() => Err(self.stopped()),
        };
        if started.is_err() && self.args.stop.unwrap_or_default() {
            self.stop_all(all).await;
            self.set(all, "linger", false).await;
        }
        started
    }

    /// Looks at the instances until nothing new is to come.
    async fn follow(
        &self,
        all: &All,
        progress: &mut Progress,
        gathering: &mut Gathering,
    ) -> Result<End, CommandError> {
        let (mut aborted, mut is_stopped) = (None, false);
        let may_abort = self.judges && all.may_abort();
        loop {
            let from = Instant::now();
            progress.show(all);
            let is_needed = gathering.is_wanted() || (may_abort && aborted.is_none());
            let together = if is_needed { all.together(self.judges) } else { None };
            if let Some(together) = &together {
                self.show(all, together, gathering)?;
                aborted = aborted.or_else(|| Some(together.crossed.clone()).filter(|crossed| crossed.abort));
            }
            if let Some(crossed) = aborted.as_ref().filter(|_| !is_stopped) {
                progress.end();
                log::warn!(
                    "Thresholds on {} are crossed by all instances together, and one of them has abortOnFail: all are stopped",
                    crossed.metrics.join(", ")
                );
            }
            if !is_stopped && (aborted.is_some() || self.stop_asked.is_cancelled()) {
                is_stopped = true;
                self.stop_all(all).await;
            }
            if all.are_settled() {
                return Ok(aborted.map_or(End::Settled, End::Aborted));
            }
            let pause = EVERY.max(from.elapsed() * SHARE);
            tokio::select! {
                () = self.stop_asked.cancelled(), if !is_stopped => {}
                paused = self.pause(pause) => if paused.is_err() { return Ok(End::Signalled) },
            }
        }
    }

    /// Shows the instances to those who look at the dashboard.
    fn show(&self, all: &All, together: &Together, gathering: &mut Gathering) -> Result<(), CommandError> {
        if !gathering.is_wanted() {
            return Ok(());
        }
        let Some(gathered) = all.gathered(together, gathering.timeline()) else { return Ok(()) };
        if gathering.is_started() {
            gathering.show(gathered);
            return Ok(());
        }
        let stop_asked = self.stop_asked.clone();
        gathering.start(gathered, &together.whole, move || stop_asked.cancel())
    }

    /// After a signal, stops the instances if that is wanted. Gives back whether none runs any more.
    async fn stop_if_signalled(&self, all: &All, end: &End) -> bool {
        if !matches!(end, End::Signalled) {
            return true;
        }
        if !self.args.stop.unwrap_or_default() {
            log::warn!("The instances are not stopped: with --stop they would be");
            return false;
        }
        self.stop_all(all).await;
        let from = Instant::now();
        while !all.are_settled() && from.elapsed() < LAST_STATES {
            tokio::time::sleep(EVERY / 10).await;
        }
        true
    }

    /// One summary, and how the whole test ended; an error if there is no summary.
    async fn conclude(
        &self,
        all: &All,
        prepared: Prepared,
        end: &End,
        wants_timeline: bool,
    ) -> Result<(Result<(), CommandError>, Option<Gathered>), CommandError> {
        let partial = self.partial() || matches!(end, End::Signalled);
        let args = WholeArgs { partial: Some(partial), ..self.args.whole.clone() };
        // A signal that has ended the following does not end the summary.
        let shutdown = if matches!(end, End::Signalled) { Shutdown::new() } else { self.shutdown.clone() };
        let ending = merge::Ending { shutdown, signalled: self.signalled.clone(), wants_timeline };
        let concluded = merge::conclude(all.states(), &args, prepared, self.global, self.env, &ending).await;
        let Concluded { merged, timeline, verdict } = concluded?;
        let contacts: Vec<_> = all.contacts().collect();
        let of = |head: &_| contact_of(&contacts, head);
        let last = timeline.map(|timeline| merged.gathered(timeline, of));
        if let (End::Aborted(_) | End::Signalled, Err(failure)) = (end, &verdict)
            && !failure.is_of_results()
        {
            failure.log();
        }
        let verdict = match end {
            End::Settled => verdict,
            End::Aborted(Crossed { metrics, .. }) => {
                Err(CommandError::Stopped(StopReason::ThresholdsCrossed { metrics: metrics.clone() }))
            }
            End::Signalled => Err(self.stopped()),
        };
        Ok((verdict, last))
    }

    /// Lets instances go that only wait for their last state to be taken.
    async fn end_linger(&self, all: &All) {
        if self.args.stop.unwrap_or_default() {
            self.set(all, "linger", false).await;
        }
    }

    async fn stop_all(&self, all: &All) {
        self.set(all, "stopped", true).await;
    }

    /// An instance that has just died does not matter here.
    async fn set(&self, all: &All, attribute: &'static str, value: bool) {
        if let Err(error) = all.set(attribute, value).await {
            log::warn!("{error}");
        }
    }

    fn partial(&self) -> bool {
        self.args.whole.partial.unwrap_or_default()
    }

    /// Waits; a signal is an error.
    async fn pause(&self, duration: Duration) -> Result<(), CommandError> {
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = self.signalled.cancelled() => Err(self.stopped()),
        }
    }

    fn stopped(&self) -> CommandError {
        let reason = self.shutdown.reason().cloned();
        CommandError::Stopped(reason.unwrap_or(StopReason::Signal { name: "interrupt" }))
    }
}

/// What helps when the states are collected again.
fn again(failure: &CommandError) -> &'static str {
    match failure {
        CommandError::NotOneTest(_) => ", with --partial",
        _ => "",
    }
}
