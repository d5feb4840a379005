//! A server that a test writes itself.

use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it waits for bytes of the client.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one connection on a free port of the loopback address. Returns the port, and the thread that serves.
pub fn serve(serve: impl FnOnce(TcpStream) + Send + 'static) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        serve(stream);
    });
    (port, thread)
}
