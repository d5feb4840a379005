//! What the machine says of this process: its memory, and its open files.

use std::fs;
use std::time::{Duration, Instant};

use senary_metrics::ValueType;
use senary_metrics::tags::system;
use senary_output::timeline::SharedTimeline;

use super::figures;
use crate::run_handle::RunHandle;

/// The names of these figures on the time line.
pub const MEMORY: &str = "senary_memory";
pub const OPEN_FILES: &str = "senary_open_files";
const OPEN_SOCKETS: &str = "senary_open_sockets";

/// How often the machine is asked.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// To count open files takes time where there are many: it is done that much more rarely.
const SHARE: u32 = 1000;

/// Looks at the machine now and then.
pub struct MachineLook {
    next_count: Instant,
}

impl Default for MachineLook {
    fn default() -> Self {
        Self { next_count: Instant::now() }
    }
}

impl MachineLook {
    /// Bytes of memory that the process has of the machine.
    pub fn memory(&self) -> Option<f64> {
        let statm = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: f64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as f64)
    }

    /// How many files are open, unless that was asked too short a time ago.
    pub fn open_files(&mut self) -> Option<f64> {
        let from = Instant::now();
        if from < self.next_count {
            return None;
        }
        let count = fs::read_dir("/proc/self/fd").ok()?.count();
        self.next_count = from + from.elapsed().max(Duration::from_micros(1)) * SHARE;
        Some(count as f64)
    }
}

/// How many files may be open.
pub fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Adds to the time line what no sample contains.
pub fn note(timeline: &SharedTimeline, handle: &RunHandle, look: &mut MachineLook) {
    let now = handle.run.clock.now();
    let (memory, open_files) = (look.memory(), look.open_files());
    let scenarios = handle.progress().scenarios;
    let mut timeline = timeline.lock();
    if let Some(memory) = memory {
        timeline.note(MEMORY, &[], ValueType::Data, memory, now);
    }
    if let Some(count) = open_files {
        timeline.note(OPEN_FILES, &[], ValueType::Default, count, now);
    }
    if let Some(open) = figures::open_sockets(&timeline) {
        timeline.note(OPEN_SOCKETS, &[], ValueType::Default, open, now);
    }
    if scenarios.len() > 1 {
        for scenario in scenarios {
            let tags = [(system::SCENARIO, scenario.name.as_str())];
            timeline.note("vus", &tags, ValueType::Default, scenario.active_vus as f64, now);
        }
    }
}
