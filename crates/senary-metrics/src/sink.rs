//! Sinks: what the samples of one metric (or sub-metric) add up to.
//!
//! Counters, gauges and rates fold at once. A trend keeps every value up to [`EXACT_VALUES`], then goes on in a
//! histogram whose error is at most 0.1 %, so that memory stays constant however long a test runs.

use hdrhistogram::Histogram;

use crate::metric::MetricType;

/// Values a trend keeps exactly (8 MB); below this its percentiles are the reference's to the last digit.
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
    pub value: f64,
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
    sum: f64,
    min: f64,
    max: f64,
    values: Vec<f64>,
    sorted: bool,
    beyond: Option<Box<Histograms>>,
}

/// Positive and negative values apart: a histogram holds only magnitudes. Magnitudes are kept as multiples
/// of 10⁻⁶ (a nanosecond, where the value is milliseconds).
#[derive(Clone, Debug)]
struct Histograms {
    positive: Histogram<u64>,
    negative: Histogram<u64>,
}

const UNITS_PER_VALUE: f64 = 1e6;

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
                s.value += value;
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

impl RateSink {
    /// The share of samples that were not zero; 0 without samples.
    pub fn rate(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.trues as f64 / self.total as f64 }
    }
}

impl Default for TrendSink {
    fn default() -> Self {
        Self { count: 0, sum: 0.0, min: 0.0, max: 0.0, values: Vec::new(), sorted: true, beyond: None }
    }
}

impl TrendSink {
    pub fn add(&mut self, value: f64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.count += 1;
        self.sum += value;
        match &mut self.beyond {
            Some(histograms) => histograms.add(value),
            None => {
                self.values.push(value);
                self.sorted = false;
                if self.values.len() >= EXACT_VALUES {
                    self.beyond = Histograms::of(&self.values);
                    if self.beyond.is_some() {
                        self.values = Vec::new();
                    }
                }
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn avg(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
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
        if let Some(histograms) = &self.beyond {
            return histograms.at(rank.round() as u64).max(self.min).min(self.max);
        }
        if !self.sorted {
            self.values.sort_unstable_by(f64::total_cmp);
            self.sorted = true;
        }
        let below = self.values[rank.floor() as usize];
        let above = self.values[rank.ceil() as usize];
        if below == above { below } else { below + (above - below) * rank.fract() }
    }
}

impl Histograms {
    fn of(values: &[f64]) -> Option<Box<Self>> {
        // Three significant digits: an error of at most 0.1 %. The range grows with the values.
        let new = || Histogram::<u64>::new(3).ok();
        let mut histograms = Box::new(Self { positive: new()?, negative: new()? });
        histograms.positive.auto(true);
        histograms.negative.auto(true);
        for &value in values {
            histograms.add(value);
        }
        Some(histograms)
    }

    fn add(&mut self, value: f64) {
        // Saturates at 2⁶² units: values beyond are told apart only by the trend's own minimum and maximum.
        let units = (value.abs() * UNITS_PER_VALUE).round().min((1u64 << 62) as f64) as u64;
        let side = if value < 0.0 { &mut self.negative } else { &mut self.positive };
        // Cannot fail: the histogram resizes itself and the value is below its limit.
        let _ = side.record(units);
    }

    fn at(&self, rank: u64) -> f64 {
        let negatives = self.negative.len();
        let units = if rank < negatives {
            -(value_at(&self.negative, negatives - 1 - rank) as f64)
        } else {
            value_at(&self.positive, rank - negatives) as f64
        };
        units / UNITS_PER_VALUE
    }
}

fn value_at(histogram: &Histogram<u64>, rank: u64) -> u64 {
    let share = (rank + 1) as f64 / histogram.len().max(1) as f64;
    histogram.value_at_quantile(share.min(1.0))
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
    fn beyond_the_bound_the_error_stays_small() {
        let mut trend = TrendSink::default();
        let n = EXACT_VALUES * 2;
        for i in 0..n {
            trend.add(i as f64 / 1000.0 - 100.0);
        }
        assert!(trend.values.is_empty());
        for p in [1.0, 25.0, 50.0, 99.9] {
            let exact = (n - 1) as f64 * p / 100.0 / 1000.0 - 100.0;
            let got = trend.percentile(p);
            assert!((got - exact).abs() <= exact.abs() * 0.001 + 0.002, "p({p}) {got} instead of {exact}");
        }
        assert_eq!(trend.min(), -100.0);
    }

    proptest! {
        #[test]
        fn any_values_are_survived(values in prop::collection::vec(prop::num::f64::ANY, 0..50), p in 0.0f64..100.0) {
            let mut trend = TrendSink::default();
            for value in values {
                trend.add(value);
            }
            let _ = (trend.percentile(p), trend.avg());
        }
    }
}
