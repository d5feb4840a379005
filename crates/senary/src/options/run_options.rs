//! Options of the run rather than of the test: scripts have no say in them.

use serde_json::{Map, Value};

use super::remarks::Remarks;
use super::value::{ByteSize, Fields, Invalid, OptionValue, parse_variable, split_list};
use crate::environment::Environment;

options! {
    /// One layer of what the config file, the environment and flags say of a run, or all of them consolidated.
    RunOptions:
    web_dashboard: bool = "webDashboard", "K6_WEB_DASHBOARD";
    /// No usage is ever reported, but an invalid value is an error.
    no_usage_report: bool = "noUsageReport", "K6_NO_USAGE_REPORT";
    out: Outputs = "out", "K6_OUT";
    linger: bool = "linger", "K6_LINGER";
    features: Features = "features", "K6_FEATURES";
    /// A generator that was the bottleneck is a failure.
    fail_on_saturation: bool = "failOnSaturation", "K6_FAIL_ON_SATURATION";
    /// How much memory the script of one VU may take.
    vu_memory_limit: ByteSize = "vuMemoryLimit", "K6_VU_MEMORY_LIMIT";
    /// Which of several instances of the test this one is, and how many there are: see [`Instance`](super::Instance).
    instance_index: i64 = "instanceIndex", "SENARY_INSTANCE_INDEX";
    instance_count: i64 = "instanceCount", "SENARY_INSTANCE_COUNT";
}

/// Outputs, `type[=argument]` each, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs(pub Vec<String>);

impl OptionValue for Outputs {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Vec::decode(value, remarks)?.map(Self))
    }

    /// Between two commas there is an output, even one without a name: that is an error of its own.
    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Some(Self(text.split(',').map(|out| out.trim().to_owned()).collect())))
    }

    fn encode(&self) -> Value {
        self.0.encode()
    }
}

/// Names of experimental features, known or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(pub Vec<String>);

impl OptionValue for Features {
    /// A list of names, or one text with commas between them.
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        match value {
            Value::String(list) => Self::parse(list, remarks),
            _ => Ok(Vec::decode(value, remarks)?.map(Self)),
        }
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Some(Self(split_list(text))))
    }

    fn encode(&self) -> Value {
        self.0.encode()
    }
}
