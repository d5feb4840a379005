//! The events that the reference's viewers read: all of them since the start, for clients that come late or come back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::http_server::Sender;

/// After the last event viewers need not come back: the largest number of milliseconds that JavaScript can count.
const NEVER: u64 = (1 << 53) - 1;

/// The last event.
pub const STOP: &str = "stop";

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    /// JSON.
    pub data: Arc<str>,
}

impl Event {
    /// As server-sent events have it (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), in the
    /// reference's order.
    fn frame(&self, id: usize) -> String {
        let retry = if self.kind == STOP { format!("retry: {NEVER}\n") } else { String::new() };
        format!("id: {id}\ndata: {}\nevent: {}\n{retry}\n", self.data, self.kind)
    }

    /// As a line of a file.
    pub fn line(&self) -> String {
        format!("{{\"event\":{},\"data\":{}}}\n", json!(self.kind), self.data)
    }
}

/// All events of a run.
#[derive(Debug)]
pub struct EventLog {
    events: Mutex<Vec<Event>>,
    /// How many there are.
    length: watch::Sender<usize>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { events: Mutex::default(), length: watch::Sender::new(0) }
    }
}

impl EventLog {
    pub fn push(&self, kind: &'static str, data: &Value) {
        let length = {
            let mut events = self.lock();
            events.push(Event { kind, data: data.to_string().into() });
            events.len()
        };
        self.length.send_replace(length);
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Sends a client all events from a number on, as they come, until the client goes.
    pub async fn tell(self: Arc<Self>, from: usize, client: Sender, clients: Clients) {
        let _counted = clients.count();
        let (mut next, mut length) = (from, self.length.subscribe());
        loop {
            length.borrow_and_update();
            let new: Vec<_> = self.lock().get(next..).unwrap_or_default().to_vec();
            for event in new {
                if !client.send(event.frame(next)).await {
                    return;
                }
                next += 1;
            }
            tokio::select! {
                changed = length.changed() => if changed.is_err() { return },
                () = client.gone() => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the clients that watch.
#[derive(Clone, Debug, Default)]
pub struct Clients(Arc<ClientCount>);

#[derive(Debug)]
struct ClientCount {
    watching: AtomicUsize,
    changed: watch::Sender<()>,
}

impl Default for ClientCount {
    fn default() -> Self {
        Self { watching: AtomicUsize::new(0), changed: watch::Sender::new(()) }
    }
}

/// One of them, as long as this is there.
pub struct Counted(Clients);

impl Clients {
    pub fn count(&self) -> Counted {
        self.0.watching.fetch_add(1, Ordering::SeqCst);
        Counted(self.clone())
    }

    /// Waits until there is no client any more.
    pub async fn all_gone(&self) {
        let mut changed = self.0.changed.subscribe();
        while self.0.watching.load(Ordering::SeqCst) > 0 {
            let _ = changed.changed().await;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.watching.fetch_sub(1, Ordering::SeqCst);
        self.0.0.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_in_the_order_of_the_reference() {
        let event = |kind| Event { kind, data: "[[1]]".into() };
        assert_eq!(event("start").frame(2), "id: 2\ndata: [[1]]\nevent: start\n\n");
        assert_eq!(event(STOP).frame(9), "id: 9\ndata: [[1]]\nevent: stop\nretry: 9007199254740991\n\n");
        assert_eq!(event("start").line(), "{\"event\":\"start\",\"data\":[[1]]}\n");
    }
}
