//! Whether the files this process may open are enough for the sockets of a test; said before it starts.

use senary_net::limits;

use crate::test_run::TestRun;

/// Own files that come and go: modules' and outputs' files, names being looked up, the REST API's connections.
const SPARE: u64 = 16;
/// Advised numbers are rounded up to a multiple of this.
const STEP: u64 = 1024;

/// Warns of a test that may need more files than `limit` (`None`: there is none). What a script will open nobody knows
/// before; one socket a VU is the least that makes sense, and with an echo server inside both its ends count.
pub fn warn_if_too_few(run: &TestRun, limit: Option<u64>, with_echo: bool) {
    let (Some(limit), Some(open)) = (limit, limits::open_files()) else { return };
    if !run.handle.lifecycle.bundle.opens_files() {
        return;
    }
    let (vus, own) = (run.plan.load.max_vus(), open + SPARE);
    let needed = vus.saturating_mul(if with_echo { 2 } else { 1 }).saturating_add(own);
    if needed > limit {
        let advised = needed.checked_next_multiple_of(STEP).unwrap_or(needed);
        log::warn!(
            "This test has up to {vus} VUs and needs {needed} open files if each has one socket, but only {limit} are \
            allowed: connects will fail with EMFILE. Allow more before you start it: `ulimit -n {advised}` (systemd: \
            LimitNOFILE={advised}; docker: --ulimit nofile={advised})"
        );
    }
}
