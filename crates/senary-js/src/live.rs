//! What holds an iteration open besides timers and promises: a socket, a stream, anything that may still call script.
//!
//! The event loop knows such things by this trait alone, so that a protocol is a module like any other. Each keeps what
//! it has to tell by itself, in order; the event loop keeps one entry in its queue for each of these, so that the order
//! across all of them is the order in which they happened.

use std::rc::Rc;

use rquickjs::Ctx;

pub trait Live {
    /// Tells script the next thing. It is called once for each entry in the event loop's queue.
    fn deliver(self: Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()>;

    /// Drops the next thing to tell: its entry has left the queue, and no script will hear of it.
    fn discard(&self);

    /// The VU is back from a blocking call and can take events again.
    fn wake(&self);

    /// What it is and does, for people to read: `a socket to 10.0.0.1:80 is still open`.
    fn describe(&self) -> String;

    /// What has come over it, for people to read: `connected to 10.0.0.1:80 (5 B sent, 0 B received)`.
    fn traffic(&self) -> String;

    /// Whether a peer owes it something: an answer, or the connection itself.
    fn waits_for_peer(&self) -> bool;

    /// A run of script has ended, and this outlives it.
    fn run_ended(&self) {}

    /// The iteration has ended abnormally, and this outlives it: nobody waits any more for what the iteration has asked for.
    fn cut_off(&self) {}

    /// The iteration has ended abnormally, or the VU has ended: everything is closed, and no script runs any more.
    fn abandon(&self);
}

/// Names something live within its VU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LiveId(u64);

impl LiveId {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}
