//! The gate at which a run that was started with `--paused` waits until it is resumed.

use tokio::sync::watch;

/// Why a run cannot be paused or resumed. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    #[error("execution is already paused")]
    AlreadyPaused,
    #[error("{executor} executor '{scenario}' doesn't support pause and resume operations after its start")]
    NotPausable { executor: &'static str, scenario: String },
}

/// Closed or open; once open it stays so.
#[derive(Debug)]
pub struct Gate {
    paused: watch::Sender<bool>,
    /// The executor and the name of the first scenario, for the error when a client wants to pause a run under way.
    first: (&'static str, String),
}

impl Gate {
    pub fn new(paused: bool, executor: &'static str, scenario: &str) -> Self {
        Self { paused: watch::Sender::new(paused), first: (executor, scenario.to_owned()) }
    }

    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Resumes the run, or pauses it if that is still possible.
    pub fn set_paused(&self, paused: bool) -> Result<(), PauseError> {
        if !self.is_paused() {
            let (executor, scenario) = self.first.clone();
            return Err(PauseError::NotPausable { executor, scenario });
        }
        if paused {
            return Err(PauseError::AlreadyPaused);
        }
        self.paused.send_replace(false);
        Ok(())
    }

    /// Waits until the gate is open.
    pub async fn opened(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paused_run_waits_until_it_is_resumed() {
        let gate = std::sync::Arc::new(Gate::new(true, "constant-vus", "a"));
        assert_eq!(gate.set_paused(true), Err(PauseError::AlreadyPaused));
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.opened().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && gate.is_paused());
        assert_eq!(gate.set_paused(false), Ok(()));
        waiting.await.unwrap();
        assert!(!gate.is_paused());
    }

    #[tokio::test]
    async fn what_runs_is_neither_paused_nor_resumed() {
        let gate = Gate::new(false, "constant-vus", "a");
        gate.opened().await;
        for paused in [true, false] {
            let error = gate.set_paused(paused).unwrap_err();
            assert_eq!(
                error.to_string(),
                "constant-vus executor 'a' doesn't support pause and resume operations after its start"
            );
        }
    }
}
