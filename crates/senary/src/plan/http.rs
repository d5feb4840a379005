//! What the options say about HTTP requests.

use senary_js::settings::{HttpDebug, HttpSettings};
use senary_metrics::builtin;
use senary_metrics::engine::ThresholdPlan;
use senary_net::http::Proxies;

use crate::environment::Environment;
use crate::options::Options;

pub fn settings(options: &Options) -> HttpSettings {
    let environment = Environment::current();
    let default = HttpSettings::default();
    let count = |option: Option<i64>, default: usize| {
        option.map_or(default, |count| usize::try_from(count).unwrap_or_default())
    };
    HttpSettings {
        max_redirects: options.max_redirects.map(|limit| limit.clamp(0, i64::from(u32::MAX)) as u32),
        batch: count(options.batch, default.batch),
        batch_per_host: count(options.batch_per_host, default.batch_per_host),
        rps: options.rps.map_or(0, |rps| rps.clamp(0, i64::from(u32::MAX)) as u32),
        debug: match options.http_debug.as_deref() {
            None | Some("") => HttpDebug::Off,
            Some("full") => HttpDebug::Full,
            Some(_) => HttpDebug::Heads,
        },
        no_connection_reuse: options.no_connection_reuse.unwrap_or_default(),
        no_vu_connection_reuse: options.no_vu_connection_reuse.unwrap_or_default(),
        no_cookies_reset: options.no_cookies_reset.unwrap_or_default(),
        discard_response_bodies: options.discard_response_bodies.unwrap_or_default(),
        proxies: Proxies::new(|name| environment.get(name)),
    }
}

/// The thresholds of a test, and the sub-metric that every test has unless its tag is off.
pub fn thresholds(options: &Options) -> ThresholdPlan {
    let mut thresholds = options.thresholds.clone().unwrap_or_default();
    if options.system_tags.clone().unwrap_or_default().has("expected_response") {
        thresholds.entry(builtin::EXPECTED_DURATIONS.to_owned()).or_default();
    }
    thresholds.into_iter().collect()
}
