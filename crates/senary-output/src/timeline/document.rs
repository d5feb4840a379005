//! A time line as JSON for readers: columns of numbers, all of them or those after a reader's position.
//!
//! The shapes are described in `docs/design/timeline.md`. Numbers have six digits; a chart cannot show more.

use std::io;

use senary_metrics::{MetricType, Timestamp, ValueType};
use serde_json::{Map, Value, json};

use super::buckets::{LOWEST, PER_OCTAVE, percentiles};
use super::cell::Cell;
use super::track::{Part, Track};
use super::{MAX_SERIES, SharedTimeline, Spread, Timeline};

/// Intervals before the last one that may still have changed since a reader saw them.
const UNSETTLED: u32 = 3;
/// Intervals that are held back at most, as long as not all processes have told theirs.
const HELD_BACK: u32 = 10;
/// Bytes that all histograms of a document may take, roughly; if it is more, some intervals share one.
const MAX_HISTOGRAMS: usize = 4 << 20;
/// Bytes of JSON that a byte of a packed histogram comes to.
const EXPANSION: usize = 3;

/// The percentiles of an interval, and of a total.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

/// The position of a reader, where the next part begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    base: Option<Timestamp>,
    step: i64,
    tracks: usize,
    intervals: u32,
    /// Intervals that are told for good, but for samples under way.
    settled: u32,
    /// Intervals that share a histogram.
    every: u32,
}

impl Position {
    /// Whether the intervals are still those that a reader knows.
    fn is_of(&self, now: &Self) -> bool {
        // Who knows that there is nothing yet has nothing that could have moved.
        let is_in_place = self.base.is_none() || self.base == now.base;
        is_in_place && (self.step, self.every) == (now.step, now.every)
    }
}

/// A document, or what is new in it.
pub struct TimelinePart {
    pub json: Vec<u8>,
    pub position: Position,
}

impl SharedTimeline {
    /// The time line as JSON. After a position only what is new since; all of it, if the intervals have become longer.
    pub fn json(&self, since: Option<Position>) -> io::Result<TimelinePart> {
        loop {
            let now = self.lock().position();
            let since = since.filter(|since| since.is_of(&now));
            if let Some(json) = self.json_at(now, since)? {
                return Ok(TimelinePart { json, position: now });
            }
        }
    }

    /// `None` if the intervals have become longer meanwhile. The lock is held for one series at a time.
    fn json_at(&self, now: Position, since: Option<Position>) -> io::Result<Option<Vec<u8>>> {
        let from = since.map_or(0, |since| since.settled.saturating_sub(UNSETTLED));
        let from = from / now.every * now.every;
        let mut json = {
            let timeline = self.lock();
            let head = json!({
                "step": timeline.step(),
                "from": from,
                "intervals": now.intervals,
                "limit": MAX_SERIES,
                "capped": timeline.left_out(),
                "histogram": { "per_octave": PER_OCTAVE, "lowest": LOWEST },
            });
            head.to_string().into_bytes()
        };
        // The object stays open for the series.
        json.pop();
        json.extend_from_slice(br#","series":["#);
        for at in 0..now.tracks {
            let is_new = since.is_some_and(|since| at >= since.tracks);
            let series = {
                let timeline = self.lock();
                if timeline.step != now.step {
                    return Ok(None);
                }
                let range = (if is_new { 0 } else { from }, now.intervals);
                series(&timeline.tracks[at], range, now.every, is_new)
            };
            if at > 0 {
                json.push(b',');
            }
            serde_json::to_writer(&mut json, &series)?;
        }
        json.extend_from_slice(b"]}");
        Ok(Some(json))
    }
}

impl Timeline {
    /// Intervals that readers are shown. One that some processes have not told yet looks like a fall; but one of them that hangs
    /// does not hide for long what the others do.
    fn shown(&self) -> u32 {
        self.settled().max(self.intervals.saturating_sub(HELD_BACK))
    }

