//! What the machine allows this process (open files, threads, local ports and memory maps), and what a user can do if that is
//! not enough.

use std::fs::{File, read_dir};
use std::io;
use std::sync::Once;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use senary_words::remedy::{MORE_FILES, MORE_MEMORY, MORE_THREADS};

use crate::error::NetError;

/// Raises the limit of open files to what the system allows this process, and gives it back; `None`: unlimited.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it is refused the old limit stays, and is what counts.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current
}

/// What the stack of the first thread may take, in bytes: as much as is usual, if the system allows that; `None`: unlimited.
/// The kernel looks at the limit whenever that stack grows.
pub fn raise_stack() -> Option<u64> {
    const USUAL: u64 = 8 << 20;
    let limit = getrlimit(Resource::Stack);
    if limit.current.is_some_and(|current| current < USUAL) {
        let current = Some(limit.maximum.map_or(USUAL, |most| most.min(USUAL)));
        // Where it is refused the old limit stays, and is what counts.
        let _ = setrlimit(Resource::Stack, Rlimit { current, maximum: limit.maximum });
    }
    getrlimit(Resource::Stack).current
}

/// How many files this process has open; `None` where the system does not tell.
pub fn open_files() -> Option<u64> {
    // Listing the open files opens one more.
    Some((read_dir("/dev/fd").ok()?.count() as u64).saturating_sub(1))
}

/// Why no file can be opened just now, if none can. For libraries that do not report why they failed.
pub(crate) fn out_of_open_files() -> Option<io::Error> {
    File::open("/").err().filter(is_out_of_open_files)
}

/// Whether the process (EMFILE) or the system (ENFILE) has as many files open as it may.
pub(crate) fn is_out_of_open_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// How many memory maps this process may have; `None` where the system does not tell.
pub fn max_memory_maps() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// How many memory maps this process has.
pub fn memory_maps() -> Option<u64> {
    Some(std::fs::read("/proc/self/maps").ok()?.iter().filter(|byte| **byte == b'\n').count() as u64)
}

/// How many bytes of address space this process may have, and how many it has; `None` if there is no limit.
pub fn address_space() -> Option<(u64, u64)> {
    let limit = getrlimit(Resource::As).current?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let kibibytes: u64 = size.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((limit, kibibytes * 1024))
}

/// Logs what to do if there is no stack for an iteration: once per process.
pub fn advise_on_stacks(error: &io::Error) {
    static STACKS: Once = Once::new();
    STACKS.call_once(|| {
        let reason = match (memory_maps(), max_memory_maps()) {
            // Some are taken and given back all the time.
            (Some(maps), Some(most)) if maps + most / 100 >= most => {
                format!("this process has {maps} memory maps, and may have {most}: raise the sysctl vm.max_map_count")
            }
            _ => format!("allow this process more memory ({MORE_MEMORY})"),
        };
        log::warn!(
            "Out of stacks ({error}): a VU needs one while its script runs or sleeps. Until others are done, iterations \
            do not begin and count as dropped, or are cut short and count as interrupted. Use fewer VUs, or else: {reason}. \
            This is not said again"
        );
    });
}

/// Logs what to do about a limit that a connect ran into: once per process, because the limits are those of the process.
pub(crate) fn advise(error: &NetError) {
    static OPEN_FILES: Once = Once::new();
    static LOCAL_PORTS: Once = Once::new();
    static THREADS: Once = Once::new();
    match error {
        NetError::OpenFiles { .. } => OPEN_FILES.call_once(|| {
            let limit = getrlimit(Resource::Nofile).current.map_or("as many as there are".to_owned(), |n| n.to_string());
            log::warn!(
                "Out of open files ({error}), of which this process may have {limit}: connects fail with {code} until \
                sockets are closed. Allow more before the run ({MORE_FILES}), or keep fewer open. This is not said again",
                code = error.code()
            );
        }),
        NetError::LocalPorts { .. } => LOCAL_PORTS.call_once(|| {
            log::warn!(
                "Out of local ports ({error}): a source address has one connection to a target per port of the sysctl \
                net.ipv4.ip_local_port_range, and a port that was closed here rests for a minute. Widen that range, \
                add source addresses (--local-ips), or connect less often. This is not said again"
            );
        }),
        NetError::Threads { .. } => THREADS.call_once(|| {
            log::warn!(
                "Out of threads ({error}): names cannot be looked up until some have ended. Allow more processes before \
                the run ({MORE_THREADS}), or connect to addresses. This is not said again"
            );
        }),
        _ => {}
    }
}
