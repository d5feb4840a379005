//! Signals: the first one ends the run, the second one the process.
//! (<https://grafana.com/docs/k6/latest/using-k6/test-lifecycle/>; SIGHUP is treated like SIGTERM, so that a terminal
//! that goes away loses no results.)
//!
//! A thread of its own waits for them. Whatever else stands still, be it for somebody who does not read the output or
//! the log, the second signal gets through.

use std::io;
use std::process::exit;
use std::sync::mpsc::channel;
use std::time::Duration;

use senary_execution::{Shutdown, StopReason};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_code::Failure;
use crate::logging;

/// How long the second signal waits for the log to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Watches for signals until the process ends.
pub fn watch(shutdown: Shutdown) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    // A file that reached the limit of file sizes is an error of whoever writes to it, and not the end of the process.
    let too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let mut signals = [
        (signal(SignalKind::interrupt())?, "interrupt"),
        (signal(SignalKind::terminate())?, "terminated"),
        (signal(SignalKind::hangup())?, "hangup"),
    ];
    drop(entered);
    let watching = move || {
        let _too_large = too_large;
        let name = runtime.block_on(next(&mut signals));
        shutdown.stop(StopReason::Signal { name });
        let name = runtime.block_on(next(&mut signals));
        end_process(&Failure::Stopped(StopReason::Signal { name }));
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watching).map(drop)
}

async fn next(signals: &mut [(Signal, &'static str)]) -> &'static str {
    std::future::poll_fn(|cx| {
        for (signal, name) in signals.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(*name);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Says so, as far as somebody reads it: a log that stands still may be what the run could not end for.
fn end_process(why: &Failure) -> ! {
    let (said, is_said) = channel();
    let say = move || {
        log::error!("Aborting k6 in response to signal");
        logging::flush();
        // Nobody is left to be told if it took too long.
        let _ = said.send(());
    };
    // Without a thread, or in time, it goes unsaid; the exit code says it too.
    if std::thread::Builder::new().name("last-words".to_owned()).spawn(say).is_ok() {
        let _ = is_said.recv_timeout(LAST_WORDS);
    }
    exit(why.code().into())
}
