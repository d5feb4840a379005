//! What a user can do if the system has run out of a resource.

use std::io;

use crate::io_text;

/// The settings with which a user raises the limits of a process.
pub const MORE_FILES: &str = "`ulimit -n`; LimitNOFILE= of systemd; --ulimit nofile= of docker";
pub const MORE_THREADS: &str = "`ulimit -u`; TasksMax= of systemd; --pids-limit of docker";
pub const MORE_MEMORY: &str = "`ulimit -v`; MemoryMax= of systemd; --memory of docker";

/// ENFILE and EMFILE, which have the same numbers on all systems.
const FILES_OF_THE_SYSTEM: i32 = 23;
const FILES_OF_THE_PROCESS: i32 = 24;

/// What a user can do about an error, if the system has run out of something.
pub fn remedy(error: &io::Error) -> Option<String> {
    match (error.kind(), error.raw_os_error()) {
        (_, Some(FILES_OF_THE_PROCESS)) => Some(format!("allow this process more open files ({MORE_FILES})")),
        (_, Some(FILES_OF_THE_SYSTEM)) => {
            Some("the whole system has no more files to open: raise the sysctl fs.file-max".to_owned())
        }
        (io::ErrorKind::OutOfMemory, _) => Some(format!("allow this process more memory ({MORE_MEMORY})")),
        // The system refused a thread, or the memory for its stack.
        (io::ErrorKind::WouldBlock, Some(_)) => {
            Some(format!("allow more processes ({MORE_THREADS}), or more memory ({MORE_MEMORY})"))
        }
        _ => None,
    }
}

/// An error of the system in its words, and what a user can do about it, as far as that is known.
pub fn explained(error: &io::Error) -> String {
    match remedy(error) {
        Some(remedy) => format!("{}: {remedy}", io_text(error)),
        None => io_text(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_run_out_can_be_allowed() {
        for (number, text) in [
            (24, "too many open files: allow this process more open files (`ulimit -n`"),
            (23, "too many open files in system: the whole system"),
            (12, "cannot allocate memory: allow this process more memory (`ulimit -v`"),
            (11, "resource temporarily unavailable: allow more processes (`ulimit -u`"),
        ] {
            let explained = explained(&io::Error::from_raw_os_error(number));
            assert!(explained.starts_with(text), "{explained}");
        }
        assert_eq!(explained(&io::ErrorKind::NotFound.into()), "no such file or directory");
        assert_eq!(remedy(&io::ErrorKind::WouldBlock.into()), None);
    }
}
