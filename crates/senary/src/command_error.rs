//! How a command ends: what went wrong, what users read about it, and the exit code.
//! (<https://grafana.com/docs/k6/latest/reference/> and the reference's own behaviour.)

use std::io;
use std::time::Duration;

use senary_execution::StopReason;
use senary_js::source::SourceError;
use senary_js::{LifecycleError, ScriptFailure};
use senary_output::OutputError;
use senary_output::state::{Objection, StateError, WholeError};
use senary_words::remedy::explained;

use crate::archive::ArchiveError;
use crate::ask_error::AskError;
use crate::cli::UsageError;
use crate::http_server::BindError;
use crate::logging::LogError;
use crate::options::OptionsError;
use crate::plan::PlanError;
use crate::settings::SettingsError;

/// A function of the script with a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleFunction {
    Setup,
    Teardown,
    HandleSummary,
}

impl LifecycleFunction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => senary_js::bundle::SETUP,
            Self::Teardown => senary_js::bundle::TEARDOWN,
            Self::HandleSummary => senary_js::bundle::HANDLE_SUMMARY,
        }
    }

    pub fn timeout_option(self) -> &'static str {
        match self {
            Self::Setup => "setupTimeout",
            Self::Teardown => "teardownTimeout",
            Self::HandleSummary => "handleSummaryTimeout",
        }
    }
}

/// Why a command did not succeed. The texts are the reference's where people match on them.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The script's file cannot be read.
    #[error(transparent)]
    Unreadable(SourceError),
    /// What `--type` says of it is no type there is.
    #[error("unknown or unspecified test type '{kind}' for '{url}': use js or archive")]
    UnknownType { kind: String, url: String },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("no exported functions in script; what virtual users do is `export default function () {{ … }}`")]
    NoExports,
    /// Init code that failed when the script was first loaded.
    #[error("could not initialize '{script}': {error}")]
    Init { script: String, error: LifecycleError },
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    #[error("{}() execution timed out after {} seconds", .function.name(), .limit.as_secs_f64())]
    Timeout { function: LifecycleFunction, limit: Duration },
    #[error(transparent)]
    Output(OutputError),
    #[error("{0}")]
    Secrets(String),
    #[error("could not start the REST API server: {0}")]
    RestApi(BindError),
    #[error("{}", stop_text(.0))]
    Stopped(StopReason),
    #[error("thresholds on metrics '{}' have been crossed", .0.join(", "))]
    ThresholdsCrossed(Vec<String>),
    #[error("test run was marked as failed")]
    MarkedFailed,
    /// Only where `--fail-on-saturation` asks for it.
    #[error("the generator was the bottleneck (--fail-on-saturation): {}", .0.join("; "))]
    Saturated(Vec<String>),
    /// Only where `--strict` asks for it.
    #[error("this run proves nothing (--strict): {}", .0.join("; "))]
    ProvesNothing(Vec<String>),
    /// A state that cannot be read.
    #[error("{path}: {error}")]
    State { path: String, error: StateError },
    /// States that do not add up, though they are of one test.
    #[error("{path}: {error}")]
    Whole { path: String, error: WholeError },
    /// States that are no whole test.
    #[error("the states are not one whole test (--partial merges them all the same, and the summary says what is missing):{}", lines(.0))]
    NotOneTest(Vec<Objection>),
    /// An instance whose REST API does not give what is needed.
    #[error("{address} {error}")]
    Instance { address: String, error: AskError },
    #[error(
        "setup() of the first instance has left nothing in {path} within {}s{}: give all instances the same file on storage that they share (--setup-data), start the one whose segment begins at 0, too, or allow more time (setupTimeout)",
        .limit.as_secs_f64(), if *.is_old { ", but for what an earlier run has left" } else { "" }
    )]
    NoSetupData { path: String, limit: Duration, is_old: bool },
    #[error(
        "{path} is of a run in which another instance runs {part}, and no other run has taken its place within {}s: give runs that overlap files of their own (--setup-data); an instance that was lost cannot be started again within its run",
        .limit.as_secs_f64()
    )]
    SetupDataTaken { path: String, part: String, limit: Duration },
    #[error("{0} is there, and no file of --setup-data: give it a file of its own")]
    SetupDataUnreadable(String),
    /// How an instance ended counts for the whole test.
    #[error("{instance}: {reason}")]
    OfInstance { instance: String, code: u8, reason: String },
    /// What the machine would not give: threads, descriptors, files.
    #[error("{doing}: {reason}")]
    System { doing: &'static str, reason: String },
    #[error(
        "this test has {vus} VUs, and there is memory for {most} at most ({} MB here; a VU takes 50 kB and more): use fewer, or spread the test over machines (--execution-segment)",
        .memory / 1_000_000
    )]
    TooManyVus { vus: u64, most: u64, memory: u64 },
    #[error("a stack may have {} kB here, and {} are needed: allow more (`ulimit -s 8192`)", .allowed / 1024, .needed / 1024)]
    LittleStack { allowed: u64, needed: u64 },
    /// Something else a user can read and act on.
    #[error("{0}")]
    Command(String),
}

