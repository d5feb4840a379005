//! The totals of a metric, or of a part of it, in the whole run, for tables and for the curve of percentiles.

use senary_metrics::sink::{Sink, TrendSink};
use serde_json::{Map, Value, json};

use super::buckets::percentiles;
use super::cell::{Cell, Spread};
use super::document::number;
use super::track::Track;

/// Points of the curve for each tenfold of rarity.
const CURVE_PER_DECADE: i32 = 16;
/// The curve goes to one value in a million.
const CURVE_DECADES: i32 = 6;
/// A percentile is shown only if this many values are beyond it.
const MIN_BEYOND: f64 = 10.0;

const PERCENTILES: [f64; 6] = [50.0, 90.0, 95.0, 99.0, 99.9, 99.99];
const PERCENTILE_NAMES: [&str; PERCENTILES.len()] = ["p50", "p90", "p95", "p99", "p999", "p9999"];

/// The totals of a track, by the type of its metric; percentiles are right to a 32nd. Nothing before the first sample.
pub fn of_track(track: &Track, seconds: f64) -> Option<(&'static str, Value)> {
    let value = match track.total()? {
        Cell::Counter { sum } => counter(sum, seconds),
        Cell::Rate { passes, total } => rate(passes, total),
        Cell::Gauge { last, min, max, .. } => gauge(last, min, max),
        Cell::Trend(spread) => {
            let found = percentiles(spread.buckets.iter(), bounds(&spread), &PERCENTILES);
            trend(&spread_facts(&spread), &found)
        }
    };
    Some((track.nature.kind.as_str(), value))
}

/// The curve of percentiles of a track: `[percent, value]`, as far as there are enough values.
pub fn curve_of_track(track: &Track) -> Option<Value> {
    let Some(Cell::Trend(spread)) = track.total() else { return None };
    let percents = curve_points(spread.count);
    let found = percentiles(spread.buckets.iter(), bounds(&spread), &percents);
    Some(curve(&percents, &found))
}

/// The totals of a sink, which are exact, or right to a thousandth.
pub fn of_sink(sink: &mut Sink, seconds: f64) -> Option<(&'static str, Value)> {
    if sink.is_empty() {
        return None;
    }
    let kind = sink.kind().as_str();
    let value = match sink {
        Sink::Counter(sink) => counter(sink.value(), seconds),
        Sink::Rate(sink) => rate(sink.trues, sink.total),
        Sink::Gauge(sink) => gauge(sink.value, sink.min, sink.max),
        Sink::Trend(sink) => {
            let found: Vec<_> = PERCENTILES.iter().map(|percent| sink.percentile(*percent)).collect();
            trend(&sink_facts(sink), &found)
        }
    };
    Some((kind, value))
}

/// The curve of percentiles of a trend.
pub fn curve_of_sink(sink: &mut Sink) -> Option<Value> {
    let Sink::Trend(sink) = sink else { return None };
    let percents = curve_points(sink.count());
    let found: Vec<_> = percents.iter().map(|percent| sink.percentile(*percent)).collect();
    Some(curve(&percents, &found))
}

/// Count, sum, smallest, largest and mean value of a trend.
struct Facts {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    avg: f64,
}

fn spread_facts(spread: &Spread) -> Facts {
    let Spread { count, sum, min, max, .. } = *spread;
    Facts { count, sum, min, max, avg: sum / count.max(1) as f64 }
}

fn sink_facts(sink: &TrendSink) -> Facts {
    let (count, avg) = (sink.count(), sink.avg());
    Facts { count, sum: avg * count as f64, min: sink.min(), max: sink.max(), avg }
}

fn bounds(spread: &Spread) -> (u64, f64, f64) {
    (spread.count, spread.min, spread.max)
}

fn counter(sum: f64, seconds: f64) -> Value {
    let rate = if seconds > 0.0 { sum / seconds } else { 0.0 };
    json!({ "count": number(sum), "rate": number(rate) })
}

fn rate(passes: u64, total: u64) -> Value {
    let share = if total == 0 { 0.0 } else { passes as f64 / total as f64 };
    // A share keeps all its digits: it is never rounded across a limit.
    json!({ "passes": passes, "fails": total.saturating_sub(passes), "rate": share })
}

fn gauge(last: f64, min: f64, max: f64) -> Value {
    json!({ "last": number(last), "min": number(min), "max": number(max) })
}

fn trend(facts: &Facts, found: &[f64]) -> Value {
    let Facts { count, sum, min, max, avg } = *facts;
    let mut trend = json!({
        "min": number(min), "avg": number(avg), "max": number(max), "count": count, "sum": number(sum),
    });
    for (name, percentile) in PERCENTILE_NAMES.iter().zip(found) {
        trend[*name] = number(*percentile);
    }
    trend
}

/// The percentages of a curve, as far as there are enough values beyond them.
fn curve_points(count: u64) -> Vec<f64> {
    let steps = (5..=CURVE_DECADES * CURVE_PER_DECADE)
        .map(|point| 10_f64.powf(-f64::from(point) / f64::from(CURVE_PER_DECADE)));
    // The first mark of the axis lies between two steps, and its value is written beside it.
    let rarities = std::iter::once(0.5).chain(steps);
    let shown = rarities.take_while(|rarity| count as f64 * rarity >= MIN_BEYOND);
    shown.map(|rarity| 100.0 * (1.0 - rarity)).collect()
}

fn curve(percents: &[f64], found: &[f64]) -> Value {
    let points = percents.iter().zip(found).map(|(percent, value)| {
        // Six digits would make 99.9999 of all that are closer to 100.
        Value::from(vec![Value::from((percent * 1e7).round() / 1e7), number(*value)])
    });
    points.collect()
}

/// Puts totals into an object under the name of their type.
pub fn put(into: &mut Map<String, Value>, totals: Option<(&'static str, Value)>, curve: Option<Value>) {
    if let Some((kind, mut value)) = totals {
        if let Some(curve) = curve {
            value["curve"] = curve;
        }
        into.insert(kind.to_owned(), value);
    }
}
