//! Counts which samples of an output arrived and which were lost, so that the end of a run can report the losses and
//! their reasons.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// At most this many different reasons are kept: an answer of a server may have anything in it.
const MAX_REASONS: usize = 5;

/// The account of an output that sends to a server. Samples that have neither arrived nor been lost are still under
/// way; at the end of a run, they are lost, too.
#[derive(Debug, Default)]
pub struct Ledger {
    arrived: AtomicU64,
    lost: Mutex<Vec<(String, u64)>>,
}

impl Ledger {
    /// Counts samples that have arrived. An output that sends totals counts a sample once a total with it in has
    /// arrived.
    pub fn arrived(&self, samples: u64) {
        self.arrived.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts samples that are lost for good.
    pub fn lost(&self, samples: u64, why: &str) {
        if samples == 0 {
            return;
        }
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = lost.iter_mut().find(|(known, _)| known == why) {
            *count += samples;
        } else if lost.len() < MAX_REASONS {
            lost.push((why.to_owned(), samples));
        } else if let Some((_, count)) = lost.last_mut() {
            *count += samples;
        }
    }

    /// The losses among this many samples, with their reasons; the largest loss comes first.
    pub(crate) fn losses(&self, given: u64, unsettled: &str) -> Losses {
        let mut reasons = self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lost: u64 = reasons.iter().map(|(_, count)| count).sum();
        let rest = given.saturating_sub(self.arrived.load(Ordering::Relaxed)).saturating_sub(lost);
        if rest > 0 {
            reasons.push((unsettled.to_owned(), rest));
        }
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Losses(reasons)
    }
}

/// How many samples were lost for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses(Vec<(String, u64)>);

impl Losses {
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The reasons, for the brackets in a sentence.
    pub(crate) fn reasons(&self) -> String {
        match &self.0[..] {
            [(why, _)] => why.clone(),
            all => {
                let each = all.iter().map(|(why, count)| format!("{count}: {why}"));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_given_is_accounted_for() {
        let ledger = Ledger::default();
        ledger.arrived(60);
        assert_eq!(ledger.losses(60, "late"), Losses::default());
        ledger.lost(5, "refused");
        ledger.lost(20, "away");
        ledger.lost(5, "refused");
        ledger.lost(0, "nothing");
        let losses = ledger.losses(100, "late");
        assert_eq!((losses.sum(), losses.reasons().as_str()), (40, "20: away; 10: refused; 10: late"));
    }

    #[test]
    fn reasons_without_end_are_not_kept() {
        let ledger = Ledger::default();
        (0..100).for_each(|n| ledger.lost(1, &n.to_string()));
        let losses = ledger.losses(100, "late");
        assert_eq!((losses.sum(), losses.0.len()), (100, MAX_REASONS));
    }
}
