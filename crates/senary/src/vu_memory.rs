//! Whether the memory of the machine is enough for the VUs of a test; judged before they are made.

use std::fs::read_to_string;

use crate::command_error::CommandError;
use crate::test_run::TestRun;

/// What a VU takes at the very least, in bytes: one that holds a socket takes twice as much.
const MIN_PER_VU: u64 = 50_000;

/// Refuses a test whose VUs cannot fit into memory, whatever the script does. Making them would take all memory of the
/// machine, and with it whatever else runs on the machine. Those that an arrival rate may add are made one by one, if
/// at all.
pub fn refuse_too_many(run: &TestRun) -> Result<(), CommandError> {
    let vus = run.plan.load.planned_vus();
    match memory() {
        Some(memory) if vus > memory / MIN_PER_VU => {
            Err(CommandError::TooManyVus { vus, most: memory / MIN_PER_VU, memory })
        }
        _ => Ok(()),
    }
}

/// Bytes of memory, swap included, that this machine or container has; `None` where the system does not tell.
pub fn memory() -> Option<u64> {
    let of_machine = of_machine(&read_to_string("/proc/meminfo").ok()?)?;
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    // Without a limit there is no number in them, or no such file.
    let of_container = limits.iter().filter_map(|path| read_to_string(path).ok()?.trim().parse().ok()).min();
    Some(of_container.map_or(of_machine, |limit: u64| limit.min(of_machine)))
}

/// From `/proc/meminfo`.
fn of_machine(text: &str) -> Option<u64> {
    let kibibytes = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let total = kibibytes("MemTotal:")?;
    Some(total.saturating_add(kibibytes("SwapTotal:").unwrap_or(0)).saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_machine_is_read() {
        assert_eq!(
            of_machine("MemTotal:       2000 kB\nMemFree: 1 kB\nSwapTotal:      48 kB\n"),
            Some(2048 << 10)
        );
        assert_eq!(of_machine("MemTotal:       2000 kB\n"), Some(2000 << 10));
        assert_eq!(of_machine("nonsense"), None);
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
