//! The connections of a client that wait for their next request.
//!
//! A VU talks to few hosts, so they are searched one after the other: a list takes less memory than a map, and nothing is
//! allocated to look something up.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::exchange::ConnectionId;
use super::http1::Http1;
use super::http2::Http2;

/// What connections are kept for: requests with the same way may share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way<'a> {
    pub(super) secure: bool,
    /// It leads to a proxy that forwards requests to any server.
    pub(super) proxied: bool,
    pub(super) host: &'a str,
    pub(super) port: i64,
}

#[derive(Debug)]
struct Key {
    secure: bool,
    proxied: bool,
    host: Box<str>,
    port: i64,
}

impl Way<'_> {
    fn key(&self) -> Key {
        Key { secure: self.secure, proxied: self.proxied, host: self.host.into(), port: self.port }
    }
}

impl Key {
    fn way(&self) -> Way<'_> {
        Way { secure: self.secure, proxied: self.proxied, host: &self.host, port: self.port }
    }
}

/// How many idle connections are kept, whatever hosts they lead to.
const MAX_IDLE: usize = 100;

/// What came of a connect that other requests wait for.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    known: Notify,
    is_shared: Cell<bool>,
}

impl Outcome {
    /// Whether there is a connection that others may use.
    pub(super) async fn is_shared(&self) -> bool {
        self.known.notified().await;
        self.is_shared.get()
    }
}

#[derive(Default)]
pub(super) struct Pool {
    /// The one that was used last comes last.
    idle: Vec<(Key, Http1)>,
    /// Connections that carry many requests at the same time.
    shared: Vec<(Key, Rc<Http2>)>,
    /// Connects to servers of which it is not known yet what they speak.
    probing: Vec<(Key, Rc<Outcome>)>,
    /// Servers of `https` URLs that do not speak HTTP/2.
    without_http2: Vec<Key>,
    /// How often the kept connections were closed.
    pub(super) generation: u64,
}

impl Pool {
    /// Takes the connection that was used last, or a certain one.
    pub(super) fn take(&mut self, way: Way<'_>, id: Option<ConnectionId>) -> Option<Http1> {
        let fits =
            |(key, connection): &(Key, Http1)| key.way() == way && id.is_none_or(|id| connection.id == id);
        let at = self.idle.iter().rposition(fits)?;
        Some(self.idle.remove(at).1)
    }

    /// Keeps a connection. Gives back the one that has no room, if there is one.
    pub(super) fn put(&mut self, way: Way<'_>, connection: Http1, max_per_host: usize) -> Option<Http1> {
        let to_same = self.idle.iter().filter(|(key, _)| key.way() == way).count();
        let oldest = if to_same >= max_per_host.max(1) {
            self.idle.iter().position(|(key, _)| key.way() == way)
        } else {
            (self.idle.len() >= MAX_IDLE).then_some(0)
        };
        let removed = oldest.map(|at| self.idle.remove(at));
        let (key, surplus) = match removed {
            // The key of the same host is used again.
            Some((key, surplus)) if key.way() == way => (key, Some(surplus)),
            Some((_, surplus)) => (way.key(), Some(surplus)),
            None => (way.key(), None),
        };
        self.idle.push((key, connection));
        surplus
    }

    /// A connection of HTTP/2 that takes another request.
    pub(super) fn shared(&mut self, way: Way<'_>) -> Option<Rc<Http2>> {
        self.shared.retain(|(_, connection)| !connection.is_closed());
        let free = |(key, connection): &&(Key, Rc<Http2>)| key.way() == way && connection.has_room();
        self.shared.iter().find(free).map(|(_, connection)| connection.clone())
    }

    pub(super) fn share(&mut self, way: Way<'_>, connection: Rc<Http2>) {
        self.shared.push((way.key(), connection));
    }

    /// What another request has begun, so that it becomes known what the server speaks.
    pub(super) fn probe_of(&self, way: Way<'_>) -> Option<Rc<Outcome>> {
        self.probing.iter().find(|(key, _)| key.way() == way).map(|(_, probe)| probe.clone())
    }

    pub(super) fn is_without_http2(&self, way: Way<'_>) -> bool {
        self.without_http2.iter().any(|key| key.way() == way)
    }

    pub(super) fn note_without_http2(&mut self, way: Way<'_>) {
        if !self.is_without_http2(way) {
            self.without_http2.push(way.key());
        }
    }

    pub(super) fn begin_probe(&mut self, way: Way<'_>) {
        self.probing.push((way.key(), Rc::default()));
    }

    /// The connect has ended: with a connection that can be shared, if there is one with room now.
    pub(super) fn end_probe(&mut self, way: Way<'_>) {
        if let Some(at) = self.probing.iter().position(|(key, _)| key.way() == way) {
            let outcome = self.probing.swap_remove(at).1;
            outcome.is_shared.set(self.shared(way).is_some());
            outcome.known.notify_waiters();
        }
    }

    /// Takes out all connections that no request uses; those in use are not kept afterwards.
    pub(super) fn clear(&mut self) -> Vec<Http1> {
        self.generation += 1;
        self.shared.clear();
        self.idle.drain(..).map(|(_, connection)| connection).collect()
    }
}
