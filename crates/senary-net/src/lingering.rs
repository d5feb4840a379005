//! The end of connections that were closed right after something was written: half-closed, and kept until the peer has closed
//! too.
//!
//! If the peer sends something to a closed connection, the connection is reset, and written data that the peer has not read yet
//! is lost. The script and its worker do not wait for the peer: a separate thread does. Time, bytes and the number
//! of such connections are bounded; beyond the bounds, connections are simply closed.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustls::ClientConnection;
use tokio::io::Interest;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::runtime_thread::runtime_thread;
use crate::transport::{Detached, Transport};

/// How long a peer may take to close.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much the peer may send until then, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// Connections at a time, and the part of the files this process may open.
const MAX_CONNECTIONS: u64 = 256;
const PART_OF_FILES: u64 = 8;

/// How many connections linger.
static UNDER_WAY: Mutex<u64> = Mutex::new(0);
static NONE_LEFT: Condvar = Condvar::new();

/// A connection that the script has closed.
struct Lingering {
    transport: Detached,
    /// The TLS state, which may hold back some of the written data.
    tls: Option<Box<ClientConnection>>,
    _place: Place,
}

/// Closes a connection once its peer has received everything; at once if too many connections are lingering already.
pub(crate) fn close(mut transport: Transport, tls: Option<Box<ClientConnection>>) {
    let Some(place) = Place::take() else { return };
    let Some(queue) = queue() else { return };
    if tls.is_none() && transport.shutdown_write().is_err() {
        return;
    }
    let Ok(transport) = transport.detach() else { return };
    // If the thread has ended, the connection is closed here.
    let _ = queue.send(Lingering { transport, tls, _place: place });
}

/// Waits until no connection lingers any more, which takes a second at most. For the end of a process, which would cut them short.
pub fn wait_all() {
    let waited = NONE_LEFT.wait_timeout_while(under_way(), PATIENCE, |under_way| *under_way > 0);
    drop(waited.unwrap_or_else(PoisonError::into_inner));
}

fn under_way() -> MutexGuard<'static, u64> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the few places for lingering connections.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        static LIMIT: OnceLock<u64> = OnceLock::new();
        let limit = *LIMIT.get_or_init(|| {
            getrlimit(Resource::Nofile)
                .current
                .map_or(MAX_CONNECTIONS, |files| MAX_CONNECTIONS.min(files / PART_OF_FILES))
        });
        let mut under_way = under_way();
        (*under_way < limit).then(|| {
            *under_way += 1;
            Self
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = under_way();
        *under_way -= 1;
        if *under_way == 0 {
            NONE_LEFT.notify_all();
        }
    }
}

/// The queue to the thread, which is started when it is first needed; `None` if the system gives no thread.
fn queue() -> Option<&'static UnboundedSender<Lingering>> {
    static QUEUE: OnceLock<Option<UnboundedSender<Lingering>>> = OnceLock::new();
    let start = || {
        let (sender, connections) = unbounded_channel();
        let serve = move |runtime| tokio::task::LocalSet::new().block_on(&runtime, serve(connections));
        runtime_thread("lingering", serve).ok()?;
        Some(sender)
    };
    QUEUE.get_or_init(start).as_ref()
}

async fn serve(mut connections: UnboundedReceiver<Lingering>) {
    while let Some(connection) = connections.recv().await {
        tokio::task::spawn_local(async move {
            // A peer that is gone, or too slow, is not waited for.
            let _ = tokio::time::timeout(PATIENCE, connection.finish()).await;
        });
    }
}

impl Lingering {
    async fn finish(self) -> io::Result<()> {
        let Self { transport, mut tls, _place } = self;
        let mut transport = transport.attach()?;
        let mut scrap = vec![0; 16 * 1024];
        let mut heard = 0;
        while heard < MAX_BYTES {
            let interest =
                if tls.is_some() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let ready = transport.ready(interest).await?;
            if let Some(connection) = &mut tls
                && ready.is_writable()
            {
                while connection.wants_write() {
                    match connection.write_tls(&mut TryWrite(&mut transport)) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
                if !connection.wants_write() {
                    tls = None;
                    transport.shutdown_write()?;
                }
            }
            match transport.try_read(&mut scrap) {
                Ok(0) => return Ok(()),
                Ok(read) => heard += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes what the kernel takes now.
struct TryWrite<'a>(&'a mut Transport);

impl Write for TryWrite<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.try_write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
