//! Bytes on their way to the peer: first directly to the system, and what it does not take into the queue, in the order
//! of the calls.

use std::rc::Rc;

use super::core::{QueuedWrite, SocketCore, State, Waiting};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::Tags;

/// The result of passing bytes directly to the system.
pub enum WriteOutcome {
    Done,
    Left { data: Vec<u8>, written: usize },
    NoConnection,
    Failed(SocketFailure),
}

/// Hands bytes to the kernel, if none are queued.
pub fn now(core: &Rc<SocketCore>, bytes: &[u8]) -> WriteOutcome {
    if core.state() != State::Open {
        return WriteOutcome::NoConnection;
    }
    if core.is_ending() {
        let text = "our side of the connection has ended";
        return WriteOutcome::Failed(SocketFailure::new(Method::Write, "EPIPE", text));
    }
    let is_throttled = core.extended.as_ref().is_some_and(|extended| extended.throttle.write.is_set());
    if is_throttled || !core.writes.borrow().is_empty() {
        // Behind those that wait already: writes reach the wire in the order of the calls.
        return WriteOutcome::Left { data: bytes.to_vec(), written: 0 };
    }
    if bytes.is_empty() {
        return WriteOutcome::Done;
    }
    let mut stream = core.stream.borrow_mut();
    let Some(stream) = stream.as_mut() else { return WriteOutcome::NoConnection };
    let taken = stream.try_write(bytes);
    core.account_wire_bytes();
    match taken {
        Ok((written, on_its_way)) => {
            core.note_written(written as u64);
            if written == bytes.len() && on_its_way {
                WriteOutcome::Done
            } else {
                WriteOutcome::Left { data: bytes.to_vec(), written }
            }
        }
        Err(error) => {
            let mut error = SocketFailure::from_net(Method::Write, &error);
            error.message = format!("failed to write data after 0 bytes: {}", error.message);
            WriteOutcome::Failed(error)
        }
    }
}

/// Queues what the kernel did not take.
pub fn queue(
    core: &SocketCore,
    data: Vec<u8>,
    written: usize,
    waiting: Waiting,
    tags: Tags,
    called: Option<CallSite>,
) {
    let _charge = core.vu.memory.charge(data.len());
    core.writes.borrow_mut().push_back(QueuedWrite { data, written, waiting, tags, called, _charge });
    core.wake();
}

/// Sends bytes that no promise waits for, after what is queued. A failure shows at the next read.
pub fn behind(core: &Rc<SocketCore>, data: Vec<u8>) {
    if let WriteOutcome::Left { data, written } = now(core, &data) {
        queue(core, data, written, Waiting::Nothing, Vec::new(), None);
    }
}
