//! Thresholds: `p(95)<200` and what it means for a sink.
//!
//! Grammar and texts follow the reference: an aggregation, a comparison, a number. Which metric a threshold
//! belongs to and when it is evaluated is the engine's business.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::metric::MetricType;
use crate::sink::Sink;
use crate::submetric::Selector;

/// A threshold as written in the options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdSpec {
    pub source: String,
    pub abort_on_fail: bool,
    /// `abortOnFail` is ignored until this much of the run has passed; nanoseconds.
    pub delay_abort_eval: i64,
}

/// What the options ask to watch: metric selectors and their thresholds, in the order given.
pub type ThresholdPlan = Vec<(String, Vec<ThresholdSpec>)>;

/// The same by metric, for outputs that describe metrics.
#[derive(Clone, Debug, Default)]
pub struct WatchList(Vec<(Selector, Vec<ThresholdSpec>)>);

impl WatchList {
    /// `evaluate` is false with `--no-thresholds`: then nothing is a threshold, but sub-metrics are what they are. Malformed
    /// selectors are left out; the engine has refused them if they matter.
    pub fn new(plan: &ThresholdPlan, evaluate: bool) -> Self {
        let watched = plan.iter().filter_map(|(text, specs)| {
            let specs = if evaluate { specs.clone() } else { Vec::new() };
            Some((Selector::parse(text).ok()?, specs))
        });
        Self(watched.collect())
    }

    /// The thresholds of a metric as a whole.
    pub fn thresholds_of(&self, metric: &str) -> impl Iterator<Item = &ThresholdSpec> {
        self.of(metric).filter(|(selector, _)| selector.suffix.is_none()).flat_map(|(_, specs)| specs)
    }

    pub fn submetrics_of(&self, metric: &str) -> impl Iterator<Item = &Selector> {
        self.of(metric).map(|(selector, _)| selector).filter(|selector| selector.suffix.is_some())
    }

    fn of(&self, metric: &str) -> impl Iterator<Item = &(Selector, Vec<ThresholdSpec>)> {
        self.0.iter().filter(move |(selector, _)| selector.metric == metric)
    }
}