fn lines(objections: &[Objection]) -> String {
    objections.iter().map(|objection| format!("\n\t- {objection}")).collect()
}

fn stop_text(reason: &StopReason) -> String {
    match reason {
        StopReason::Signal { name } => {
            format!("test run was aborted because k6 received a '{name}' signal")
        }
        StopReason::ScriptAborted { message } => message.clone(),
        StopReason::ThresholdsCrossed { metrics } => format!(
            "thresholds on metrics '{}' were crossed; at least one has abortOnFail enabled, stopping test prematurely",
            metrics.join(", ")
        ),
        StopReason::RestApi => "test run stopped from REST API".to_owned(),
    }
}

impl CommandError {
    /// What the machine did not give, for what it was needed, and what a user can do about it.
    pub fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System { doing, reason: explained(&error) }
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::ThresholdsCrossed(_) | Self::Stopped(StopReason::ThresholdsCrossed { .. }) => 99,
            Self::Timeout { function: LifecycleFunction::Setup, .. }
            | Self::NoSetupData { .. }
            | Self::SetupDataTaken { .. } => 100,
            Self::Timeout { function: LifecycleFunction::Teardown, .. } => 101,
            Self::Timeout { function: LifecycleFunction::HandleSummary, .. } => 102,
            Self::Stopped(StopReason::RestApi) => 103,
            Self::Plan(_) | Self::TooManyVus { .. } => 104,
            Self::Options(error) => error.exit_code(),
            Self::Secrets(_) | Self::Output(OutputError::InvalidSettings { .. }) => 104,
            Self::Stopped(StopReason::Signal { .. }) => 105,
            Self::RestApi(_) => 106,
            Self::Init { error, .. } | Self::Lifecycle(error) => match error {
                // A rejected promise has no code of its own in the reference.
                LifecycleError::Script(ScriptFailure::Rejection(_)) => 255,
                LifecycleError::Script(_) | LifecycleError::VuInit { .. } | LifecycleError::Source { .. } => {
                    107
                }
                LifecycleError::Options(_) => 104,
                LifecycleError::NotAFunction(_)
                | LifecycleError::SummaryNotAFunction
                | LifecycleError::SetupData(_)
                | LifecycleError::SummaryNeverSettled
                | LifecycleError::SummaryNoMap
                | LifecycleError::SummaryValue { .. }
                | LifecycleError::Engine(_) => 255,
            },
            Self::Stopped(StopReason::ScriptAborted { .. }) => 108,
            Self::MarkedFailed => 110,
            Self::OfInstance { code, .. } => *code,
            // Well above what the reference uses, and below what shells do.
            Self::Saturated(_) => 120,
            Self::ProvesNothing(_) => 121,
            Self::Usage(_)
            | Self::Settings(_)
            | Self::Log(_)
            | Self::Unreadable(_)
            | Self::UnknownType { .. }
            | Self::Archive(_)
            | Self::NoExports
            | Self::Output(OutputError::UnknownType(_) | OutputError::NotCreated { .. })
            | Self::State { .. }
            | Self::Whole { .. }
            | Self::SetupDataUnreadable(_)
            | Self::Instance { .. }
            | Self::NotOneTest(_)
            | Self::System { .. }
            | Self::LittleStack { .. }
            | Self::Command(_) => 255,
        }
    }

    /// Whether this is what a run has shown, and no mishap: the results tell it, too.
    pub fn is_of_results(&self) -> bool {
        matches!(
            self,
            Self::ThresholdsCrossed(_)
                | Self::Stopped(_)
                | Self::MarkedFailed
                | Self::Saturated(_)
                | Self::ProvesNothing(_)
                | Self::OfInstance { .. }
        )
    }

    /// Writes what went wrong to the log, with advice where there is some.
    pub fn log(&self) {
        match self {
            Self::Timeout { function, .. } => {
                let hint =
                    format!("You can increase the time limit via the {} option", function.timeout_option());
                log::error!(hint = hint.as_str(); "{self}");
            }
            Self::Init { error: LifecycleError::Script(ScriptFailure::Exception(_)), .. }
            | Self::Lifecycle(
                LifecycleError::Script(ScriptFailure::Exception(_)) | LifecycleError::VuInit { .. },
            ) => log::error!(hint = "script exception"; "{self}"),
            _ => log::error!("{self}"),
        }
    }
}
