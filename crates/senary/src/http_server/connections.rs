//! What clients may take of the generator: how many connections, and how much memory for the bodies of their requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio_util::sync::CancellationToken;

/// More than everybody who watches a run needs, and few of the descriptors that the test needs.
const MAX_CONNECTIONS: usize = 64;
/// Longer bodies are refused, in bytes; setup data may be large.
const MAX_BODY: usize = 64 << 20;
/// All bodies that are being read or worked on, in bytes.
const MAX_BODIES: usize = 64 << 20;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The connections that are open, the oldest first.
#[derive(Default)]
pub struct Connections {
    open: VecDeque<Arc<Connection>>,
}

/// What the server knows of a connection. Its task holds it as long as it is open.
#[derive(Default)]
pub struct Connection {
    /// The run is at work on what the client has asked.
    at_work: AtomicBool,
    given_up: CancellationToken,
}

impl Connections {
    /// Takes in a connection. If there are too many, the oldest that waits for its client is given up for it; `None` if
    /// there is none such.
    pub fn admit(&mut self) -> Option<Arc<Connection>> {
        self.open.retain(|connection| Arc::strong_count(connection) > 1);
        if self.open.len() >= MAX_CONNECTIONS {
            let waiting = self.open.iter().position(|c| !c.at_work.load(Ordering::Relaxed))?;
            self.open.remove(waiting)?.given_up.cancel();
        }
        let connection = Arc::new(Connection::default());
        self.open.push_back(connection.clone());
        Some(connection)
    }
}

impl Connection {
    /// Comes when another connection needs the place.
    pub async fn given_up(&self) {
        self.given_up.cancelled().await;
    }

    pub fn set_at_work(&self, at_work: bool) {
        self.at_work.store(at_work, Ordering::Relaxed);
    }
}

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    TooLarge,
    /// The bodies of other requests take all the memory there is for bodies.
    NoRoom,
    TooSlow,
    /// The client has not sent as much as it announced.
    Broken,
}

/// The memory and the time for bodies.
pub struct Bodies {
    taken: AtomicUsize,
    timeout: Duration,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { taken: AtomicUsize::new(0), timeout: BODY_TIMEOUT }
    }
}

/// A body, whose bytes are given back when it is dropped.
pub struct Held {
    pub data: Vec<u8>,
    of: Arc<Bodies>,
    taken: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Bodies {
    pub async fn read<B: Body<Data = Bytes> + Unpin>(self: Arc<Self>, body: B) -> Result<Held, BodyError> {
        let timeout = self.timeout;
        let held = Held { data: Vec::new(), of: self, taken: 0 };
        tokio::time::timeout(timeout, held.filled(body)).await.unwrap_or(Err(BodyError::TooSlow))
    }
}

impl Held {
    async fn filled<B: Body<Data = Bytes> + Unpin>(mut self, mut body: B) -> Result<Self, BodyError> {
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(BodyError::TooLarge);
        }
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            if self.data.len() + data.len() > MAX_BODY {
                return Err(BodyError::TooLarge);
            }
            self.taken += data.len();
            if self.of.taken.fetch_add(data.len(), Ordering::Relaxed) + data.len() > MAX_BODIES {
                return Err(BodyError::NoRoom);
            }
            self.data.extend_from_slice(&data);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::{Empty, Full};
    use hyper::body::Frame;

    use super::*;

    #[test]
    fn the_oldest_that_waits_gives_way() {
        let mut connections = Connections::default();
        let mut open: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connections.admit().unwrap()).collect();
        open[0].set_at_work(true);
        let new = connections.admit().unwrap();
        let gone: Vec<usize> = (0..open.len()).filter(|i| open[*i].given_up.is_cancelled()).collect();
        assert_eq!(gone, [1]);
        open.iter().for_each(|connection| connection.set_at_work(true));
        new.set_at_work(true);
        assert!(connections.admit().is_none());
        open.pop();
        assert!(connections.admit().is_some());
    }

    fn block_on<T>(task: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(task)
    }

    fn of(length: usize) -> Full<Bytes> {
        Full::from(vec![0; length])
    }

    #[test]
    fn bodies_together_are_bounded() {
        let bodies = Arc::new(Bodies::default());
        let read = |length| block_on(bodies.clone().read(of(length)));
        assert_eq!(read(MAX_BODY + 1).err(), Some(BodyError::TooLarge));
        let held = read(MAX_BODY).unwrap();
        assert_eq!(read(1).err(), Some(BodyError::NoRoom));
        assert!(block_on(bodies.clone().read(Empty::new())).is_ok());
        drop(held);
        assert_eq!(read(1).unwrap().data, [0]);
        assert_eq!(bodies.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_that_never_ends_is_given_up() {
        let bodies = Arc::new(Bodies { timeout: Duration::from_millis(20), ..Bodies::default() });
        assert_eq!(block_on(bodies.clone().read(Endless { begun: false })).err(), Some(BodyError::TooSlow));
        assert_eq!(bodies.taken.load(Ordering::Relaxed), 0);
    }

    /// Says something, and then nothing any more.
    struct Endless {
        begun: bool,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            match std::mem::replace(&mut self.begun, true) {
                true => Poll::Pending,
                false => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"begun"))))),
            }
        }
    }
}
