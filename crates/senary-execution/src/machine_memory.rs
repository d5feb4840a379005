//! How much memory the machine has left, or the container this process runs in.

use std::fs::read_to_string;

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineMemory {
    pub available: u64,
    pub total: u64,
}

/// A container's limit, what is used of it, and what of that is files that can be read again.
const CONTAINERS: [[&str; 4]; 2] = [
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "file "],
    [
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_cache ",
    ],
];

impl MachineMemory {
    /// The present state; `None` if the system does not provide it.
    pub(crate) fn now() -> Option<Self> {
        let machine = Self::of_machine(&read_to_string("/proc/meminfo").ok()?)?;
        let containers = CONTAINERS.iter().filter_map(|[limit, used, stat, files]| {
            let number = |path: &str| read_to_string(path).ok()?.trim().parse().ok();
            let files = after(&read_to_string(stat).ok()?, files)?.parse().ok()?;
            Some(Self::of_container(number(limit)?, number(used)?, files))
        });
        // A container without a limit has a number that no machine has.
        let smaller = containers.filter(|container| container.total < machine.total).min_by_key(|c| c.total);
        Some(smaller.unwrap_or(machine))
    }

    /// From `/proc/meminfo`.
    fn of_machine(text: &str) -> Option<Self> {
        let bytes = |name: &str| -> Option<u64> {
            after(text, name)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Self { available: bytes("MemAvailable:")?, total: bytes("MemTotal:")? })
    }

    fn of_container(total: u64, used: u64, files: u64) -> Self {
        Self { available: total.saturating_sub(used.saturating_sub(files)), total }
    }
}

/// What follows a name at the beginning of a line.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let text = "MemTotal:       2000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\n";
        let memory = MachineMemory { available: 500 << 10, total: 2000 << 10 };
        assert_eq!(MachineMemory::of_machine(text), Some(memory));
        assert_eq!(MachineMemory::of_machine("MemTotal: much\n"), None);
        assert_eq!(MachineMemory::of_machine(""), None);
        let container = |total, used, files| MachineMemory::of_container(total, used, files).available;
        assert_eq!((container(100, 90, 30), container(100, 120, 0), container(100, 10, 20)), (40, 0, 100));
        if cfg!(target_os = "linux") {
            let now = MachineMemory::now().expect("it tells");
            assert!(now.available > 0 && now.available <= now.total, "{now:?}");
        }
    }
}
