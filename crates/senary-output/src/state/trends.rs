//! The values of the trends of all states, added up on several threads.
//!
//! Whatever the order in which values come together, the result is the same to the last bit: so each thread takes whichever
//! state is next. A thread holds one unpacked section of one state at a time, besides the values that are kept.

use std::io::{Read, Seek};
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustc_hash::FxHashMap;
use senary_metrics::totals::{Scope, Total};
use senary_metrics::trend_values::{EXACT_VALUES, TrendValues};
use senary_metrics::{Sink, Totals};

use super::read::{Budget, StateError, StateReader};

/// More threads would wait for the disk, and each has histograms of its own.
const MAX_THREADS: usize = 4;

/// Gives trends that were added up without their values these values. An error comes with the number of its state.
pub(super) fn fill<R: Read + Seek + Send>(
    totals: &mut Totals,
    states: &mut [&mut StateReader<R>],
    budget: &Budget,
) -> Result<(), (usize, StateError)> {
    let wanted = Wanted::of(totals);
    let next = Mutex::new(states.iter_mut().enumerate());
    let mut gathered = on_threads(|| wanted.gather(&next, budget)).into_iter();
    // The first state that is damaged was read, whichever thread it came to.
    let Gathered { mut values, mut damaged } = gathered.next().unwrap_or_default();
    for other in gathered {
        values.iter_mut().zip(other.values).for_each(|(own, more)| own.merge(more));
        damaged = damaged.into_iter().chain(other.damaged).min_by_key(|(at, _)| *at);
    }
    if let Some(error) = damaged {
        return Err(error);
    }
    let next = Mutex::new(totals.trends_mut().zip(values));
    let filled = on_threads(|| {
        while let Some((trend, values)) = taken(&next) {
            trend.fill(values)?;
        }
        Ok(())
    });
    // Reading has checked that each state has as many values as it claims, so an error here is not the fault of a single state.
    let filled = filled.into_iter().collect::<Result<(), _>>();
    filled.map_err(|error: senary_metrics::Damaged| (0, StateError::damaged("values", error)))
}

/// The trends that values are wanted of.
struct Wanted {
    /// Which of the trends it is.
    at: FxHashMap<Scope, FxHashMap<String, usize>>,
    /// Whether one process would have kept all of its values.
    is_exact: Vec<bool>,
}

/// What a thread has gathered.
#[derive(Default)]
struct Gathered {
    values: Vec<TrendValues>,
    /// The state that cannot be read.
    damaged: Option<(usize, StateError)>,
}

impl Wanted {
    fn of(totals: &Totals) -> Self {
        let mut wanted = Self { at: FxHashMap::default(), is_exact: Vec::new() };
        for Total { metric, scope, sink, .. } in totals.sums() {
            if let Sink::Trend(trend) = sink {
                let of_scope = wanted.at.entry(scope.clone()).or_default();
                of_scope.insert(metric.to_string(), wanted.is_exact.len());
                wanted.is_exact.push(trend.count() <= EXACT_VALUES as u64);
            }
        }
        wanted
    }

    /// The values of one state after the other, until there is no more, or one that is damaged.
    fn gather<'a, 'b: 'a, R: Read + Seek + 'b>(
        &self,
        states: &Mutex<impl Iterator<Item = (usize, &'a mut &'b mut StateReader<R>)>>,
        budget: &Budget,
    ) -> Gathered {
        let mut gathered =
            Gathered { values: vec![TrendValues::default(); self.is_exact.len()], damaged: None };
        while let Some((at, state)) = taken(states) {
            if let Err(error) = state.add_values(|total| self.place(total), &mut gathered.values, budget) {
                gathered.damaged = Some((at, error));
                break;
            }
        }
        gathered
    }

    fn place(&self, total: &Total) -> Option<(usize, bool)> {
        let at = *self.at.get(&total.scope)?.get(&*total.metric)?;
        Some((at, self.is_exact[at]))
    }
}

fn taken<T>(from: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    from.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Does the same work on this thread and on further ones, one for each core.
fn on_threads<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().name("merge".to_owned()).spawn_scoped(scope, &work);
        // Those that cannot be started are not needed.
        let started: Vec<_> = (1..cores).map_while(|at| start(at).ok()).collect();
        let own = work();
        let others = started.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        [own].into_iter().chain(others).collect()
    })
}
