//! The one way a test run ends early: a reason, kept once, and the tokens that tell everybody.
//!
//! The first reason wins. `stop` is graceful in the sense of the reference: iterations are interrupted, but
//! teardown, the final thresholds and the summary follow. The second signal, which ends the process at once,
//! is the binary's own affair.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why a run ended before its plan did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A signal; `name` is what users read (`interrupt`, `terminated`, `hangup`).
    Signal { name: &'static str },
    /// The script called `exec.test.abort()`.
    ScriptAborted { message: String },
    /// A threshold with `abortOnFail` was crossed; the names are sorted.
    ThresholdsCrossed { metrics: Vec<String> },
    /// Somebody asked for it over the REST API.
    RestApi,
}

/// Shared by everybody who may end the run or has to notice that it ends.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    reason: OnceLock<StopReason>,
    token: CancellationToken,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the run; only the first reason counts. Gives back whether it was this one.
    pub fn stop(&self, reason: StopReason) -> bool {
        let first = self.inner.reason.set(reason).is_ok();
        self.inner.token.cancel();
        first
    }

    pub fn reason(&self) -> Option<&StopReason> {
        self.inner.reason.get()
    }

    /// Cancelled once the run is to end. Scenario and iteration tokens are children of it.
    pub fn token(&self) -> &CancellationToken {
        &self.inner.token
    }
}
