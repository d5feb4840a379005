//! The figures of periods of a test that several processes run, from their time lines added up.

use std::collections::BTreeSet;

use senary_metrics::{Results, Timestamp};
use serde_json::{Map, Value, json};

use super::{TIME, Told, cut, description, figures};
use crate::timeline::{Cell, Part, Timeline, Track, percentiles_of};

/// Metrics that viewers of the reference's events do not know.
const UNKNOWN: [&str; 2] = ["iterations_failed", "iterations_interrupted"];
/// The percentiles of a trend in events: the median, and those that stand last.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 95.0, 99.0];

/// Ends periods, one after the other.
#[derive(Debug)]
pub struct PeriodsOfMany {
    /// Tags whose values have their own figures.
    tags: Vec<String>,
    /// Names that have been announced.
    told: BTreeSet<String>,
    /// Where the period before ended on the time line.
    until: Option<Timestamp>,
}

impl PeriodsOfMany {
    pub fn new(tags: Vec<String>) -> Self {
        Self { tags, told: BTreeSet::new(), until: None }
    }

    /// Ends the period: it has the intervals that no instance adds to any more, and that were in no period before. `now` is in
    /// milliseconds since 1970, the time since the start in seconds.
    pub fn end(&mut self, timeline: &Timeline, results: &mut Results, now: i64, elapsed: f64) -> Told {
        let (from, to) = (self.until.map_or(0, |until| timeline.intervals_until(until)), timeline.settled());
        let seconds = f64::from(to.saturating_sub(from)) * timeline.step();
        self.until = timeline.moment_of(to.max(from));
        let mut named: Vec<_> =
            timeline.tracks().iter().filter_map(|track| Some((self.name(track)?, track))).collect();
        named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let new: Map<String, Value> =
            named.iter().filter(|(name, _)| self.told.insert(name.clone())).map(announced).collect();
        let at = named.partition_point(|(name, _)| name.as_str() < TIME);
        let (mut cumulative, mut snapshot) = (Vec::new(), Vec::new());
        for (name, track) in &named {
            snapshot.push(track.sum_of(from, to).map_or_else(|| json!([]), |cell| of_cell(&cell, seconds)));
            let exact = results.metrics.iter_mut().find(|metric| metric.name == *name);
            cumulative.push(match exact {
                Some(metric) => figures(&mut metric.sink, elapsed),
                None => track.total().map_or_else(|| json!([]), |cell| of_cell(&cell, elapsed)),
            });
        }
        for list in [&mut cumulative, &mut snapshot] {
            list.insert(at, json!([now]));
        }
        Told {
            metric: (!new.is_empty()).then(|| new.into()),
            cumulative: cumulative.into(),
            snapshot: snapshot.into(),
        }
    }

    /// What a series is called in events, if it is in them.
    fn name(&self, track: &Track) -> Option<String> {
        if track.nature.own || UNKNOWN.contains(&track.id.metric.as_str()) {
            return None;
        }
        match (track.id.part, track.id.tags.as_slice()) {
            (Part::Whole, _) => Some(track.id.metric.clone()),
            (_, [(tag, value)]) if self.tags.contains(tag) => {
                Some(format!("{}{{{tag}:{value}}}", track.id.metric))
            }
            _ => None,
        }
    }
}

fn announced((name, track): &(String, &Track)) -> (String, Value) {
    (name.clone(), description(track.nature.kind, track.nature.contains, track.nature.custom))
}

/// The figures of a sum of intervals.
fn of_cell(cell: &Cell, seconds: f64) -> Value {
    let figures = match cell {
        Cell::Counter { sum } => vec![*sum, if seconds > 0.0 { sum / seconds } else { 0.0 }],
        Cell::Gauge { last, .. } => vec![*last],
        Cell::Rate { passes, total } => vec![*passes as f64 / (*total).max(1) as f64],
        Cell::Trend(spread) => {
            let found = percentiles_of(spread, &PERCENTILES);
            let mut figures = vec![spread.sum / spread.count.max(1) as f64, spread.max, found[0], spread.min];
            figures.extend(&found[1..]);
            figures
        }
    };
    figures.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use senary_metrics::threshold::WatchList;
    use senary_metrics::{MetricType, ProducerId, Recorder, Registry, TagSet, ValueType};

    use super::*;
    use crate::timeline::{MAX_BYTES, Member, TimelineConfig};

    #[test]
    fn periods_have_the_intervals_that_all_instances_have_told() {
        let registry = Registry::new();
        let hits = registry.declare("hits", MetricType::Counter, ValueType::Default).unwrap();
        let state = |seconds: &[i64]| {
            let config = TimelineConfig {
                registry: registry.clone(),
                watched: WatchList::default(),
                by_scenario: false,
            };
            let mut timeline = Timeline::aligned(config, MAX_BYTES);
            timeline.begin_at(|| Some(Timestamp(0)));
            let mut recorder = Recorder::new(ProducerId(0));
            for second in seconds {
                let tags = recorder.intern(&TagSet::new([("group", "::g")]));
                let series = recorder.series(hits, tags);
                recorder.record(series, 2.0, Timestamp(second * 1_000_000_000));
            }
            timeline.add(&recorder.take_batch().unwrap());
            timeline.written()
        };
        let mut periods = PeriodsOfMany::new(vec!["group".to_owned()]);
        let mut told = |states: &[(&[i64], bool)], elapsed| {
            let mut timeline = Timeline::of_many();
            for (seconds, may_change) in states {
                let member = Member { name: "", own: &[], without_tag: None, may_change: *may_change };
                timeline.add_instance(state(seconds), member);
            }
            periods.end(&timeline, &mut Results::default(), 7, elapsed)
        };
        // The first one has told two whole seconds, the other three: the last ones are not over.
        let first = told(&[(&[0, 1, 2], true), (&[0, 1, 2, 3], true)], 4.0);
        let names = json!({"hits": {"type": "counter", "custom": true}, "hits{group:::g}": {"type": "counter", "custom": true}});
        assert_eq!(first.metric, Some(names));
        assert_eq!(first.snapshot, json!([[8, 4], [8, 4], [7]]));
        assert_eq!(first.cumulative, json!([[14, 3.5], [14, 3.5], [7]]));
        // Both have ended: what is left is told.
        let second = told(&[(&[0, 1, 2], false), (&[0, 1, 2, 3], false)], 4.0);
        assert_eq!((second.metric, second.snapshot), (None, json!([[6, 3], [6, 3], [7]])));
    }
}