    fn position(&self) -> Position {
        let bytes: usize = self.tracks.iter().filter(|track| has_histogram(track)).map(Track::bytes).sum();
        let mut every = 1;
        while bytes * EXPANSION / every as usize > MAX_HISTOGRAMS && every < self.intervals {
            every *= 2;
        }
        let Self { base, step, .. } = *self;
        let (intervals, settled) = (self.shown(), self.settled());
        Position { base, step, tracks: self.tracks.len(), intervals, settled, every }
    }
}

/// Times that the script, or its protocol, has measured.
fn has_histogram(track: &Track) -> bool {
    let nature = track.nature;
    let is_time = nature.kind == MetricType::Trend && nature.contains == ValueType::Time && !nature.own;
    is_time && (track.id.part == Part::Whole || track.id.metric.ends_with("_req_duration"))
}

fn series(track: &Track, (from, to): (u32, u32), every: u32, is_new: bool) -> Value {
    let mut series = description(track);
    if is_new {
        series.insert("from".to_owned(), from.into());
    }
    let cells = track.cells(from);
    series.insert(track.nature.kind.as_str().to_owned(), columns(track.nature.kind, &cells, from, to));
    if has_histogram(track) {
        let mut data = vec![Value::Null; (to.saturating_sub(from)).div_ceil(every) as usize];
        let mut shared: Vec<Option<Spread>> = vec![None; data.len()];
        for (interval, cell) in &cells {
            let (Cell::Trend(spread), place) = (cell, ((interval - from) / every) as usize) else { continue };
            match shared.get_mut(place) {
                Some(Some(own)) => own.buckets.merge(&spread.buckets),
                Some(empty) => *empty = Some((**spread).clone()),
                None => {}
            }
        }
        for (entry, spread) in data.iter_mut().zip(shared) {
            if let Some(spread) = spread {
                *entry =
                    spread.buckets.iter().flat_map(|(bucket, count)| [u64::from(bucket), count]).collect();
            }
        }
        series.insert("hist".to_owned(), json!({ "every": every, "data": data }));
    }
    series.into()
}

/// What a series is, without its numbers.
fn description(track: &Track) -> Map<String, Value> {
    let tags = || track.id.tags.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
    let scope = match track.id.part {
        Part::Whole => Value::Null,
        _ => Value::Object(tags().collect()),
    };
    let mut map = Map::new();
    for (key, value) in [
        ("id", track.id.text().into()),
        ("metric", track.id.metric.as_str().into()),
        ("type", track.nature.kind.as_str().into()),
        ("contains", track.nature.contains.as_str().into()),
        ("custom", track.nature.custom.into()),
        ("own", track.nature.own.into()),
        ("scope", scope),
    ] {
        map.insert(key.to_owned(), value);
    }
    map
}

/// A column per figure: one entry per interval, null where there was no sample.
fn columns(kind: MetricType, cells: &[(u32, Cell)], from: u32, to: u32) -> Value {
    let names: &[&str] = match kind {
        MetricType::Counter => &["sum"],
        MetricType::Rate => &["passes", "total"],
        MetricType::Gauge => &["last", "min", "max"],
        MetricType::Trend => &["count", "sum", "min", "max", "p50", "p90", "p95", "p99", "p999"],
    };
    let mut columns = vec![vec![Value::Null; to.saturating_sub(from) as usize]; names.len()];
    for (interval, cell) in cells {
        let figures = figures(cell);
        for (column, figure) in columns.iter_mut().zip(figures) {
            if let Some(entry) = column.get_mut((interval - from) as usize) {
                *entry = number(figure);
            }
        }
    }
    names
        .iter()
        .map(|name| (*name).to_owned())
        .zip(columns.into_iter().map(Value::from))
        .collect::<Map<_, _>>()
        .into()
}

fn figures(cell: &Cell) -> Vec<f64> {
    match cell {
        Cell::Counter { sum } => vec![*sum],
        Cell::Rate { passes, total } => vec![*passes as f64, *total as f64],
        Cell::Gauge { last, min, max, .. } => vec![*last, *min, *max],
        Cell::Trend(spread) => {
            let mut figures = vec![spread.count as f64, spread.sum, spread.min, spread.max];
            figures.extend(percentiles_of(spread, &PERCENTILES));
            figures
        }
    }
}

/// Percentiles of the values of a trend, right to a 32nd.
pub fn percentiles_of(spread: &Spread, wanted: &[f64]) -> Vec<f64> {
    percentiles(spread.buckets.iter(), (spread.count, spread.min, spread.max), wanted)
}

/// A number with six digits; whole numbers stay what they are.
pub fn number(value: f64) -> Value {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < WHOLE {
        return Value::from(value as i64);
    }
    let digits = 5 - value.abs().log10().floor() as i32;
    let rounded = match digits {
        0..=15 => {
            let scale = 10_f64.powi(digits);
            (value * scale).round() / scale
        }
        _ => value,
    };
    serde_json::Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}