/// Why an expression is not a threshold. The texts are the reference's, spelling included.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExpressionError {
    #[error("failed parsing threshold expression {0:?}; reason: malformed threshold expression")]
    Malformed(String),
    #[error(
        "failed parsing threshold expression's {0:?} left hand side; reason: failed parsing method from expression"
    )]
    UnknownMethod(String),
    #[error(
        "failed parsing threshold expression's {0:?} left hand side; reason: malformed percentile value, provide a number between 0 and 100"
    )]
    BadPercentile(String),
    #[error(
        "failed parsing threshold expresion's {text:?} right hand side; reason: {value:?} is not a number"
    )]
    BadNumber { text: String, value: String },
    #[error(
        "failed parsing threshold expresion's {text:?} right hand side; reason: {value:?} is beyond the range of numbers"
    )]
    OutOfRange { text: String, value: String },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    Count,
    Rate,
    Value,
    Avg,
    Min,
    Max,
    Med,
    Percentile(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

/// Longer operators come before those they begin with.
const COMPARISONS: [(&str, Comparison); 7] = [
    ("<=", Comparison::LessOrEqual),
    ("<", Comparison::Less),
    (">=", Comparison::GreaterOrEqual),
    (">", Comparison::Greater),
    ("===", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
];

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    pub aggregation: Aggregation,
    /// The aggregation as written, `p(95)`.
    pub method: String,
    comparison: Comparison,
    right: f64,
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::LessOrEqual => "<=",
            Self::Less => "<",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

impl Expression {
    /// The comparison as it is written, and what the value is compared with.
    pub fn limit(&self) -> (&'static str, f64) {
        (self.comparison.sign(), self.right)
    }

    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let found = COMPARISONS.iter().find_map(|(sign, comparison)| {
            let at = text.find(sign)?;
            Some((at, *sign, *comparison))
        });
        let Some((at, sign, comparison)) = found else {
            return Err(ExpressionError::Malformed(text.to_owned()));
        };
        let method = text[..at].trim();
        let value = text[at + sign.len()..].trim();
        let aggregation = Aggregation::parse(method).map_err(|bad_percentile| {
            if bad_percentile {
                ExpressionError::BadPercentile(text.to_owned())
            } else {
                ExpressionError::UnknownMethod(text.to_owned())
            }
        })?;
        let right = value.replace('_', "x").parse::<f64>().ok().filter(|_| !value.is_empty());
        let Some(right) = right else {
            return Err(ExpressionError::BadNumber { text: text.to_owned(), value: value.to_owned() });
        };
        if right.is_infinite() && value.contains(|c: char| c.is_ascii_digit()) {
            return Err(ExpressionError::OutOfRange { text: text.to_owned(), value: value.to_owned() });
        }
        Ok(Self { aggregation, method: method.to_owned(), comparison, right })
    }

    /// Whether the threshold holds, and the value it looked at. `elapsed` is the run's duration in seconds.
    pub fn evaluate(&self, sink: &mut Sink, elapsed: f64) -> (bool, f64) {
        let left = self.aggregation.of(sink, elapsed).unwrap_or(0.0);
        let holds = match self.comparison {
            Comparison::LessOrEqual => left <= self.right,
            Comparison::Less => left < self.right,
            Comparison::GreaterOrEqual => left >= self.right,
            Comparison::Greater => left > self.right,
            Comparison::Equal => left == self.right,
            Comparison::NotEqual => left != self.right,
        };
        (holds, left)
    }
}

impl Aggregation {
    /// `Err(true)`: it is a percentile out of range.
    fn parse(text: &str) -> Result<Self, bool> {
        Ok(match text {
            "count" => Self::Count,
            "rate" => Self::Rate,
            "value" => Self::Value,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "med" => Self::Med,
            _ => {
                let inner = text.strip_prefix("p(").and_then(|t| t.strip_suffix(')')).ok_or(false)?;
                let percentile: f64 = inner.parse().map_err(|_| true)?;
                if !(0.0..=100.0).contains(&percentile) {
                    return Err(true);
                }
                Self::Percentile(percentile)
            }
        })
    }

    /// The aggregation's value; `None` if a sink of this type has none.
    pub fn of(self, sink: &mut Sink, elapsed: f64) -> Option<f64> {
        Some(match (self, sink) {
            (Self::Count, Sink::Counter(s)) => s.value(),
            (Self::Rate, Sink::Counter(s)) => {
                if elapsed > 0.0 {
                    s.value() / elapsed
                } else {
                    0.0
                }
            }
            (Self::Value, Sink::Gauge(s)) => s.value,
            (Self::Rate, Sink::Rate(s)) => s.rate(),
            (Self::Count, Sink::Trend(s)) => s.count() as f64,
            (Self::Avg, Sink::Trend(s)) => s.avg(),
            (Self::Min, Sink::Trend(s)) => s.min(),
            (Self::Max, Sink::Trend(s)) => s.max(),
            (Self::Med, Sink::Trend(s)) => s.percentile(50.0),
            (Self::Percentile(p), Sink::Trend(s)) => s.percentile(p),
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Rate => "rate",
            Self::Value => "value",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Med => "med",
            Self::Percentile(_) => "p",
        }
    }

    pub fn is_supported_by(self, kind: MetricType) -> bool {
        supported_methods(kind).contains(&self.name())
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The aggregations thresholds may use on a metric of a type, as the reference lists them.
pub fn supported_methods(kind: MetricType) -> &'static [&'static str] {
    match kind {
        MetricType::Counter => &["count", "rate"],
        MetricType::Gauge => &["value"],
        MetricType::Rate => &["rate"],
        MetricType::Trend => &["avg", "min", "max", "med", "p"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        for text in [
            "avg<10.5",
            " avg < 10.5 ",
            "avg===10",
            "p(90)<1e2",
            "p(95.5)>0.5",
            "max<+11",
            "avg!=11",
            "min>-1",
        ] {
            assert!(Expression::parse(text).is_ok(), "{text}");
        }
        assert!(matches!(Expression::parse("count is big"), Err(ExpressionError::Malformed(_))));
        assert!(matches!(Expression::parse("p(101)<1"), Err(ExpressionError::BadPercentile(_))));
        assert!(matches!(Expression::parse("p( 95 )<1"), Err(ExpressionError::BadPercentile(_))));
        assert!(matches!(Expression::parse("count>1e400"), Err(ExpressionError::OutOfRange { .. })));
        assert!(Expression::parse("avg<Inf").is_ok());
        assert!(matches!(Expression::parse("mean<1"), Err(ExpressionError::UnknownMethod(_))));
        assert!(matches!(Expression::parse("avg<200 && max<300"), Err(ExpressionError::BadNumber { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[a-z()<>=!0-9. ]{0,20}") {
            let _ = Expression::parse(&text);
        }

        #[test]
        fn a_comparison_means_what_it_says(value in -1e6f64..1e6, right in -1e6f64..1e6) {
            let mut sink = Sink::new(MetricType::Gauge);
            sink.add(value, Timestamp(0));
            let holds = |sign: &str, sink: &mut Sink| {
                Expression::parse(&format!("value{sign}{right:?}")).unwrap().evaluate(sink, 1.0).0
            };
            prop_assert_eq!(holds("<", &mut sink), value < right);
            prop_assert_eq!(holds(">=", &mut sink), value >= right);
            prop_assert_eq!(holds("==", &mut sink), value == right);
        }
    }
}
