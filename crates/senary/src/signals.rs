//! Signals: the first one ends the run, the second one the process.
//! (<https://grafana.com/docs/k6/latest/using-k6/test-lifecycle/>; SIGHUP is treated like SIGTERM, so that a terminal
//! that goes away loses no results.)

use std::process::exit;

use senary_execution::{Shutdown, StopReason};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging;

/// The exit code of a process that a second signal ended.
const INTERRUPTED: i32 = 105;

/// Watches for signals until the process ends.
pub async fn watch(shutdown: Shutdown) {
    let kinds = [
        (SignalKind::interrupt(), "interrupt"),
        (SignalKind::terminate(), "terminated"),
        (SignalKind::hangup(), "hangup"),
    ];
    // A file that reached the limit of file sizes is an error of whoever writes to it, and not the end of the process.
    let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    let mut signals: Vec<(Signal, &'static str)> =
        kinds.into_iter().filter_map(|(kind, name)| Some((signal(kind).ok()?, name))).collect();
    let name = next(&mut signals).await;
    log::debug!("Stopping k6 in response to signal...");
    shutdown.stop(StopReason::Signal { name });
    next(&mut signals).await;
    log::error!("Aborting k6 in response to signal");
    logging::flush();
    exit(INTERRUPTED);
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
