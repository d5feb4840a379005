//! Whether the machine has room for the stacks of a test; said before it starts.

use senary_js::STACK_SIZE;
use senary_net::limits;

use crate::test_run::TestRun;

/// The stack itself, and the page before it that nothing may touch.
const MAPS_OF_A_STACK: u64 = 2;
/// Advised numbers are rounded up to a multiple of this.
const MAPS_STEP: u64 = 65_536;

/// Warns of a test whose VUs could not all be in the middle of a call at once, as in `sleep()`: then each needs a stack.
/// Scripts that never block are not warned.
pub fn warn_if_too_few(run: &TestRun) {
    let vus = run.plan.load.max_vus();
    if !run.handle.lifecycle.bundle.blocks() {
        return;
    }
    if let (Some(most), Some(maps)) = (limits::max_memory_maps(), limits::memory_maps()) {
        let needed = vus.saturating_mul(MAPS_OF_A_STACK).saturating_add(maps);
        if needed > most {
            let advised = needed.checked_next_multiple_of(MAPS_STEP).unwrap_or(needed);
            log::warn!(
                "This test has up to {vus} VUs and needs {needed} memory maps if all of them sleep at once, but only {most} \
                are allowed: iterations will be dropped. Allow more before you start it: `sysctl -w \
                vm.max_map_count={advised}`"
            );
        }
    }
    if let Some((limit, used)) = limits::address_space() {
        let needed = vus.saturating_mul(STACK_SIZE as u64).saturating_add(used);
        if needed > limit {
            let (needed, limit) = (needed.div_ceil(1024), limit / 1024);
            log::warn!(
                "This test has up to {vus} VUs and needs {needed} kB of address space if all of them sleep at once, but only \
                {limit} kB are allowed: iterations will be dropped. Allow more before you start it: `ulimit -v unlimited`"
            );
        }
    }
}
