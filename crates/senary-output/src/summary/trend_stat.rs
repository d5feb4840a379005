//! The columns of trends, `summaryTrendStats`: `avg`, `p(99.9)`, `count`.

use std::fmt;

use senary_metrics::sink::TrendSink;

/// One statistic of a trend.
#[derive(Clone, Debug, PartialEq)]
pub enum TrendStat {
    Avg,
    Min,
    Med,
    Max,
    Count,
    /// The number is kept as written: `p(99.90)` stays that.
    Percentile {
        written: String,
        value: f64,
    },
}

/// Why a text names no statistic. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrendStatError {
    #[error("invalid trend stat '{0}', unknown format; the known ones are: avg, min, med, max, count, p(N)")]
    Unknown(String),
    #[error("invalid percentile trend stat value '{0}', provide a number between 0 and 100")]
    Percentile(String),
}

impl TrendStat {
    pub fn parse(text: &str) -> Result<Self, TrendStatError> {
        Ok(match text {
            "avg" => Self::Avg,
            "min" => Self::Min,
            "med" => Self::Med,
            "max" => Self::Max,
            "count" => Self::Count,
            _ => {
                let number = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
                let number = number.ok_or_else(|| TrendStatError::Unknown(text.to_owned()))?;
                match number.parse() {
                    Ok(value) if (0.0..=100.0).contains(&value) => {
                        Self::Percentile { written: number.to_owned(), value }
                    }
                    _ => return Err(TrendStatError::Percentile(text.to_owned())),
                }
            }
        })
    }

    /// The reference's default statistics.
    pub fn defaults() -> Vec<Self> {
        let percentile = |value: u8| Self::Percentile { written: value.to_string(), value: value.into() };
        vec![Self::Avg, Self::Min, Self::Med, Self::Max, percentile(90), percentile(95)]
    }

    /// The key of the machine-readable summary, `p99.9` for `p(99.9)`.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Percentile { written, .. } => format!("p{written}"),
            other => other.to_string(),
        }
    }

    pub(crate) fn of(&self, sink: &mut TrendSink) -> f64 {
        match self {
            Self::Avg => sink.avg(),
            Self::Min => sink.min(),
            Self::Med => sink.percentile(50.0),
            Self::Max => sink.max(),
            Self::Count => sink.count() as f64,
            Self::Percentile { value, .. } => sink.percentile(*value),
        }
    }
}

impl fmt::Display for TrendStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Med => "med",
            Self::Max => "max",
            Self::Count => "count",
            Self::Percentile { written, .. } => return write!(f, "p({written})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for text in ["avg", "min", "med", "max", "count", "p(90)", "p(99.90)", "p(0)", "p(100)"] {
            assert_eq!(TrendStat::parse(text).unwrap().to_string(), text);
        }
        let refusal = |text| TrendStat::parse(text).unwrap_err().to_string();
        let known = "avg, min, med, max, count, p(N)";
        assert_eq!(
            refusal("mode"),
            format!("invalid trend stat 'mode', unknown format; the known ones are: {known}")
        );
        for text in ["p(101)", "p(-1)", "p(x)", "p(NaN)"] {
            assert_eq!(
                refusal(text),
                format!("invalid percentile trend stat value '{text}', provide a number between 0 and 100")
            );
        }
        let defaults: Vec<_> = TrendStat::defaults().iter().map(TrendStat::to_string).collect();
        assert_eq!(defaults, ["avg", "min", "med", "max", "p(90)", "p(95)"]);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,20}") {
            let _ = TrendStat::parse(&text);
        }
    }
}
