//! The sum of the samples of one series within one interval.

use senary_metrics::{MetricType, Timestamp};
use serde::{Deserialize, Serialize};

use super::buckets::{BUCKETS, Packed, bucket_of};

/// The sum of an interval, by the type of the metric. Cells add up to the cell of a longer interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    Counter { sum: f64 },
    Gauge { last: f64, at: Timestamp, min: f64, max: f64 },
    Rate { passes: u64, total: u64 },
    Trend(Box<Spread>),
}

/// The values of a trend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub buckets: Packed,
}

impl Cell {
    fn of(kind: MetricType, value: f64, at: Timestamp) -> Self {
        match kind {
            MetricType::Counter => Self::Counter { sum: value },
            MetricType::Gauge => Self::Gauge { last: value, at, min: value, max: value },
            MetricType::Rate => Self::Rate { passes: u64::from(value != 0.0), total: 1 },
            MetricType::Trend => Self::Trend(Box::new(Spread {
                count: 1,
                sum: value,
                min: value,
                max: value,
                buckets: Packed::default(),
            })),
        }
    }

    /// Adds another cell of the same series; the later gauge counts. Cells of different types are never of one series.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter { sum }, Self::Counter { sum: more }) => *sum = finite(*sum + more),
            (Self::Gauge { last, at, min, max }, Self::Gauge { last: l, at: a, min: n, max: x }) => {
                if a >= at {
                    (*last, *at) = (*l, *a);
                }
                (*min, *max) = (min.min(*n), max.max(*x));
            }
            (Self::Rate { passes, total }, Self::Rate { passes: p, total: t }) => {
                (*passes, *total) = (passes.saturating_add(*p), total.saturating_add(*t));
            }
            (Self::Trend(own), Self::Trend(other)) => {
                own.count = own.count.saturating_add(other.count);
                own.sum = finite(own.sum + other.sum);
                (own.min, own.max) = (own.min.min(other.min), own.max.max(other.max));
                own.buckets.merge(&other.buckets);
            }
            (Self::Counter { .. } | Self::Gauge { .. } | Self::Rate { .. } | Self::Trend(_), _) => {}
        }
    }

    pub(super) fn is_of(&self, kind: MetricType) -> bool {
        matches!(
            (self, kind),
            (Self::Counter { .. }, MetricType::Counter)
                | (Self::Gauge { .. }, MetricType::Gauge)
                | (Self::Rate { .. }, MetricType::Rate)
                | (Self::Trend(_), MetricType::Trend)
        )
    }

    /// Whether a cell that was read can be the sum of samples.
    pub(super) fn is_sound(&self) -> bool {
        let are_bounds = |min: f64, max: f64| min.is_finite() && max.is_finite() && min <= max;
        match self {
            Self::Counter { sum } => sum.is_finite(),
            Self::Gauge { last, min, max, .. } => last.is_finite() && are_bounds(*min, *max),
            Self::Rate { passes, total } => passes <= total,
            Self::Trend(spread) => spread.sum.is_finite() && are_bounds(spread.min, spread.max),
        }
    }

    /// Adds the cell of another process that has its own of what is measured: their present values add up.
    pub(super) fn add_beside(&mut self, other: &Self) {
        match (self, other) {
            (Self::Gauge { last, at, min, max }, Self::Gauge { last: l, at: a, min: n, max: x }) => {
                (*last, *at) = (finite(*last + l), (*at).max(*a));
                (*min, *max) = (finite(*min + n), finite(*max + x));
            }
            (own, other) => own.merge(other),
        }
    }

    /// Bytes it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let beyond = match self {
            Self::Trend(spread) => size_of::<Spread>() + spread.buckets.bytes(),
            Self::Counter { .. } | Self::Gauge { .. } | Self::Rate { .. } => 0,
        };
        size_of::<(u32, Self)>() + beyond
    }
}

/// JSON has no infinity.
fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

/// A cell that samples are being added to.
#[derive(Clone, Debug)]
pub(super) struct OpenCell {
    cell: Cell,
    /// By bucket; empty unless it is a trend's.
    counts: Vec<u32>,
}

impl OpenCell {
    pub(super) fn of(kind: MetricType, value: f64, at: Timestamp) -> Self {
        let buckets = if kind == MetricType::Trend { BUCKETS } else { 0 };
        let mut open = Self { cell: Cell::of(kind, value, at), counts: vec![0; buckets] };
        open.count(value);
        open
    }

    pub(super) fn add(&mut self, value: f64, time: Timestamp) {
        match &mut self.cell {
            Cell::Counter { sum } => *sum = finite(*sum + value),
            Cell::Gauge { last, at, min, max } => {
                if time >= *at {
                    (*last, *at) = (value, time);
                }
                (*min, *max) = (min.min(value), max.max(value));
            }
            Cell::Rate { passes, total } => {
                *passes += u64::from(value != 0.0);
                *total += 1;
            }
            Cell::Trend(spread) => {
                spread.count += 1;
                spread.sum = finite(spread.sum + value);
                (spread.min, spread.max) = (spread.min.min(value), spread.max.max(value));
            }
        }
        self.count(value);
    }

    fn count(&mut self, value: f64) {
        if let Some(count) = self.counts.get_mut(usize::from(bucket_of(value))) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn close(self) -> Cell {
        let Self { mut cell, counts } = self;
        if let Cell::Trend(spread) = &mut cell {
            spread.buckets = Packed::of(&counts);
        }
        cell
    }
}
