//! What users read when the generator itself was the bottleneck, and what they can do about it.
//!
//! When that is so is decided in `senary-execution`, by the limits in `docs/design/saturation.md`.

use std::time::Duration;

use senary_execution::{Finding, Saturation};
use senary_output::Remark;

/// One remark per finding; none if the figures can be trusted.
pub fn remarks(saturation: &Saturation) -> Vec<Remark> {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let of_run = |during: &Duration| format!("{} of {}", seconds(*during), seconds(saturation.watched));
    let remark = |finding: &Finding| {
        match finding {
        Finding::Workers { during, worst, of, lag, starved } => Remark {
            text: of_workers(*worst, *of, *starved, &of_run(during), *lag),
            advice: match (*starved, *of < cores) {
                (true, _) => "stop what else runs on this machine, or give the generator one of its own".to_owned(),
                (false, true) => format!("use more workers (--workers, {of} of {cores} cores are used)"),
                (false, false) => {
                    "let the script do less, or spread the test over machines (--execution-segment)".to_owned()
                }
            },
        },
        Finding::LateStarts { during, late, starts, lag } => Remark {
            text: format!(
                "{late} of {starts} iterations began late in {}, up to {}",
                of_run(during),
                milliseconds(*lag)
            ),
            advice: "lower the rate, or spread the test over machines (--execution-segment)".to_owned(),
        },
        Finding::Outputs { during, held_up } => Remark {
            text: format!(
                "outputs were too slow for {}: they held the workers up for {}",
                of_run(during),
                seconds(*held_up)
            ),
            advice: "write to a faster disk or to one output only, or record fewer samples".to_owned(),
        },
        Finding::Memory { during, least } => Remark {
            text: format!(
                "memory was nearly used up for {}: {} of {} were left",
                of_run(during),
                megabytes(least.available),
                megabytes(least.total)
            ),
            advice: "use fewer VUs, limit what each may take (--vu-memory-limit), give the generator more memory, or spread the \
                test over machines (--execution-segment)"
                .to_owned(),
        },
        Finding::Exhausted { failed, connects } => Remark {
            text: format!("{failed} of {connects} connects failed for want of descriptors, threads, ports or addresses"),
            advice: "raise the limit of open files (ulimit -n), use more addresses (--local-ips), or close sockets earlier"
                .to_owned(),
        },
        Finding::Stackless { iterations } => Remark {
            text: format!("{iterations} iterations did not run, or did not finish, because no stack was left"),
            advice: "use fewer VUs, allow more memory maps (sysctl vm.max_map_count) or memory (ulimit -v), or spread the test \
                over machines (--execution-segment)"
                .to_owned(),
        },
    }
    };
    saturation.findings.iter().map(remark).collect()
}

fn of_workers(worst: usize, of: usize, starved: bool, during: &str, lag: Duration) -> String {
    let what = match starved {
        true => "got no core, other programs had them,",
        false => "had no idle time",
    };
    format!("{worst} of {of} workers {what} for {during}: events waited up to {}", milliseconds(lag))
}

/// For runs whose summary does not say it.
pub fn warn(remarks: &[Remark]) {
    for Remark { text, advice } in remarks {
        log::warn!(hint = advice.as_str(); "The generator was the bottleneck, its figures cannot be trusted: {text}");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
