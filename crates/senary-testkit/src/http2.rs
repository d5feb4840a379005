//! A server of HTTP/2 made of raw frames, so that it can do everything a server must not. It reads which streams begin, and says what a
//! test has it say.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificate::Certificate;

/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(60);
const PREFACE: usize = 24;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A request, as far as the server looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub id: u32,
    /// How many came before it, on all connections.
    pub before: usize,
    /// How many came before it on this connection.
    pub before_here: usize,
}

/// What the server does about a request.
pub enum Reply {
    /// These frames, at once.
    Says(Vec<u8>),
    /// These frames, then the end of the connection.
    SaysAndLeaves(Vec<u8>),
    /// These frames, then a reset: what the client still sends is not read.
    SaysAndBreaks(Vec<u8>),
    /// The first frames, then the others again and again.
    SaysWithoutEnd(Vec<u8>, Vec<u8>),
    /// These frames, a byte at a time.
    Drips(Vec<u8>),
}

pub struct Site {
    /// `https://127.0.0.1:…`, without a slash at the end.
    pub url: String,
    streams: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Site {
    /// A server whose settings are the usual ones.
    pub fn start(answer: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_settings(&[], answer)
    }

    /// The settings are numbers and values.
    pub fn with_settings(
        settings: &[(u16, u32)],
        answer: impl Fn(Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(number, value)| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let greeting = Arc::new(frame(SETTINGS, 0, 0, &settings));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let mut tls = ServerConfig::clone(&Certificate::Valid.server_config(false));
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let (tls, answer) = (Arc::new(tls), Arc::new(answer));
        let (streams, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let site = Self { url, streams: Arc::clone(&streams), connections: Arc::clone(&connections) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::SeqCst);
                let tls = ServerConnection::new(Arc::clone(&tls)).expect("a session of TLS");
                let (answer, streams, greeting) = (answer.clone(), streams.clone(), greeting.clone());
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    let _ = stream.set_nodelay(true);
                    // Clients break connections; that is what the tests are about.
                    let mut stream = StreamOwned::new(tls, stream);
                    if serve(&mut stream, &greeting, &streams, &*answer).is_ok_and(|in_order| in_order) {
                        leave(stream);
                    }
                });
            }
        });
        site
    }

    /// How many requests have come.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A frame; `kind` is one of the constants here.
pub fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// The fields of a head with status 200, to be put into [`HEADERS`] and [`CONTINUATION`].
pub fn fields(more: &[(&str, &str)]) -> Vec<u8> {
    // Status 200 is entry 8 of the table that everybody has.
    let mut block = vec![0x88];
    for (name, value) in more {
        block.push(0);
        for text in [name, value] {
            // Longer ones would need more than one byte.
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A whole response.
pub fn page(stream: u32, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &fields(headers));
    [head, frame(DATA, END_STREAM, stream, body)].concat()
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat())
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Whether the connection is to end in good order.
fn serve(
    stream: &mut Stream,
    greeting: &[u8],
    streams: &AtomicUsize,
    answer: &dyn Fn(Asked) -> Reply,
) -> io::Result<bool> {
    stream.read_exact(&mut [0; PREFACE])?;
    say(stream, greeting)?;
    let mut before_here = 0;
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header)?;
        let [a, b, c, kind, flags, id @ ..] = header;
        let mut content = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut content)?;
        match kind {
            SETTINGS if flags & 1 == 0 => say(stream, &frame(SETTINGS, 1, 0, &[]))?,
            PING if flags & 1 == 0 => say(stream, &frame(PING, 1, 0, &content))?,
            HEADERS => {
                let before = streams.fetch_add(1, Ordering::SeqCst);
                let id = u32::from_be_bytes(id);
                match answer(Asked { id, before, before_here }) {
                    Reply::Says(frames) => say(stream, &frames)?,
                    Reply::SaysAndLeaves(frames) => return say(stream, &frames).map(|()| true),
                    Reply::SaysAndBreaks(frames) => return say(stream, &frames).map(|()| false),
                    Reply::SaysWithoutEnd(first, more) => {
                        say(stream, &first)?;
                        let many = more.repeat(16 * 1024 / more.len() + 1);
                        loop {
                            say(stream, &many)?;
                        }
                    }
                    Reply::Drips(frames) => {
                        for byte in frames {
                            say(stream, &[byte])?;
                        }
                    }
                }
                before_here += 1;
            }
            _ => {}
        }
    }
}

fn say(stream: &mut Stream, frames: &[u8]) -> io::Result<()> {
    stream.write_all(frames)?;
    stream.flush()
}

/// Ends in good order; what still comes is read, so that nothing is reset.
fn leave(mut stream: Stream) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
    let _ = stream.sock.shutdown(std::net::Shutdown::Write);
    while stream.sock.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
}
