//! Threads for work that would hold up a worker and all its VUs: new RSA keys, stretched passwords.
//!
//! There are as many as cores, for the whole process, made when first needed. They end with it: nothing waits for
//! them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
    let (sender, receiver) = channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let receiver = receiver.clone();
        // One that cannot be made is one fewer; without any, `run` does the work itself.
        let _ = std::thread::Builder::new().name("crypto".to_owned()).spawn(move || serve(&receiver));
    }
    Mutex::new(sender)
});

fn serve(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic costs this job its outcome, not the process a thread.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Does work elsewhere; `None` if it panicked.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move || {
        let _ = sender.send(work());
    });
    let refused = JOBS.lock().unwrap_or_else(PoisonError::into_inner).send(job);
    if let Err(refused) = refused {
        (refused.0)();
    }
    receiver.await.ok()
}
