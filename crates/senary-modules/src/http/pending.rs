//! Requests that are under way, while the script waits for them or continues.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use rquickjs::Ctx;
use senary_js::event_loop::Event;
use senary_js::live::{Live, LiveId};
use senary_js::promise::Resolvers;
use tokio::task::AbortHandle;

use super::calls;
use super::flight::{Answer, Flight};

/// It holds the iteration open. If the iteration ends before, the request is cancelled and its connection closed.
pub struct Pending {
    id: LiveId,
    flight: Rc<Flight>,
    /// There is none while the script itself waits.
    promise: RefCell<Option<Resolvers>>,
    answer: RefCell<Option<Answer>>,
    task: Cell<Option<AbortHandle>>,
}

impl Pending {
    fn new(flight: Rc<Flight>, promise: Option<Resolvers>) -> Rc<Self> {
        Rc::new(Self {
            id: flight.vu.events.new_live_id(),
            flight,
            promise: RefCell::new(promise),
            answer: RefCell::default(),
            task: Cell::new(None),
        })
    }

    /// Sends a request whose response settles a promise.
    pub fn start(flight: Rc<Flight>, promise: Resolvers) {
        let pending = Self::new(flight, Some(promise));
        let vu = &pending.flight.vu;
        vu.events.hold(pending.id, pending.clone());
        let this = pending.clone();
        let task = tokio::task::spawn_local(async move {
            let answer = this.flight.clone().fly().await;
            this.answer.replace(Some(answer));
            this.task.take();
            let vu = this.flight.vu.clone();
            vu.events.push(Event::Live(this));
        });
        pending.task.set(Some(task.abort_handle()));
    }

    /// Waits for work on requests; `flight` is the one that is named if the wait is cut off.
    pub fn wait<T: 'static>(
        ctx: &Ctx<'_>,
        flight: &Rc<Flight>,
        work: impl Future<Output = T> + 'static,
    ) -> rquickjs::Result<T> {
        let pending = Self::new(flight.clone(), None);
        let events = &flight.vu.events;
        events.hold(pending.id, pending.clone());
        // If the wait is cut off, the request stays there, so that it can be reported.
        // It is large, and moves several times until it is waited for.
        let outcome = flight.vu.block_on(ctx, Box::pin(work))?;
        events.release(pending.id);
        Ok(outcome)
    }
}

impl Live for Pending {
    fn deliver(self: Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        self.flight.vu.events.release(self.id);
        let (promise, answer) = (self.promise.take(), self.answer.take());
        match promise.zip(answer) {
            Some((promise, answer)) => promise.settle(ctx, calls::finish(ctx, &self.flight, answer)),
            None => Ok(()),
        }
    }

    fn discard(&self) {}

    fn wake(&self) {}

    fn describe(&self) -> String {
        self.flight.describe()
    }

    fn traffic(&self) -> String {
        self.flight.describe()
    }

    fn waits_for_peer(&self) -> bool {
        true
    }

    fn abandon(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.promise.take();
    }
}
