//! What a blocked VU waits for: something that has happened to its session, or a timer.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use senary_js::wake;

use crate::websocket::{Hears, Session};

#[derive(Default)]
pub struct Conversation {
    waker: RefCell<Option<Waker>>,
    /// The VU is blocked in `connect()` itself, and not in a listener.
    waits: Cell<bool>,
}

impl Conversation {
    /// Waits until there is something to tell, or it is time.
    pub async fn next(self: Rc<Self>, session: Rc<Session>, due: Option<Instant>) {
        let mut timer = pin!(due.map(wake::sleep_until));
        self.waits.set(true);
        session.wake();
        poll_fn(|cx| {
            self.waker.replace(Some(cx.waker().clone()));
            let is_due = timer.as_mut().as_pin_mut().is_some_and(|timer| timer.poll(cx).is_ready());
            if is_due || !session.is_heard() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.waits.set(false);
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Hears for Conversation {
    fn happened(self: Rc<Self>) {
        self.wake();
    }

    fn run(&self) {}

    fn can_hear(&self) -> bool {
        self.waits.get()
    }
}
