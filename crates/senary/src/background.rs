//! Work that blocks, on a thread of its own: the main line waits for it and for other things meanwhile.
//!
//! If the system gives no thread, the caller gets an error and the process goes on; with the runtime's own threads for such work
//! the process would end.

use std::io;

use tokio::sync::oneshot;

/// Work under way. Dropping it does not end the work, but nothing waits for its end any more.
pub struct Background<R>(oneshot::Receiver<R>);

/// The work panicked, which has been said on standard error.
#[derive(Debug, thiserror::Error)]
#[error("it failed in a way that is a defect of this program")]
pub struct Panicked;

impl<R: Send + 'static> Background<R> {
    /// Starts the work. `name` is the thread's, 15 letters at most.
    pub fn start(name: &str, work: impl FnOnce() -> R + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = oneshot::channel();
        let run = move || {
            // Nobody may be waiting any more.
            let _ = sender.send(work());
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self(receiver))
    }

    /// Waits for the outcome. The wait may be cancelled, and called again.
    pub async fn outcome(&mut self) -> Result<R, Panicked> {
        (&mut self.0).await.map_err(|_| Panicked)
    }
}
