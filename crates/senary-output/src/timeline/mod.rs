//! The run over time: for each metric, and for the parts of it that matter, what its samples come to in every interval.
//!
//! It is a consumer of samples like the outputs. Intervals are a second long at first. When there are more of them than
//! [`MAX_INTERVALS`], or they take more than [`MAX_BYTES`], pairs of them are merged, so that the memory is bounded
//! however long a run lasts; charts of a long run have no room for more points. Series beyond [`MAX_SERIES`] are left
//! out and counted.
//!
//! `buckets` holds distributions, `cell` an interval, `track` a series, `parts` what each combination of tags comes to;
//! `document` and `totals` are what others read. `written` is the way to a file and back, and `together` makes one time line
//! of those of several processes.

mod buckets;
mod cell;
mod document;
mod parts;
mod together;
mod totals;
mod track;
mod written;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use senary_metrics::tags::system;
use senary_metrics::threshold::WatchList;
use senary_metrics::{
    Metric, MetricType, Registry, SampleBatch, Series, SeriesMap, TagSet, Timestamp, ValueType, builtin,
};

pub use cell::{Cell, Spread};
pub use document::{Position, TimelinePart, number, percentiles_of};
pub use parts::SeriesSum;
pub use together::Member;
pub use totals::{curve_of_sink, curve_of_track, of_sink, of_track, put};
pub use track::{Nature, Part, Track, TrackId};
pub use written::{DamagedTimeline, Written};

use crate::output::Output;
use parts::SeriesTotals;

/// An hour of seconds.
pub const MAX_INTERVALS: u32 = 3600;
/// Bytes that all closed intervals may take together.
pub const MAX_BYTES: usize = 24 << 20;
/// Series there may be.
pub const MAX_SERIES: usize = 500;

/// Nanoseconds of an interval, at first.
const SECOND: i64 = 1_000_000_000;

/// Tags whose values always have a series of their own: the code of an error, the worker of a figure about the generator.
const TELLING_TAGS: [&str; 2] = ["error_code", "worker"];

/// The metric that counts connections has a series for each target, whose host and port are these tags.
const CONNECTIONS: &str = "tcp_sockets";
const TARGET_TAGS: [&str; 2] = ["host", "port"];

/// What a time line has to know about a test.
#[derive(Clone, Debug)]
pub struct TimelineConfig {
    pub registry: Registry,
    pub watched: WatchList,
    /// Whether there are several scenarios, which then have series of their own.
    pub by_scenario: bool,
}

/// Where the samples of a series are added up.
#[derive(Clone, Debug, Default)]
struct Route {
    tracks: Box<[u32]>,
    /// Its place among the totals of all series.
    total: Option<u32>,
}

/// The series of a run over time.
pub struct Timeline {
    config: TimelineConfig,
    tracks: Vec<Track>,
    by_id: FxHashMap<TrackId, u32>,
    series_totals: SeriesTotals,
    routes: SeriesMap<Route>,
    /// When the first interval begins, and how long an interval is, in nanoseconds.
    base: Option<Timestamp>,
    /// Whether intervals begin at whole seconds of the clock on the wall, and longer ones at multiples of their length: then
    /// those of other processes begin at the same moments.
    is_aligned: bool,
    start: Option<Box<dyn Fn() -> Option<Timestamp> + Send>>,
    step: i64,
    /// Intervals so far: up to the one of the latest sample.
    intervals: u32,
    /// Until when all is told that will be; `None` if that is all there is, but for samples under way.
    settled: Option<Timestamp>,
    /// The number of series that found no room.
    left_out: u64,
    max_bytes: usize,
}

