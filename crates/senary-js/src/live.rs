//! What holds an iteration open besides timers and promises: a socket, a stream, anything that may still call script.
//!
//! The event loop knows such things by this trait alone, so that a protocol is a module like any other. Each keeps a
//! list of what it has to report, in order. The event loop's queue has one entry for each item of these lists, so that
//! script gets the events of all objects in the order in which they happened.

use std::rc::Rc;

use rquickjs::Ctx;

pub trait Live {
    /// Reports the next item to script. It is called once for each entry in the event loop's queue.
    fn deliver(self: Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()>;

    /// Drops the next item: its entry was removed from the queue, and script will not get it.
    fn discard(&self);

    /// The VU is back from a blocking call and can take events again.
    fn wake(&self);

    /// What it is and does, for people to read: `a socket to 10.0.0.1:80 is still open`.
    fn describe(&self) -> String;

    /// Its traffic, for people to read: `connected to 10.0.0.1:80 (5 B sent, 0 B received)`.
    fn traffic(&self) -> String;

    /// Whether it waits for its peer: for an answer, or for the connection itself.
    fn waits_for_peer(&self) -> bool;

    /// It is closed, but script has not learnt that yet. It waits for nothing, so it explains nothing.
    fn is_closed(&self) -> bool {
        false
    }

    /// A run of script has ended, and this outlives it.
    fn run_ended(&self) {}

    /// The iteration has ended abnormally, and this outlives it. What the iteration has asked for is no longer wanted.
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
