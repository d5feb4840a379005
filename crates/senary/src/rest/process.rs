//! Figures of the process in Prometheus' text format, under the names its own clients use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fmt::Write;
use std::fs;

use super::Status;

/// The content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the kernel counts CPU time in; fixed for programs on all of Linux' machines.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn text(status: &Status) -> String {
    let mut text = String::new();
    let mut figure = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    let memory = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let cpu = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat));
    let files = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as f64);
    figure("process_cpu_seconds_total", "counter", "CPU time, of user and system together.", cpu);
    figure("process_resident_memory_bytes", "gauge", "Resident memory.", bytes(&memory, "VmRSS:"));
    figure("process_virtual_memory_bytes", "gauge", "Virtual memory.", bytes(&memory, "VmSize:"));
    figure("process_open_fds", "gauge", "Open file descriptors.", files);
    figure("process_max_fds", "gauge", "The most file descriptors that may be open.", max_files(&limits));
    figure("senary_vus", "gauge", "VUs at work.", Some(status.vus as f64));
    figure("senary_vus_max", "gauge", "VUs there are.", Some(status.vus_max as f64));
    text
}

/// From `/proc/PID/stat`: fields 14 and 15. The second field is in parentheses and may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS_PER_SECOND)
}

/// From `/proc/PID/status`: `VmRSS:    1234 kB`.
fn bytes(status: &str, label: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// From `/proc/PID/limits`: the soft limit.
fn max_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "12 (a) b (c)) S 1 1 1 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("12 (x"), None);
        assert_eq!(bytes("VmSize:\t 10 kB\nVmRSS:\t   2 kB\n", "VmRSS:"), Some(2048.0));
        assert_eq!(max_files("Max open files            1024                 4096    files"), Some(1024.0));
        assert_eq!(max_files("Max open files            unlimited   unlimited    files"), None);
    }
}
