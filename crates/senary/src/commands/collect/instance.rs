//! An instance that is followed: its last state, and whether more may come of it.

use std::io::Cursor;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use senary_output::state::{Head, StateError, StateReader};

use super::client::ApiClient;
use super::setup::own_limit;
use crate::ask_error::AskError;
use crate::command_error::LifecycleFunction;
use crate::commands::merge::Opened;

/// How often an instance is asked.
const EVERY: Duration = Duration::from_secs(1);
/// At most one part in so many of the time is spent asking: large states are asked for less often.
const SHARE: u32 = 4;
/// The longest pause between two questions: one slow answer may have been a hitch of the machine, and the end of the test has to be noticed.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// An instance may take at least this long to add up its last samples, besides its own summary. It answers that it is busy, so it still runs.
const LAST_SAMPLES: Duration = Duration::from_secs(30);

/// An instance of the test.
pub struct Instance {
    pub api: ApiClient,
    seen: Mutex<Seen>,
}

/// What is known of an instance.
struct Seen {
    last: Option<Known>,
    /// When the first question was asked that it has not answered yet.
    unanswered: Option<Instant>,
    /// Whether that was said.
    is_told: bool,
    /// Why nothing more is expected of it, other than that it has ended.
    lost: Option<Arc<AskError>>,
}

/// A state.
#[derive(Clone)]
pub struct Known {
    pub head: Head,
    pub failures: u64,
    /// How far its clock is ahead of ours, in milliseconds; 0 if that is less than an answer takes.
    pub clock: Option<f64>,
    bytes: Arc<[u8]>,
}

impl Instance {
    pub fn new(api: ApiClient) -> Self {
        let seen = Seen { last: None, unanswered: None, is_told: false, lost: None };
        Self { api, seen: Mutex::new(seen) }
    }

    /// Asks for states until there are no more to come.
    pub async fn follow(self: Arc<Self>, retry_for: Duration) {
        loop {
            let (from, asked) = (Instant::now(), SystemTime::now());
            let answer = self.api.state().await.and_then(|bytes| Known::read(bytes.into()));
            let took = from.elapsed();
            let has_answered = answer.is_ok();
            let answer = answer.map(|known| Known { clock: known.ahead_of(asked, took), ..known });
            self.take(answer, from, retry_for);
            if self.is_settled() {
                return;
            }
            tokio::time::sleep(pause(from.elapsed(), has_answered)).await;
        }
    }

    fn take(&self, answer: Result<Known, AskError>, asked: Instant, retry_for: Duration) {
        let (address, mut seen) = (&self.api.address, self.seen());
        let answer = answer.and_then(|known| match &seen.last {
            Some(last) if last.head.instance.id != known.head.instance.id => Err(AskError::Restarted),
            _ => Ok(known),
        });
        match answer {
            Ok(known) => {
                if std::mem::take(&mut seen.is_told) {
                    log::info!("{address} answers again");
                }
                let clock = known.clock.or(seen.last.as_ref().and_then(|last| last.clock));
                (seen.last, seen.unanswered) = (Some(Known { clock, ..known }), None);
            }
            Err(error) if seen.may_answer(&error, asked, retry_for) => {
                // Before the first answer, it may not have been started yet.
                if seen.last.is_some() && !error.is_busy() && !std::mem::replace(&mut seen.is_told, true) {
                    let limit = retry_for.as_secs_f64();
                    log::warn!("{address} {error}; it is asked again for {limit}s");
                }
            }
            Err(error) => {
                if let Some(last) = &seen.last {
                    let seconds = last.head.progress.seconds;
                    log::error!(
                        "{address} is lost, and what it did after its last state, {seconds:.1}s into its run, with it: it {error}"
                    );
                }
                seen.lost = Some(Arc::new(error));
            }
        }
    }

    /// The last state.
    pub fn last(&self) -> Option<Known> {
        self.seen().last.clone()
    }

    pub fn lost(&self) -> Option<Arc<AskError>> {
        self.seen().lost.clone()
    }

    pub fn is_lost(&self) -> bool {
        self.seen().lost.is_some()
    }

    /// Whether its run is over, and this its last state.
    pub fn has_ended(&self) -> bool {
        self.seen().last.as_ref().is_some_and(|known| known.head.progress.is_final)
    }

    /// Whether nothing new is to come of it.
    pub fn is_settled(&self) -> bool {
        self.is_lost() || self.has_ended()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether an instance that did not answer is worth another question: the time counts from the first that it did not answer.
    fn may_answer(&mut self, error: &AskError, asked: Instant, retry_for: Duration) -> bool {
        let since = *self.unanswered.get_or_insert(asked);
        let summary = own_limit(self.last.as_ref(), LifecycleFunction::HandleSummary);
        let limit = if error.is_busy() { retry_for.max(LAST_SAMPLES + summary) } else { retry_for };
        error.is_passing() && since.elapsed() < limit
    }
}

/// How long to wait before the next question. Nothing was worked for where there was no answer.
fn pause(took: Duration, has_answered: bool) -> Duration {
    if has_answered { took.saturating_mul(SHARE).clamp(EVERY, MAX_PAUSE) } else { EVERY }
}

impl Known {
    fn read(bytes: Arc<[u8]>) -> Result<Self, AskError> {
        let read = || {
            let mut reader = StateReader::open(Cursor::new(bytes.clone()))?;
            let failures = reader.failures()?;
            let known = failures.by_weight().into_iter().map(|failure| failure.occurrences.count);
            let others = failures.others().map(|(_, occurrences)| occurrences.count);
            let failures = known.chain(others).fold(0, u64::saturating_add);
            Ok(Self { head: reader.head, failures, clock: None, bytes: bytes.clone() })
        };
        read().map_err(|error| match error {
            StateError::Foreign => AskError::NoState("HTTP 200".to_owned()),
            error => AskError::State(error),
        })
    }

    /// How far the clock is ahead of ours that was in this state, which we have asked for then and got so long after.
    fn ahead_of(&self, asked: SystemTime, took: Duration) -> Option<f64> {
        // The last state was made when the run was over, however late it is asked for.
        if self.head.progress.is_final {
            return None;
        }
        let asked = asked.duration_since(UNIX_EPOCH).ok()?.as_secs_f64() * 1000.0;
        let (half, written) = (took.as_secs_f64() * 500.0, self.head.progress.written.0 as f64 / 1_000_000.0);
        let ahead = written - asked - half;
        Some(if ahead.abs() <= half { 0.0 } else { ahead })
    }

    /// The state, to be added up.
    pub fn open(&self, place: &str) -> Option<Opened<Cursor<Arc<[u8]>>>> {
        // It was read once.
        let reader = StateReader::open(Cursor::new(self.bytes.clone())).ok()?;
        Some(Opened { place: place.to_owned(), reader })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_hung_is_soon_asked_again() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(Duration::from_millis(3), true), EVERY);
        assert_eq!(pause(seconds(2), true), seconds(8));
        assert_eq!(pause(seconds(29), true), seconds(10));
        assert_eq!(pause(seconds(30), false), EVERY);
    }
}
