//! Threads that drive a runtime of their own.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};

/// Starts a thread that drives a runtime. The thread comes first: if the system gives none, there is no runtime to drop,
/// which would be a panic where the caller is driven by a runtime itself.
pub(crate) fn runtime_thread(
    name: &str,
    work: impl FnOnce(Runtime) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (hand, handed) = sync_channel(1);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Without a runtime the thread ends, and whatever it was given is dropped.
        if let Ok(runtime) = handed.recv() {
            work(runtime);
        }
    })?;
    // The thread waits for nothing else.
    let _ = hand.send(Builder::new_current_thread().enable_all().build()?);
    Ok(thread)
}
