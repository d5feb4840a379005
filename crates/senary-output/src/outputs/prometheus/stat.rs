//! The statistics of trends, `trendStats`: each is a series of its own.

use senary_metrics::sink::TrendSink;

use crate::summary::TrendStat;

/// One statistic: those of the summary, and the sum.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stat {
    Sum,
    Other(TrendStat),
}

impl Stat {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "sum" => Ok(Self::Sum),
            _ => TrendStat::parse(text).map(Self::Other).map_err(|error| {
                error.to_string().replace("the known ones are: avg,", "the known ones are: sum, avg,")
            }),
        }
    }

    /// What the series' name ends in: `max`, `p99`, `p999` for `p(99.9)`.
    pub(super) fn suffix(&self) -> String {
        match self {
            Self::Sum => "sum".to_owned(),
            Self::Other(stat) => stat.key().replace('.', ""),
        }
    }

    pub(super) fn of(&self, trend: &mut TrendSink) -> f64 {
        match self {
            Self::Sum => trend.sum(),
            Self::Other(stat) => stat.of(trend),
        }
    }

    /// A number of samples has no unit, whatever the samples are.
    pub(super) fn has_unit(&self) -> bool {
        !matches!(self, Self::Other(TrendStat::Count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, suffix) in [("sum", "sum"), ("count", "count"), ("p(99)", "p99"), ("p(99.9)", "p999")] {
            assert_eq!(Stat::parse(text).unwrap().suffix(), suffix);
        }
        assert_eq!(
            Stat::parse("mean").unwrap_err(),
            "invalid trend stat 'mean', unknown format; the known ones are: sum, avg, min, med, max, count, p(N)"
        );
    }
}
