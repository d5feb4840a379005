//! The phase a run is in: written by the main line, read by the progress display and the REST API.

use std::sync::atomic::{AtomicU8, Ordering};

/// Declares the phases and the list of all of them.
macro_rules! phases {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The phases of a run, in their order. The numbers are what the REST API calls `status`. Those that are left
        /// out, 2 and 11, are phases that only the reference has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum RunPhase {
            $($(#[$doc])* $name = $code,)*
        }

        const ALL: &[RunPhase] = &[$(RunPhase::$name,)*];
    };
}

phases! {
    Created = 0,
    /// VUs are being made.
    InitVus = 1,
    InitDone = 3,
    /// Everything is ready and waits for a request to start.
    PausedBeforeRun = 4,
    Started = 5,
    Setup = 6,
    Running = 7,
    Teardown = 8,
    Ended = 9,
    Interrupted = 10,
}

impl RunPhase {
    /// What the REST API says.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether the run has begun and is not over: from the start of setup to the end of teardown.
    pub fn is_running(self) -> bool {
        (Self::Started..=Self::Teardown).contains(&self)
    }
}

/// The phase of one run, shared.
#[derive(Debug, Default)]
pub struct RunPhaseCell(AtomicU8);

impl RunPhaseCell {
    pub fn set(&self, phase: RunPhase) {
        self.0.store(phase.code(), Ordering::Release);
    }

    pub fn get(&self) -> RunPhase {
        let code = self.0.load(Ordering::Acquire);
        ALL.iter().copied().find(|phase| phase.code() == code).unwrap_or(RunPhase::Created)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_kept() {
        let cell = RunPhaseCell::default();
        assert_eq!(cell.get(), RunPhase::Created);
        for phase in ALL.iter().copied() {
            cell.set(phase);
            assert_eq!(cell.get(), phase);
        }
        let running: Vec<u8> = ALL.iter().filter(|p| p.is_running()).map(|p| p.code()).collect();
        assert_eq!(running, [5, 6, 7, 8]);
    }
}
