//! Consumers of samples and of results: the pipeline that collects samples, `json` and `csv` outputs, and the
//! end-of-test summary.
//!
//! Nothing here knows VUs or scripts: samples come in as batches, results go out as values and text.

mod catalog;
pub mod delivery;
pub mod endpoint;
mod ledger;
mod monitor;
mod number;
mod output;
mod outputs;
pub mod period;
mod pipeline;
pub mod settings;
mod slot;
pub mod state;
pub mod summary;
mod time;
pub mod timeline;
mod writable;

pub use catalog::{OutputError, OutputSpec, STATE, output_variables, outputs_help};
pub use ledger::Ledger;
pub use number::{TimeUnit, TimeUnitError};
pub use output::{Backlog, CreateError, Output, OutputContext, Urgency};
pub use outputs::push;
pub use outputs::state::StateTarget;
pub use pipeline::{Finished, OnJudged, Pipeline, PipelineConfig, PipelineHandle};
pub use summary::{
    InstanceRow, Instances, Remark, SaveError, Summary, SummaryOptions, TrendStat, TrendStatError,
    WhatWentWrong, save,
};
pub use writable::Writable;
