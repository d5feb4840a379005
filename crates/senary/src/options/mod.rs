//! The options of a test: what they are called, how they are read, and which of several layers wins.
//!
//! Lowest to highest: the config file, the script's `options`, `K6_*` variables, flags
//! (<https://grafana.com/docs/k6/latest/using-k6/k6-options/how-to/>). Nothing here is judged: whether options
//! make a test is [`TestPlan`](crate::plan::TestPlan)'s to say.

#[macro_use]
mod table;

mod config_file;
mod instance;
mod layers;
mod place;
mod remarks;
mod run_options;
mod scenarios;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use config_file::{ConfigFile, ConfigFileError, ConfigPath};
pub use instance::{Instance, InstanceError};
pub use layers::{CommandLine, Consolidated, Note, OptionLayers, OptionsError, ScriptOptions};
pub use place::{line_of, line_of_value};
pub use remarks::{Null, Remarks, UnknownField};
pub use run_options::{Features, Outputs, RunOptions};
pub use scenarios::{ExecutorOption, ScenarioOption, Scenarios};
pub use types::{
    DnsOption, Hosts, StageOption, SystemTagSet, Thresholds, TlsAuth, TlsVersions, parse_stages,
};
pub use value::{
    ByteSize, Fields, Invalid, Nanos, OptionValue, Raw, parse_bool, parse_go_duration, parse_int,
    parse_int_literal, parse_size, split_csv, split_list,
};

use std::collections::BTreeMap;

use self::value::parse_variable;
use senary_execution::{Segment, SegmentSequence};
use serde_json::{Map, Value};

use crate::environment::Environment;

// In the order in which `inspect` prints them.
options! {
    /// One layer of options, or all of them consolidated. `None` is "not set".
    Options:
    paused: bool = "paused", "K6_PAUSED";
    vus: i64 = "vus", "K6_VUS";
    duration: Nanos = "duration", "K6_DURATION";
    iterations: i64 = "iterations", "K6_ITERATIONS";
    stages: Vec<StageOption> = "stages", "K6_STAGES";
    scenarios: Scenarios = "scenarios";
    execution_segment: Segment = "executionSegment";
    execution_segment_sequence: SegmentSequence = "executionSegmentSequence";
    no_setup: bool = "noSetup", "K6_NO_SETUP";
    setup_timeout: Nanos = "setupTimeout", "K6_SETUP_TIMEOUT";
    no_teardown: bool = "noTeardown", "K6_NO_TEARDOWN";
    teardown_timeout: Nanos = "teardownTimeout", "K6_TEARDOWN_TIMEOUT";
    handle_summary_timeout: Nanos = "handleSummaryTimeout", "K6_HANDLE_SUMMARY_TIMEOUT";
    rps: i64 = "rps", "K6_RPS";
    dns: DnsOption = "dns", "K6_DNS";
    max_redirects: i64 = "maxRedirects", "K6_MAX_REDIRECTS";
    user_agent: String = "userAgent", "K6_USER_AGENT";
    batch: i64 = "batch", "K6_BATCH";
    batch_per_host: i64 = "batchPerHost", "K6_BATCH_PER_HOST";
    http_debug: String = "httpDebug", "K6_HTTP_DEBUG";
    insecure_skip_tls_verify: bool = "insecureSkipTLSVerify", "K6_INSECURE_SKIP_TLS_VERIFY";
    tls_cipher_suites: Vec<String> = "tlsCipherSuites", "K6_TLS_CIPHER_SUITES";
    tls_version: TlsVersions = "tlsVersion", "K6_TLS_VERSION";
    tls_auth: Vec<TlsAuth> = "tlsAuth", "K6_TLS_AUTH", "K6_TLSAUTH";
    throw: bool = "throw", "K6_THROW";
    thresholds: Thresholds = "thresholds", "K6_THRESHOLDS";
    blacklist_ips: Vec<String> = "blacklistIPs", "K6_BLACKLIST_IPS";
    block_hostnames: Vec<String> = "blockHostnames", "K6_BLOCK_HOSTNAMES";
    hosts: Hosts = "hosts", "K6_HOSTS";
    no_connection_reuse: bool = "noConnectionReuse", "K6_NO_CONNECTION_REUSE";
    no_vu_connection_reuse: bool = "noVUConnectionReuse", "K6_NO_VU_CONNECTION_REUSE";
    min_iteration_duration: Nanos = "minIterationDuration", "K6_MIN_ITERATION_DURATION";
    cloud: Raw = "cloud";
    ext: Raw = "ext";
    summary_trend_stats: Vec<String> = "summaryTrendStats", "K6_SUMMARY_TREND_STATS";
    summary_time_unit: String = "summaryTimeUnit", "K6_SUMMARY_TIME_UNIT";
    system_tags: SystemTagSet = "systemTags", "K6_SYSTEM_TAGS";
    tags: BTreeMap<String, String> = "tags", "K6_TAGS";
    metric_samples_buffer_size: i64 = "metricSamplesBufferSize", "K6_METRIC_SAMPLES_BUFFER_SIZE";
    no_cookies_reset: bool = "noCookiesReset", "K6_NO_COOKIES_RESET";
    discard_response_bodies: bool = "discardResponseBodies", "K6_DISCARD_RESPONSE_BODIES";
    features: Raw = "features";
    /// Senary's own: a run that proves nothing is a failure.
    strict: bool = "strict", "SENARY_STRICT";
    /// Not for scripts to set.
    console_output: String = "consoleOutput", "K6_CONSOLE_OUTPUT";
    /// Not for scripts to set.
    local_ips: String = "localIPs", "K6_LOCAL_IPS";
}

