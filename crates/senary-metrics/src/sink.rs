//! Sinks: what the samples of one metric (or sub-metric) add up to.
//!
//! Counters, gauges and rates fold at once. A trend keeps every value up to [`EXACT_VALUES`], then goes on in a
//! histogram whose error is at most 0.1 %, so that memory stays bounded however long a test runs. Sums are exact.
//!
//! Sinks merge: what several of them have added up is what one would have. A clone of a sink is cheap, whatever is in it.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::metric::MetricType;
use crate::sample::Timestamp;
use crate::sum::Sum;
use crate::trend_values::{EXACT_VALUES, TrendValues};
use crate::written::{Damaged, Number, WrittenSink};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "WrittenSink", into = "WrittenSink")]
pub enum Sink {
    Counter(CounterSink),
    Gauge(GaugeSink),
    Rate(RateSink),
    Trend(TrendSink),
}

#[derive(Clone, Debug, Default)]
pub struct CounterSink {
    sum: Sum,
    pub samples: u64,
}

#[derive(Clone, Debug)]
pub struct GaugeSink {
    /// The latest by its time.
    pub value: f64,
    pub min: f64,
    pub max: f64,
    pub samples: u64,
    time: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct RateSink {
    pub trues: u64,
    pub total: u64,
}

#[derive(Clone, Debug)]
pub struct TrendSink {
    count: u64,
    sum: Sum,
    min: f64,
    max: f64,
    values: Distribution,
}

impl Sink {
    pub fn new(kind: MetricType) -> Self {
        match kind {
            MetricType::Counter => Self::Counter(CounterSink::default()),
            MetricType::Gauge => Self::Gauge(GaugeSink::default()),
            MetricType::Rate => Self::Rate(RateSink::default()),
            MetricType::Trend => Self::Trend(TrendSink::default()),
        }
    }

    pub fn add(&mut self, value: f64, time: Timestamp) {
        match self {
            Self::Counter(s) => {
                s.sum.add(value);
                s.samples += 1;
            }
            Self::Gauge(s) => s.take(value, (value, value), 1, time),
            Self::Rate(s) => {
                s.total += 1;
                s.trues += u64::from(value != 0.0);
            }
            Self::Trend(s) => s.add(value),
        }
    }

    /// Adds what another sink of the same type has added up. False if it is of another type.
    pub fn merge(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Counter(own), Self::Counter(other)) => {
                own.sum.merge(&other.sum);
                own.samples = own.samples.saturating_add(other.samples);
            }
            (Self::Gauge(own), Self::Gauge(other)) if other.samples > 0 => {
                own.take(other.value, (other.min, other.max), other.samples, other.time);
            }
            (Self::Gauge(_), Self::Gauge(_)) => {}
            (Self::Rate(own), Self::Rate(other)) => {
                own.trues = own.trues.saturating_add(other.trues);
                own.total = own.total.saturating_add(other.total);
            }
            (Self::Trend(own), Self::Trend(other)) => own.merge(other),
            (Self::Counter(_) | Self::Gauge(_) | Self::Rate(_) | Self::Trend(_), _) => return false,
        }
        true
    }

    pub fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Rate(_) => MetricType::Rate,
            Self::Trend(_) => MetricType::Trend,
        }
    }

    /// Whether no sample came yet.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Counter(s) => s.samples == 0,
            Self::Gauge(s) => s.samples == 0,
            Self::Rate(s) => s.total == 0,
            Self::Trend(s) => s.count == 0,
        }
    }
}

impl CounterSink {
    pub fn value(&self) -> f64 {
        self.sum.value()
    }
}

impl Default for GaugeSink {
    fn default() -> Self {
        Self { value: 0.0, min: 0.0, max: 0.0, samples: 0, time: Timestamp(i64::MIN) }
    }
}

impl GaugeSink {
    /// Adds the gauge of something that is there at the same time: the value of both together, and at most what both can have
    /// come to.
    pub fn add_beside(&mut self, other: &Self) {
        if self.samples == 0 || other.samples == 0 {
            if self.samples == 0 {
                *self = other.clone();
            }
            return;
        }
        self.value += other.value;
        self.min += other.min;
        self.max += other.max;
        self.samples = self.samples.saturating_add(other.samples);
        self.time = self.time.max(other.time);
    }

    /// Of samples at the same time the one that comes later counts.
    fn take(&mut self, value: f64, (min, max): (f64, f64), samples: u64, time: Timestamp) {
        self.min = if self.samples == 0 { min } else { self.min.min(min) };
        self.max = if self.samples == 0 { max } else { self.max.max(max) };
        if time >= self.time {
            self.value = value;
            self.time = time;
        }
        self.samples = self.samples.saturating_add(samples);
    }
}

impl RateSink {
    /// The share of samples that were not zero; 0 without samples.
    pub fn rate(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.trues as f64 / self.total as f64 }
    }
}

