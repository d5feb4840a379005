//! A web site: it keeps connections open, answers each request as a test says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificate::Certificate;

/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of its connection, from 0.
    pub connection: usize,
}

impl Asked {
    /// The first value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a request is answered with.
pub struct Reply {
    pub bytes: Vec<u8>,
    pub then: Then,
    /// So long after the request.
    pub delay: Duration,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Keep,
    Close,
    /// Nothing more is sent, and the connection stays open.
    Hang,
}

impl Reply {
    /// A whole response with these headers (`name: value`).
    pub fn page(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} Words\r\nContent-Length: {}\r\n", body.len()).into_bytes();
        for header in headers {
            bytes.extend_from_slice(format!("{header}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self { bytes, then: Then::Keep, delay: Duration::ZERO }
    }

    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::page(200, &[], body)
    }

    /// These very bytes.
    pub fn raw(bytes: impl AsRef<[u8]>, then: Then) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), then, delay: Duration::ZERO }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

pub struct Site {
    /// `http://127.0.0.1:…` or `https://127.0.0.1:…`, without a slash at the end.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
}

impl Site {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(answer, None)
    }

    /// The same behind TLS, with a certificate of [`Certificate::authority_pem`].
    pub fn start_tls(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(answer, Some(Certificate::Valid.server_config(false)))
    }

    fn listen(
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let (asked, open) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let site = Self { url, asked: Arc::clone(&asked), open: Arc::clone(&open) };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                let (asked, open, answer) = (Arc::clone(&asked), Arc::clone(&open), Arc::clone(&answer));
                let tls = tls.clone();
                open.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    match tls.map(|tls| ServerConnection::new(tls).expect("a session of TLS")) {
                        None => serve(stream, connection, &asked, &*answer),
                        Some(tls) => serve(StreamOwned::new(tls, stream), connection, &asked, &*answer),
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        site
    }

    /// What was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test has panicked in there").clone()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn serve(
    stream: impl Read + Write,
    connection: usize,
    asked: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Reply,
) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, connection) {
        asked.lock().expect("no test has panicked in there").push(request.clone());
        let reply = answer(&request);
        std::thread::sleep(reply.delay);
        let writer = reader.get_mut();
        if writer.write_all(&reply.bytes).and_then(|()| writer.flush()).is_err() {
            return;
        }
        match reply.then {
            Then::Keep => {}
            Then::Close => return,
            Then::Hang => {
                let _ = reader.read(&mut [0]);
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead, connection: usize) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
    let mut body = vec![0; length.and_then(Result::ok).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body, connection })
}