/// Keys that are options, but not in JSON.
const NOT_IN_JSON: [&str; 2] = ["consoleOutput", "localIPs"];

impl Options {
    /// Reads what a script exports, or what an archive holds.
    pub fn decode(value: &Value, remarks: &mut Remarks) -> Result<Self, Invalid> {
        if value.is_null() {
            return Ok(Self::default());
        }
        Self::take_all(&mut Fields::of(value, "an object of options")?, remarks)
    }

    /// The options among the fields of an object; whatever was not taken from it before and is no option is unknown.
    pub fn take_all(fields: &mut Fields<'_>, remarks: &mut Remarks) -> Result<Self, Invalid> {
        let mut options = Self::take_fields(fields, remarks)?;
        for (key, is_set) in NOT_IN_JSON
            .iter()
            .zip([options.console_output.take().is_some(), options.local_ips.take().is_some()])
        {
            if is_set {
                remarks.unknown(key, fields.known());
            }
        }
        fields.leave_rest(remarks);
        Ok(options)
    }

    /// All options as JSON, in the reference's order: as `inspect` prints and archives keep them.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = self.encode_fields();
        for key in NOT_IN_JSON {
            object.shift_remove(key);
        }
        if self.dns.is_none() {
            object.insert("dns".to_owned(), DnsOption::default().encode());
        }
        if self.cloud.is_none() {
            object.shift_remove("cloud");
        }
        if self.strict.is_none() {
            object.shift_remove("strict");
        }
        object
    }

    /// What was given of the options that a script can have, and nothing else.
    pub fn to_given_json(&self) -> Map<String, Value> {
        let mut object = self.to_json();
        if self.dns.is_none() {
            object.shift_remove("dns");
        }
        object.retain(|_, value| !value.is_null());
        object
    }

    /// The options as scripts see them in `exec.test.options`: scenarios instead of the shortcuts for them.
    pub fn to_script_json(&self) -> Map<String, Value> {
        let mut object = self.to_json();
        for key in ["vus", "duration", "iterations", "stages"] {
            object.shift_remove(key);
        }
        let mut all = self.encode_fields();
        for key in NOT_IN_JSON {
            object.insert(key.to_owned(), all.remove(key).unwrap_or_default());
        }
        if self.system_tags.as_ref().is_some_and(|tags| tags.iter().next().is_none()) {
            object.insert("systemTags".to_owned(), Value::Array(Vec::new()));
        }
        object
    }
}
