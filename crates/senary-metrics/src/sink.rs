//! Sinks: what the samples of one metric (or sub-metric) add up to.
//!
//! Counters, gauges and rates fold at once. A trend keeps every value up to [`EXACT_VALUES`], then goes on in a
//! histogram whose error is at most 0.1 %, so that memory stays bounded however long a test runs. Sums are exact.

use crate::histogram::Histogram;
use crate::metric::MetricType;
use crate::sum::Sum;

/// Values a trend keeps exactly (8 MB); up to these its percentiles are the reference's to the last digit.
pub const EXACT_VALUES: usize = 1 << 20;

#[derive(Clone, Debug)]
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

#[derive(Clone, Debug, Default)]
pub struct GaugeSink {
    pub value: f64,
    pub min: f64,
    pub max: f64,
    pub samples: u64,
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
    values: Values,
}

/// The distribution of a trend.
#[derive(Clone, Debug)]
enum Values {
    Exact { values: Vec<f64>, sorted: bool, most: usize },
    Beyond(Box<Histogram>),
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

    pub fn add(&mut self, value: f64) {
        match self {
            Self::Counter(s) => {
                s.sum.add(value);
                s.samples += 1;
            }
            Self::Gauge(s) => {
                s.min = if s.samples == 0 { value } else { s.min.min(value) };
                s.max = if s.samples == 0 { value } else { s.max.max(value) };
                s.value = value;
                s.samples += 1;
            }
            Self::Rate(s) => {
                s.total += 1;
                s.trues += u64::from(value != 0.0);
            }
            Self::Trend(s) => s.add(value),
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
        let values = Values::Exact { values: Vec::new(), sorted: true, most };
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
        self.count += other.count;
        self.sum.merge(&other.sum);
        self.values.merge(&other.values);
    }

    pub fn count(&self) -> u64 {
        self.count
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
        self.values.sort();
        let (min, max, last) = (self.min, self.max, self.count - 1);
        let at = |rank: f64| match &self.values {
            Values::Exact { values, .. } => values[rank as usize],
            // The smallest and the largest value are known exactly.
            Values::Beyond(_) if rank <= 0.0 => min,
            Values::Beyond(_) if rank as u64 >= last => max,
            Values::Beyond(histogram) => histogram.at(rank as u64),
        };
        let (below, above) = (at(rank.floor()), at(rank.ceil()));
        between(below, above, rank.fract())
    }

    fn take_bounds(&mut self, min: f64, max: f64) {
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = if self.count == 0 { max } else { self.max.max(max) };
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

impl Values {
    fn add(&mut self, value: f64) {
        match self {
            Self::Beyond(histogram) => histogram.add(value),
            Self::Exact { values, sorted, most } if values.len() < *most => {
                values.push(value);
                *sorted = false;
            }
            Self::Exact { .. } => self.go_beyond().add(value),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Exact { values, sorted, most }, Self::Exact { values: more, .. })
                if values.len() + more.len() <= *most =>
            {
                values.extend(more);
                *sorted = false;
            }
            (this, Self::Exact { values: more, .. }) => {
                let histogram = this.go_beyond();
                more.iter().for_each(|value| histogram.add(*value));
            }
            (this, Self::Beyond(more)) => this.go_beyond().merge(more),
        }
    }

    /// Moves exact values into a histogram.
    fn go_beyond(&mut self) -> &mut Histogram {
        if let Self::Exact { values, .. } = self {
            let mut histogram = Box::<Histogram>::default();
            values.iter().for_each(|value| histogram.add(*value));
            *self = Self::Beyond(histogram);
        }
        match self {
            Self::Beyond(histogram) => histogram,
            Self::Exact { .. } => unreachable!("they were just moved"),
        }
    }

    fn sort(&mut self) {
        if let Self::Exact { values, sorted: sorted @ false, .. } = self {
            values.sort_unstable_by(f64::total_cmp);
            *sorted = true;
        }
    }
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
        assert!(matches!(trend.values, Values::Exact { .. }));
        assert_eq!(trend.percentile(50.0), (EXACT_VALUES - 1) as f64 / 2.0);
        trend.add(0.0);
        assert!(matches!(trend.values, Values::Beyond(_)));
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
            sink.add(value);
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
