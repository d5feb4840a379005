//! What is wrong with an instance that another process asks over its REST API.

use hyper::StatusCode;
use senary_output::state::StateError;

/// Why an instance does not give what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(
        "does not answer ({0}): start the instance with --address 0.0.0.0:6565 --linger, or leave the address out"
    )]
    Silent(String),
    #[error("refuses what it is asked (HTTP {status}): {detail}")]
    Refused { status: u16, detail: String },
    #[error(
        "answers, but not with the state of a run ({0}): it is an older Senary, or another program; run the instance with this version of Senary"
    )]
    NoState(String),
    #[error("has a state that cannot be read: {0}")]
    State(StateError),
    #[error("is the same instance as {0}: name each instance once")]
    Same(String),
    #[error("is another process than before: its instance was started again during the test")]
    Restarted,
    #[error(
        "is not paused: for --start, start the instances with --paused --no-setup --no-teardown --linger"
    )]
    NotPaused,
    #[error(
        "runs setup() and teardown() itself: for --start, start the instances with --no-setup --no-teardown, too"
    )]
    OwnSetup,
}

impl AskError {
    /// Whether the instance runs, and only has no state to give at the moment.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::SERVICE_UNAVAILABLE.as_u16())
    }

    /// Whether it may be otherwise in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Refused { .. } => self.is_busy(),
            // It ended, or died, while it sent its state.
            Self::State(error) => {
                matches!(error, StateError::Truncated | StateError::Empty | StateError::Damaged { .. })
            }
            _ => false,
        }
    }
}
