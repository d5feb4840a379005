//! A connection that speaks HTTP/2, and how many requests it carries.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::task::{JoinHandle, spawn_local};

use super::io::{Carrier, Fate, Io};
use crate::error::NetError;
use crate::http::error::{Http2Error, HttpError, Origin};
use crate::http::exchange::ConnectionId;
use crate::network::Address;
use crate::tls::TlsInfo;

/// In bytes: what a server may send before it is read, on a stream and on a connection; as in Go.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;
/// In bytes: the longest head of a response; as in Go.
const MAX_HEAD: u32 = 10 << 20;

/// How many requests a server is given before it has said how many it takes; as in Go.
const STREAMS: usize = 100;

pub struct Http2 {
    pub(super) sender: SendRequest<Bytes>,
    pub remote: Address,
    pub tls: Option<Rc<TlsInfo>>,
    pub id: ConnectionId,
    pub(super) fate: Rc<Fate>,
    load: Rc<Load>,
    driver: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Load {
    /// How many requests are under way.
    active: Cell<usize>,
    /// How many the server takes at the same time.
    max: Cell<usize>,
    used: Cell<bool>,
    closed: Cell<bool>,
}

/// A request that is under way.
pub(super) struct Active(Rc<Load>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}

impl Http2 {
    pub async fn begin(
        stream: impl Carrier,
        remote: Address,
        tls: Option<Rc<TlsInfo>>,
        id: ConnectionId,
    ) -> Result<Self, HttpError> {
        let (fate, load) = (Rc::<Fate>::default(), Rc::<Load>::default());
        let io = Io::new(stream, fate.clone());
        let begun = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .handshake::<_, Bytes>(io)
            .await;
        let (sender, mut connection) = begun.map_err(|error| explain(&error, &fate, 0, false))?;
        load.max.set(connection.max_concurrent_send_streams());
        let of_driver = load.clone();
        let driver = spawn_local(async move {
            // Its streams learn how it ended.
            let _ = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                of_driver.max.set(connection.max_concurrent_send_streams());
                polled
            })
            .await;
            of_driver.closed.set(true);
        });
        Ok(Self { sender, remote, tls, id, fate, load, driver })
    }

    /// Whether no more requests can be sent over it.
    pub fn is_closed(&self) -> bool {
        let Fate { broken, goaway, ended, .. } = &*self.fate;
        self.load.closed.get() || ended.get() || goaway.borrow().is_some() || broken.borrow().is_some()
    }

    /// Whether the server takes another request now.
    pub fn has_room(&self) -> bool {
        self.load.active.get() < self.load.max.get()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn active(&self) -> usize {
        self.load.active.get()
    }

    pub fn is_used(&self) -> bool {
        self.load.used.get()
    }

    pub(super) fn activate(&self) -> Active {
        self.load.active.set(self.load.active.get() + 1);
        self.load.used.set(true);
        Active(self.load.clone())
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An error of the crate `h2` in the terms of the reference.
pub(super) fn explain(error: &h2::Error, fate: &Fate, stream: u32, in_response: bool) -> HttpError {
    let code = error.reason().map_or(0, u32::from);
    let of = |origin, code, stream, debug: &str| {
        HttpError::Http2(Http2Error { origin, code, stream, debug: debug.to_owned() })
    };
    if error.is_reset() {
        return of(Origin::Stream { from_server: error.is_remote() }, code, stream, "");
    }
    if error.is_go_away() && !error.is_remote() {
        return of(Origin::Connection, code, stream, "");
    }
    if let Some(goaway) = &*fate.goaway.borrow() {
        return of(Origin::GoAway, goaway.code, goaway.last_stream, &goaway.debug);
    }
    if error.is_go_away() {
        return of(Origin::GoAway, code, 0, "");
    }
    match (&*fate.broken.borrow(), error.is_io()) {
        (Some(broken), _) => HttpError::Net(again(broken)),
        (None, true) => HttpError::Ended { in_response },
        (None, false) => HttpError::Response(format!("http2: {error}")),
    }
}

/// The same error for one more request of a connection.
fn again(error: &NetError) -> NetError {
    let copy = |error: &io::Error| match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    };
    match error {
        NetError::Read { ends, error } => NetError::Read { ends: ends.clone(), error: copy(error) },
        NetError::Write { ends, error } => NetError::Write { ends: ends.clone(), error: copy(error) },
        NetError::TlsAlert { text } => NetError::TlsAlert { text: text.clone() },
        NetError::TlsTruncated => NetError::TlsTruncated,
        other => NetError::TlsBroken { text: other.to_string() },
    }
}
