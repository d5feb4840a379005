//! The event loop of a command, on the main thread.

use std::fs::File;

use tokio::runtime::{Builder, Runtime};

use crate::command_error::CommandError;

/// Files that an event loop opens: for what it waits for, to be woken, and for signals.
const OWN_FILES: usize = 6;

/// Makes the event loop; what it runs is the command's.
pub fn event_loop() -> Result<Runtime, CommandError> {
    let failed = CommandError::system("starting the event loop");
    // The library that makes it panics if it cannot open what it needs. The root folder is there in a bare folder of chroot, too,
    // which has no devices.
    let needed = (0..OWN_FILES).map(|_| File::open("/")).collect::<Result<Vec<_>, _>>();
    drop(needed.map_err(&failed)?);
    Builder::new_current_thread().enable_all().build().map_err(failed)
}
