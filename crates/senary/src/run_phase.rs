//! The phases that a run goes through. Which one it is in is among the events of the run.

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

        #[cfg(test)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_running_from_its_start_to_its_teardown() {
        let running: Vec<u8> = ALL.iter().filter(|p| p.is_running()).map(|p| p.code()).collect();
        assert_eq!(running, [5, 6, 7, 8]);
    }
}
