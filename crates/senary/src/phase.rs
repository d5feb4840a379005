//! Where a run stands: written by the main line, read by the progress display and the REST API.

use std::sync::atomic::{AtomicU8, Ordering};

/// The steps of a run, in their order. The numbers are what the REST API calls `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    Created = 0,
    /// VUs are being made.
    InitVus = 1,
    InitExecutors = 2,
    InitDone = 3,
    /// Everything is ready and waits for somebody to start it.
    PausedBeforeRun = 4,
    Started = 5,
    Setup = 6,
    Running = 7,
    Teardown = 8,
    Ended = 9,
    Interrupted = 10,
    MarkedFailed = 11,
}

const ALL: [Phase; 12] = [
    Phase::Created,
    Phase::InitVus,
    Phase::InitExecutors,
    Phase::InitDone,
    Phase::PausedBeforeRun,
    Phase::Started,
    Phase::Setup,
    Phase::Running,
    Phase::Teardown,
    Phase::Ended,
    Phase::Interrupted,
    Phase::MarkedFailed,
];

impl Phase {
    /// What the REST API says.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether the run has begun and is not over: from the start of setup to the end of teardown.
    pub fn is_running(self) -> bool {
        (Self::Started..=Self::Teardown).contains(&self)
    }

    pub fn is_over(self) -> bool {
        self >= Self::Ended
    }
}

/// The phase of one run, shared.
#[derive(Debug, Default)]
pub struct PhaseCell(AtomicU8);

impl PhaseCell {
    pub fn set(&self, phase: Phase) {
        self.0.store(phase.code(), Ordering::Release);
    }

    pub fn get(&self) -> Phase {
        let code = self.0.load(Ordering::Acquire);
        ALL.into_iter().find(|phase| phase.code() == code).unwrap_or(Phase::Created)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_kept() {
        let cell = PhaseCell::default();
        assert_eq!(cell.get(), Phase::Created);
        for (code, phase) in ALL.into_iter().enumerate() {
            cell.set(phase);
            assert_eq!((cell.get(), usize::from(phase.code())), (phase, code));
        }
        let running: Vec<u8> = ALL.into_iter().filter(|p| p.is_running()).map(Phase::code).collect();
        assert_eq!(running, [5, 6, 7, 8]);
    }
}
