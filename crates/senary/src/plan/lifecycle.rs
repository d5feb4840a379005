//! The functions around the iterations of a test: which of them are called, and how long each may take.

use std::time::Duration;

use crate::options::{Nanos, Options};

#[derive(Clone, Copy, Debug)]
pub struct LifecyclePlan {
    pub setup_timeout: Duration,
    pub teardown_timeout: Duration,
    pub handle_summary_timeout: Duration,
    pub no_setup: bool,
    pub no_teardown: bool,
}

impl LifecyclePlan {
    pub(super) fn new(options: &Options, problems: &mut Vec<String>) -> Self {
        let mut timeout = |option, name, default| timeout(option, name, default, problems);
        Self {
            setup_timeout: timeout(options.setup_timeout, "setupTimeout", 60),
            teardown_timeout: timeout(options.teardown_timeout, "teardownTimeout", 60),
            handle_summary_timeout: timeout(options.handle_summary_timeout, "handleSummaryTimeout", 120),
            no_setup: options.no_setup.unwrap_or_default(),
            no_teardown: options.no_teardown.unwrap_or_default(),
        }
    }
}

fn timeout(option: Option<Nanos>, name: &str, default: i64, problems: &mut Vec<String>) -> Duration {
    let timeout = option.unwrap_or(Nanos::from_secs(default));
    if timeout.0 <= 0 {
        problems.push(format!("{name} must be positive"));
    }
    timeout.duration()
}