impl Default for TrendSink {
    fn default() -> Self {
        Self::exact_up_to(EXACT_VALUES)
    }
}

impl TrendSink {
    /// A trend that keeps this many values exactly.
    pub fn exact_up_to(most: usize) -> Self {
        let values = Distribution::exact_up_to(most);
        Self { count: 0, sum: Sum::default(), min: 0.0, max: 0.0, values }
    }

    pub fn add(&mut self, value: f64) {
        self.take_bounds(value, value);
        self.count += 1;
        self.sum.add(value);
        self.values.add(value);
    }

    /// Adds the values of another trend. Split over many trends, values add up to what one trend would have had.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.take_bounds(other.min, other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum.merge(&other.sum);
        self.values.merge(&other.values);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    pub fn avg(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum.mean(self.count) }
    }

    pub fn min(&self) -> f64 {
        self.min
    }

    pub fn max(&self) -> f64 {
        self.max
    }

    /// The value at `percentile` (0 to 100): linear interpolation at rank p·(n−1). 0 without samples.
    pub fn percentile(&mut self, percentile: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let rank = (percentile / 100.0).clamp(0.0, 1.0) * (self.count - 1) as f64;
        let (min, max, last) = (self.min, self.max, self.count - 1);
        let mut at = |rank: f64| match &mut self.values {
            // The smallest and the largest value are known exactly.
            Distribution::Beyond(_) if rank <= 0.0 => min,
            Distribution::Beyond(_) if rank as u64 >= last => max,
            values => values.at(rank as u64),
        };
        let (below, above) = (at(rank.floor()), at(rank.ceil()));
        between(below, above, rank.fract())
    }

    /// All values, sorted; `None` beyond the bound.
    pub fn sorted(&mut self) -> Option<&[f64]> {
        self.values.sorted()
    }

    /// The buckets of a histogram of all values, in their order: of each the number nearest to zero, and how many numbers are
    /// in it.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.values.buckets()
    }

    /// The same without its values, which are kept elsewhere: its sum, its smallest and its largest value.
    pub fn hollow(&self) -> Self {
        let values = Distribution::exact_up_to(EXACT_VALUES);
        Self { count: 0, sum: self.sum.clone(), min: self.min, max: self.max, values }
    }

    /// Tells a hollow trend how many values it has. It can then be merged with other hollow trends, and filled after that.
    pub fn announce(&mut self, count: u64) -> Result<(), Damaged> {
        if self.count > 0 {
            return Err(Damaged::Trend);
        }
        self.count = count;
        Ok(())
    }

    /// Gives a hollow trend all of its values again, and sorts them.
    pub fn fill(&mut self, values: TrendValues) -> Result<(), Damaged> {
        let values = values.sorted()?;
        if self.values.count() > 0 || values.count() != self.count {
            return Err(Damaged::Trend);
        }
        self.values = values;
        Ok(())
    }

    fn take_bounds(&mut self, min: f64, max: f64) {
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = if self.count == 0 { max } else { self.max.max(max) };
    }
}

impl From<Sink> for WrittenSink {
    fn from(sink: Sink) -> Self {
        match sink {
            Sink::Counter(s) => Self::Counter { sum: s.sum.written(), samples: s.samples },
            Sink::Gauge(s) => Self::Gauge {
                value: Number(s.value),
                min: Number(s.min),
                max: Number(s.max),
                samples: s.samples,
                time: s.time,
            },
            Sink::Rate(s) => Self::Rate { trues: s.trues, total: s.total },
            Sink::Trend(s) => Self::Trend {
                sum: s.sum.written(),
                min: Number(s.min),
                max: Number(s.max),
                values: s.values.written(),
            },
        }
    }
}

impl TryFrom<WrittenSink> for Sink {
    type Error = Damaged;

    fn try_from(written: WrittenSink) -> Result<Self, Damaged> {
        Ok(match written {
            WrittenSink::Counter { sum, samples } => {
                Self::Counter(CounterSink { sum: Sum::read(sum)?, samples })
            }
            WrittenSink::Gauge { value, min, max, samples, time } => {
                Self::Gauge(GaugeSink { value: value.0, min: min.0, max: max.0, samples, time })
            }
            WrittenSink::Rate { trues, total } if trues > total => return Err(Damaged::Rate),
            WrittenSink::Rate { trues, total } => Self::Rate(RateSink { trues, total }),
            WrittenSink::Trend { sum, min, max, values } => {
                let (sum, values) = (Sum::read(sum)?, Distribution::read(values)?);
                Self::Trend(TrendSink { count: values.count(), sum, min: min.0, max: max.0, values })
            }
        })
    }
}

