//! Options of the summary that can be wrong.

/// What a summary may say of a trend, `p(N)` aside.
const TREND_STATS: [&str; 6] = ["avg", "min", "med", "max", "count", "p(N)"];

/// Whether this is something a summary can say of a trend. The texts are the reference's.
pub fn check_trend_stat(stat: &str) -> Result<(), String> {
    if TREND_STATS[..5].contains(&stat) {
        return Ok(());
    }
    let Some(percentile) = stat.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')')) else {
        let known = TREND_STATS.join(", ");
        return Err(format!("invalid trend stat '{stat}', unknown format; the known ones are: {known}"));
    };
    match percentile.parse::<f64>() {
        Ok(p) if (0.0..=100.0).contains(&p) => Ok(()),
        _ => Err(format!("invalid percentile trend stat value '{stat}', provide a number between 0 and 100")),
    }
}

/// Whether this is a unit for the durations of a summary.
pub fn check_time_unit(unit: &str) -> Result<(), String> {
    match unit {
        "" | "s" | "ms" | "us" => Ok(()),
        _ => Err(format!("invalid summary time unit '{unit}', use 's', 'ms' or 'us'")),
    }
}
