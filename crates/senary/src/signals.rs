//! Signals: the first one ends the run, the second one the process.
//! (<https://grafana.com/docs/k6/latest/using-k6/test-lifecycle/>; SIGHUP is treated like SIGTERM, so that a terminal
//! that goes away loses no results. A user who started Senary with SIGHUP ignored, as nohup does, wants it to go on.)
//!
//! A thread of its own waits for them. Whatever else stands still, be it for somebody who does not read the output or
//! the log, the second signal gets through.

use std::fs;
use std::io;
use std::process::exit;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use senary_execution::{Shutdown, StopReason};
use senary_js::source::input;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::command_error::CommandError;
use crate::logging;

/// How long the second signal waits for the log to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The exit code, once there is nothing left to do but to write the log.
static ENDING: OnceLock<u8> = OnceLock::new();

/// From now on the first signal ends the process, with this code: only the log is yet to be written.
pub fn is_ending(code: u8) {
    let _ = ENDING.set(code);
}

/// Watches for signals until the process ends. The first one ends the run, whatever else has ended it before, and cancels
/// the token that is given back.
pub fn watch(shutdown: Shutdown) -> io::Result<CancellationToken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    // A file that reached the limit of file sizes is an error for the code that writes to it, and not the end of the process.
    let too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let mut signals = vec![
        (signal(SignalKind::interrupt())?, "interrupt"),
        (signal(SignalKind::terminate())?, "terminated"),
    ];
    // To ask for it would end its being ignored.
    if !is_ignored(SignalKind::hangup()) {
        signals.push((signal(SignalKind::hangup())?, "hangup"));
    }
    drop(entered);
    let signalled = CancellationToken::new();
    let first = signalled.clone();
    let watching = move || {
        let _too_large = too_large;
        let name = runtime.block_on(next(&mut signals));
        shutdown.stop(StopReason::Signal { name });
        input::interrupt();
        first.cancel();
        let name = runtime.block_on(next(&mut signals));
        end_process(&CommandError::Stopped(StopReason::Signal { name }));
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watching)?;
    Ok(signalled)
}

/// Whether the process was started with a signal ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status) >> (kind.as_raw_value() - 1) & 1 == 1
}

/// From `/proc/PID/status`: a bit for each signal, the lowest one for the first.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

async fn next(signals: &mut [(Signal, &'static str)]) -> &'static str {
    let name = std::future::poll_fn(|cx| {
        for (signal, name) in signals.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(*name);
            }
        }
        std::task::Poll::Pending
    })
    .await;
    if let Some(code) = ENDING.get() {
        exit((*code).into());
    }
    name
}

/// Says so, if the log is still read: a log that stands still may be what the run could not end for.
fn end_process(why: &CommandError) -> ! {
    let (said, is_said) = channel();
    let say = move || {
        log::error!("Aborting the run at once, in response to a second signal");
        logging::flush();
        // If this took too long, nothing is left that could report it.
        let _ = said.send(());
    };
    // Without a thread or enough time the line is not logged; the exit code has the same information.
    if std::thread::Builder::new().name("last-words".to_owned()).spawn(say).is_ok() {
        let _ = is_said.recv_timeout(LAST_WORDS);
    }
    exit(why.code().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t00000000000000ff\n"), 0x1001);
        assert_eq!(ignored("SigIgn:\tnonsense\n"), 0);
        assert_eq!(ignored(""), 0);
    }
}