/// The number that far on the way from one to the other.
fn between(below: f64, above: f64, share: f64) -> f64 {
    if below == above {
        return below;
    }
    let way = above - below;
    // From one end of the numbers to the other is further than a number can say.
    if way.is_finite() { below + way * share } else { below * (1.0 - share) + above * share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_interpolate() {
        let mut trend = TrendSink::default();
        for value in [4.0, 1.0, 3.0, 2.0] {
            trend.add(value);
        }
        assert_eq!(trend.percentile(50.0), 2.5);
        assert_eq!(trend.percentile(0.0), 1.0);
        assert_eq!(trend.percentile(100.0), 4.0);
        assert!((trend.percentile(90.0) - 3.7).abs() < 1e-12);
        assert_eq!(TrendSink::default().percentile(95.0), 0.0);
    }

    #[test]
    fn the_bound_is_where_it_is_said_to_be() {
        let mut trend = TrendSink::default();
        for i in 0..EXACT_VALUES {
            trend.add(i as f64);
        }
        assert!(matches!(trend.values, Distribution::Exact(_)));
        assert_eq!(trend.percentile(50.0), (EXACT_VALUES - 1) as f64 / 2.0);
        trend.add(0.0);
        assert!(matches!(trend.values, Distribution::Beyond(_)));
    }

    #[test]
    fn beyond_the_bound_the_error_stays_small_at_every_magnitude() {
        for unit in [1e-320, 1e-300, 1e-9, 1e-3, 1.0, 1e13, 1.7e15, 1e300] {
            let mut trend = TrendSink::default();
            let n = EXACT_VALUES * 2;
            for i in 0..n {
                trend.add(unit * (i % 7) as f64);
            }
            for p in [1.0, 25.0, 50.0, 99.9] {
                let rank = (n - 1) as f64 * p / 100.0;
                let exact = unit * (rank as usize / n.div_ceil(7)) as f64;
                let got = trend.percentile(p);
                assert!((got - exact).abs() <= exact * 0.001, "p({p}) {got:e} instead of {exact:e}");
            }
        }
    }

    #[test]
    fn beyond_the_bound_ranks_are_interpolated() {
        let mut trend = TrendSink::exact_up_to(2);
        for value in [1.0, 1.0, 100.0, 100.0] {
            trend.add(value);
        }
        assert_eq!(trend.percentile(50.0), 50.5);
        for value in [-3.0, -3.0, -3.0, -3.0] {
            trend.add(value);
        }
        assert_eq!(trend.percentile(50.0), -1.0);
    }

    #[test]
    fn a_counter_goes_on_counting_where_doubles_have_gaps() {
        let mut sink = Sink::new(MetricType::Counter);
        for value in [9_007_199_254_740_992.0, 1.0, 1.0, 1.0, 1.0] {
            sink.add(value, Timestamp(0));
        }
        let Sink::Counter(counter) = sink else { unreachable!() };
        assert_eq!(counter.value(), 9_007_199_254_740_996.0);
    }

    /// Numbers of all magnitudes and both signs.
    fn finite() -> impl Strategy<Value = f64> {
        let any = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
        prop_oneof![any, -1e3..1e3, -2.0..2.0]
    }

    fn of(values: &[f64], most: usize) -> TrendSink {
        let mut trend = TrendSink::exact_up_to(most);
        values.iter().for_each(|value| trend.add(*value));
        trend
    }

    proptest! {
        #[test]
        fn any_values_are_survived(values in prop::collection::vec(prop::num::f64::ANY, 0..50), p in 0.0f64..100.0) {
            for most in [0, 10, 100] {
                let mut trend = of(&values, most);
                let _ = (trend.percentile(p), trend.avg());
            }
        }

        #[test]
        fn a_percentile_of_a_histogram_is_within_a_thousandth(
            values in prop::collection::vec(finite(), 1..80), p in 0.0f64..=100.0
        ) {
            let (mut exact, mut close) = (of(&values, 80), of(&values, 0));
            for p in [p, 0.0, 50.0, 100.0] {
                let (exact, close) = (exact.percentile(p), close.percentile(p));
                let error = (close - exact).abs();
                prop_assert!(error <= exact.abs() / 1000.0, "p({p}) {close:e} instead of {exact:e}");
            }
        }

        #[test]
        fn trends_merge_into_the_trend_of_all(
            values in prop::collection::vec(finite(), 1..60), at in 0usize..60, most in 0usize..60, p in 0.0f64..=100.0
        ) {
            let (left, right) = values.split_at(at.min(values.len()));
            let (mut whole, mut merged) = (of(&values, most), of(left, most));
            merged.merge(&of(right, most));
            prop_assert_eq!(merged.percentile(p), whole.percentile(p));
            prop_assert_eq!(
                (merged.count(), merged.avg(), merged.min(), merged.max()),
                (whole.count(), whole.avg(), whole.min(), whole.max())
            );
        }
    }
}
