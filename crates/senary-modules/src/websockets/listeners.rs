//! Who is told what: the handlers `onopen` and so on, and the listeners that were added.

use std::cell::RefCell;

use rquickjs::Function;
use rquickjs::class::{Trace, Tracer};

/// The events of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    Open,
    Message,
    Ping,
    Pong,
    Error,
    Close,
}

pub const EVENT_COUNT: usize = EventName::ALL.len();

impl EventName {
    pub const ALL: [Self; 6] = [Self::Open, Self::Message, Self::Ping, Self::Pong, Self::Error, Self::Close];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Message => "message",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Error => "error",
            Self::Close => "close",
        }
    }

    /// The name of its handler.
    pub fn handler(self) -> &'static str {
        match self {
            Self::Open => "onopen",
            Self::Message => "onmessage",
            Self::Ping => "onping",
            Self::Pong => "onpong",
            Self::Error => "onerror",
            Self::Close => "onclose",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }
}

/// The handler and the listeners of one event.
#[derive(Default)]
struct Hearers<'js> {
    handler: Option<Function<'js>>,
    added: Vec<Function<'js>>,
}

#[derive(Default)]
pub struct Listeners<'js>(RefCell<[Hearers<'js>; EVENT_COUNT]>);

impl<'js> Listeners<'js> {
    pub fn handler(&self, event: EventName) -> Option<Function<'js>> {
        self.0.borrow()[event as usize].handler.clone()
    }

    pub fn set_handler(&self, event: EventName, handler: Option<Function<'js>>) {
        let old = std::mem::replace(&mut self.0.borrow_mut()[event as usize].handler, handler);
        // Last: the end of a function may look at the listeners.
        drop(old);
    }

    pub fn add(&self, event: EventName, listener: Function<'js>) {
        self.0.borrow_mut()[event as usize].added.push(listener);
    }

    /// Takes one off, however often it was added.
    pub fn remove(&self, event: EventName, listener: &Function<'js>) {
        let (kept, removed) = {
            let mut hearers = self.0.borrow_mut();
            let added = std::mem::take(&mut hearers[event as usize].added);
            added.into_iter().partition(|known| known != listener)
        };
        self.0.borrow_mut()[event as usize].added = kept;
        drop::<Vec<_>>(removed);
    }

    /// Those that hear of the event now, in their order.
    pub fn of(&self, event: EventName) -> Vec<Function<'js>> {
        let hearers = self.0.borrow();
        let of = &hearers[event as usize];
        of.handler.iter().chain(&of.added).cloned().collect()
    }
}

impl<'js> Trace<'js> for Listeners<'js> {
    fn trace<'a>(&self, tracer: Tracer<'a, 'js>) {
        // Borrowed only while something is replaced, which allocates nothing in the engine.
        if let Ok(hearers) = self.0.try_borrow() {
            hearers.iter().flat_map(|of| of.handler.iter().chain(&of.added)).for_each(|f| f.trace(tracer));
        }
    }
}