impl Timeline {
    pub fn new(config: TimelineConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            by_id: FxHashMap::default(),
            series_totals: SeriesTotals::default(),
            routes: SeriesMap::default(),
            base: None,
            is_aligned: false,
            start: None,
            step: SECOND,
            intervals: 0,
            settled: None,
            left_out: 0,
            max_bytes: MAX_BYTES,
        }
    }

    /// A time line that can be added to those of other processes without loss, and takes at most so many bytes, roughly.
    pub fn aligned(config: TimelineConfig, max_bytes: usize) -> Self {
        Self { is_aligned: true, max_bytes, ..Self::new(config) }
    }

    /// Sets the function that returns when the first interval begins. Samples before that are counted in it.
    pub fn begin_at(&mut self, start: impl Fn() -> Option<Timestamp> + Send + 'static) {
        self.start = Some(Box::new(start));
    }

    pub fn add(&mut self, batch: &SampleBatch) {
        let mut routes = std::mem::take(&mut self.routes);
        routes.learn(batch, |series| self.route(series));
        for (route, sample) in routes.samples(batch) {
            // NaN and infinity cannot be shown in a chart.
            if !sample.value.is_nan() {
                let interval = self.interval(sample.time);
                let value = sample.value.clamp(f64::MIN, f64::MAX);
                for &track in &route.tracks {
                    self.tracks[track as usize].add(interval, value, sample.time);
                }
                if let Some(place) = route.total {
                    self.series_totals.add(place, value, sample.time);
                }
            }
        }
        self.routes = routes;
    }

    /// Adds a figure that is not a sample, such as the generator's memory at a moment.
    pub fn note(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        contains: ValueType,
        value: f64,
        time: Timestamp,
    ) {
        let part = if tags.is_empty() { Part::Whole } else { Part::Scenario };
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let own = name.starts_with("senary_");
        let nature = Nature { kind: MetricType::Gauge, contains, custom: false, own };
        let id = TrackId { metric: name.to_owned(), tags, part };
        let interval = self.interval(time);
        if let Some(track) = self.track(id, nature) {
            self.tracks[track as usize].add(interval, value, time);
        }
    }

    /// Closes intervals for which hardly any samples will still come, and keeps the memory within its limit.
    pub fn settle(&mut self) {
        // The last but one is still open: workers deliver their samples a moment later.
        let open = self.intervals.saturating_sub(2);
        self.tracks.iter_mut().for_each(|track| track.close_before(open));
        while self.tracks.iter().map(Track::bytes).sum::<usize>() > self.max_bytes && self.intervals > 1 {
            self.fold();
        }
    }

    /// Seconds of an interval.
    pub fn step(&self) -> f64 {
        self.step as f64 / SECOND as f64
    }

    pub fn intervals(&self) -> u32 {
        self.intervals
    }

    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// What each combination of tags comes to.
    pub fn series_sums(&self) -> impl Iterator<Item = SeriesSum<'_>> {
        self.series_totals.sums()
    }

    /// The totals of the values of all tags, as tracks without intervals; those that have a track are left out.
    pub fn by_value(&self) -> Vec<Track> {
        let mut parts = self.series_totals.by_value();
        let is_there =
            |id: &TrackId| self.tracks.iter().any(|own| own.id.metric == id.metric && own.id.tags == id.tags);
        parts.retain(|part| !is_there(&part.id));
        parts
    }

    /// The track of a whole metric.
    pub fn whole(&self, metric: &str) -> Option<&Track> {
        let id = TrackId { metric: metric.to_owned(), tags: Vec::new(), part: Part::Whole };
        self.by_id.get(&id).map(|at| &self.tracks[*at as usize])
    }

    /// The target that most connections went to: `host:port`, or a path.
    pub fn target(&self) -> Option<String> {
        let is_target = |track: &&Track| {
            track.id.metric == CONNECTIONS
                && track.id.tags.first().is_some_and(|(key, _)| key == TARGET_TAGS[0])
        };
        let opened = |track: &Track| match track.total() {
            Some(Cell::Counter { sum }) => sum,
            _ => 0.0,
        };
        let of = self.tracks.iter().filter(is_target);
        let most = of.max_by(|a, b| opened(a).total_cmp(&opened(b)))?;
        Some(most.id.tags.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(":"))
    }

    /// Series that found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The interval of a time. If there are too many, intervals become longer.
    fn interval(&mut self, time: Timestamp) -> u32 {
        if self.base.is_none() {
            let start = match &self.start {
                Some(start) => start(),
                None => Some(time),
            };
            self.base = start.map(|start| if self.is_aligned { floor(start, self.step) } else { start });
        }
        let interval = loop {
            // Before the start everything is in the first interval.
            let since = self.base.map_or(0, |base| time.0.saturating_sub(base.0).max(0));
            match since / self.step {
                interval if interval < i64::from(MAX_INTERVALS) => break interval as u32,
                _ => self.fold(),
            }
        };
        self.intervals = self.intervals.max(interval + 1);
        interval
    }

    /// Makes one interval of each two.
    fn fold(&mut self) {
        let lead = self.base.filter(|_| self.is_aligned).map_or(0, |base| lead(base, self.step));
        self.tracks.iter_mut().for_each(|track| track.fold(lead));
        self.base = self.base.map(|base| Timestamp(base.0.saturating_sub(i64::from(lead) * self.step)));
        self.step *= 2;
        self.intervals = (self.intervals + lead).div_ceil(2);
    }

    /// Where the samples of a series belong to.
    fn route(&mut self, series: &Series) -> Route {
        let Some(metric) = self.config.registry.metric(series.metric) else { return Route::default() };
        let nature = Nature {
            kind: metric.kind,
            contains: metric.contains,
            custom: metric.custom,
            own: builtin::is_own(metric.id),
        };
        let ids = self.ids(&metric, &series.tags);
        let tracks = ids.into_iter().filter_map(|id| self.track(id, nature)).collect();
        Route { tracks, total: self.series_totals.place(series, &metric.name, nature) }
    }

    fn ids(&self, metric: &Metric, tags: &TagSet) -> Vec<TrackId> {
        let id = |part, tags| TrackId { metric: metric.name.to_string(), tags, part };
        let mut ids = vec![id(Part::Whole, Vec::new())];
        let selected =
            self.config.watched.submetrics_of(&metric.name).filter(|selector| selector.matches(tags));
        ids.extend(selected.map(|selector| id(Part::Submetric, selector.tags.clone())));
        let of = |key: &str| {
            let value = tags.get(key).filter(|value| !value.is_empty())?;
            Some(vec![(key.to_owned(), value.to_owned())])
        };
        if self.config.by_scenario {
            ids.extend(of(system::SCENARIO).map(|tags| id(Part::Scenario, tags)));
        }
        match of(system::CHECK).filter(|_| metric.id == builtin::CHECKS) {
            Some(mut check) => {
                check.extend(of(system::GROUP).into_iter().flatten());
                ids.push(id(Part::Tag, check));
            }
            None => ids.extend(of(system::GROUP).map(|tags| id(Part::Group, tags))),
        }
        ids.extend(TELLING_TAGS.into_iter().filter_map(of).map(|tags| id(Part::Tag, tags)));
        if *metric.name == *CONNECTIONS {
            let target: Vec<_> = TARGET_TAGS.into_iter().filter_map(of).flatten().collect();
            ids.extend((!target.is_empty()).then(|| id(Part::Tag, target)));
        }
        // A part that a threshold names is not listed twice.
        let named: Vec<_> =
            ids.iter().filter(|id| id.part == Part::Submetric).map(|id| id.tags.clone()).collect();
        ids.retain(|id| id.part == Part::Submetric || !named.contains(&id.tags));
        ids.dedup();
        ids
    }

    /// The place of a track; `None` if there are too many.
    fn track(&mut self, id: TrackId, nature: Nature) -> Option<u32> {
        if let Some(at) = self.by_id.get(&id) {
            return Some(*at);
        }
        // The metrics themselves are always there: a script has declared each of them.
        if self.tracks.len() >= MAX_SERIES && id.part != Part::Whole {
            if self.left_out == 0 {
                log::warn!(
                    "The charts of the report and the dashboard show the first {MAX_SERIES} series: groups, checks and codes that come later are only part of their metrics"
                );
            }
            self.left_out += 1;
            return None;
        }
        let at = self.tracks.len() as u32;
        self.by_id.insert(id.clone(), at);
        self.tracks.push(Track::new(id, nature));
        Some(at)
    }
}

/// The multiple of a length that a time falls to.
fn floor(time: Timestamp, step: i64) -> Timestamp {
    Timestamp(time.0.saturating_sub(time.0.rem_euclid(step)))
}

/// How many intervals before the first one there is one to begin the first longer one with: none, or one.
fn lead(base: Timestamp, step: i64) -> u32 {
    (base.0.div_euclid(step) & 1) as u32
}

/// A time line that is written by the collector and read by others.
#[derive(Clone)]
pub struct SharedTimeline(Arc<Mutex<Timeline>>);

impl SharedTimeline {
    pub fn new(config: TimelineConfig) -> Self {
        Self::of(Timeline::new(config))
    }

    pub fn of(timeline: Timeline) -> Self {
        Self(Arc::new(Mutex::new(timeline)))
    }

    /// The output that gets samples from the pipeline.
    pub fn output(&self) -> Box<dyn Output> {
        Box::new(TimelineOutput(self.clone()))
    }

    /// While it is held, the collector waits: hold it for a moment only.
    pub fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TimelineOutput(SharedTimeline);

impl Output for TimelineOutput {
    fn description(&self) -> String {
        "time line of the run".to_owned()
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.0.lock().add(batch);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().settle();
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
