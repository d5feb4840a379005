//! The only way to end a test run early: a reason, of which the first one counts, and the tokens that all parts of the
//! run watch.
//!
//! The first reason wins. `stop` is graceful in the sense of the reference: iterations are interrupted, but teardown,
//! the final thresholds and the summary follow. The binary handles the second signal, which ends the process at once.

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
    /// A client of the REST API asked for it.
    RestApi,
}

/// Shared by all parts that may end the run or have to notice its end.
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

    /// Ends the run; only the first reason counts. Returns whether it was this one.
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
