//! Why a script cannot be loaded, or a function of its life (`setup`, `teardown`, `handleSummary`) cannot do its work.
//!
//! The texts are the reference's if it has such an error.

use senary_words::remedy::explained;

use crate::failure::ScriptFailure;
use crate::source::SourceError;

/// Why init code, or a function that runs once per test, did not do its work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LifecycleError {
    #[error("{0}")]
    Script(ScriptFailure),
    /// The same, in the init code of a VU.
    #[error("error while initializing VU #{vu}: {failure}")]
    VuInit { vu: u64, failure: ScriptFailure },
    /// The script, or something it imports, could not be read; none of its code ran.
    #[error("could not load JS test '{url}': {error}")]
    Source { url: String, error: SourceError },
    #[error("exported '{0}' must be a function")]
    NotAFunction(String),
    #[error("exported identifier handleSummary must be a function")]
    SummaryNotAFunction,
    /// The script's options have something that no option can be.
    #[error("error parsing script options: {0}")]
    Options(String),
    #[error("error marshaling setup() data to JSON: {0}")]
    SetupData(String),
    #[error("handleSummary() returned a promise that nothing is left to settle")]
    SummaryNeverSettled,
    #[error("handleSummary() should return a map with string keys")]
    SummaryNoMap,
    #[error(
        "error handling summary object {key}: invalid type {kind}, it needs to be a string or ArrayBuffer"
    )]
    SummaryValue { key: String, kind: &'static str },
    #[error("cannot start the JavaScript engine: {0}")]
    Engine(String),
}

impl LifecycleError {
    /// The system refused something that the engine needs.
    pub(crate) fn system(error: &std::io::Error) -> Self {
        Self::Engine(explained(error))
    }
}
