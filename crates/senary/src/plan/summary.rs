//! What the summary of a test shows, and where it goes.

use senary_output::{TimeUnit, TrendStat};

use crate::options::Consolidated;
use crate::settings::{RuntimeSettings, SummaryMode};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummarySettings {
    pub mode: SummaryMode,
    pub trend_stats: Vec<TrendStat>,
    /// `None` for whatever fits.
    pub time_unit: Option<TimeUnit>,
    pub export: Option<String>,
    pub new_machine_readable: bool,
}

impl SummarySettings {
    pub(super) fn new(consolidated: &Consolidated, runtime: &RuntimeSettings) -> Self {
        let unit = consolidated.options.summary_time_unit.as_deref().unwrap_or_default();
        let time_unit = TimeUnit::parse(unit).unwrap_or_else(|problem| {
            // Scripts that say something else have always been run.
            log::warn!("{problem}");
            None
        });
        Self {
            mode: runtime.summary_mode,
            trend_stats: consolidated.trend_stats.clone(),
            time_unit,
            export: runtime.summary_export.clone(),
            new_machine_readable: runtime.new_machine_readable_summary,
        }
    }
}
