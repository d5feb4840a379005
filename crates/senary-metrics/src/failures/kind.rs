//! The kinds of failures, in the order in which they are reported.

use serde::{Deserialize, Serialize};

/// The kind of a failure. The order is the one in which failures are reported: causes come before what follows from
/// them, so that the first line of a list says why a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// `setup()` failed: no iteration was run.
    Setup,
    /// An operation on a socket failed.
    Socket,
    /// A request of HTTP had no response, or none that was expected.
    Http,
    /// A session of WebSocket could not be opened, or broke.
    #[serde(rename = "websocket")]
    WebSocket,
    /// An iteration threw an exception.
    Exception,
    /// An iteration left a rejected promise unhandled.
    Rejection,
    /// The engine had no memory or no stack for an iteration.
    Engine,
    /// An iteration was over while its function still awaited something: nothing was left that could settle it.
    NeverSettled,
    /// An iteration was cut off before its end.
    Interrupted,
    /// A virtual user could not be made.
    Vu,
    /// A check failed.
    Check,
    /// The script ended the run, or called it failed.
    Stopped,
    /// An iteration was due and never started.
    Dropped,
    /// A threshold was crossed.
    Threshold,
    /// `teardown()` failed.
    Teardown,
    /// `handleSummary()` failed.
    HandleSummary,
    /// Samples were lost on their way to an output.
    Output,
}

impl FailureKind {
    /// Whether failures at different places of the script are different failures.
    pub fn is_told_apart_by_place(self) -> bool {
        matches!(self, Self::Exception | Self::Rejection | Self::NeverSettled | Self::Interrupted)
    }

    /// Whether each failure of this kind is an iteration that did not do what it should have.
    pub fn is_an_iteration(self) -> bool {
        matches!(
            self,
            Self::Exception | Self::Rejection | Self::Engine | Self::NeverSettled | Self::Interrupted
        )
    }
}
