//! A server that takes what an output sends, answers as it is told to, and may go away and come back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// `/write?db=k6`
    pub target: String,
    /// As `name: value`, names in small letters.
    pub headers: Vec<String>,
    pub body: String,
    /// What it was answered.
    pub status: u16,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// How requests are answered.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Status codes, one for each request; the last for all that follow.
    pub statuses: Vec<u16>,
    pub delay: Duration,
    /// Further lines of the head.
    pub headers: &'static str,
}

impl Default for Manner {
    fn default() -> Self {
        Self { statuses: vec![204], delay: Duration::ZERO, headers: "" }
    }
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    answered: AtomicUsize,
    is_gone: AtomicBool,
}

pub struct Database {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    pub fn start(manner: Manner) -> Self {
        Self::on(0, manner)
    }

    /// On a port, which is free again once a server that had it is dropped.
    pub fn on(port: u16, manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::<Shared>::default();
        let serving = shared.clone();
        let thread = std::thread::spawn(move || {
            while !serving.is_gone.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let (serving, manner) = (serving.clone(), manner.clone());
                        std::thread::spawn(move || serving.serve(stream, &manner));
                    }
                    Err(_) => std::thread::sleep(POLL),
                }
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no panic").clone()
    }

    /// The bodies of the requests to a path that were taken.
    pub fn taken(&self, path: &str) -> String {
        let is_taken = |request: &Request| request.target.starts_with(path) && request.status < 300;
        self.requests().into_iter().filter(is_taken).map(|request| request.body).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.shared.is_gone.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

impl Shared {
    /// One request; the connection is closed behind the answer.
    fn serve(&self, stream: TcpStream, manner: &Manner) {
        stream.set_nonblocking(false).expect("a stream");
        stream.set_read_timeout(Some(PATIENCE)).expect("a stream");
        let Some(mut request) = read(&stream) else { return };
        std::thread::sleep(manner.delay);
        if self.is_gone.load(Ordering::Relaxed) {
            return;
        }
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let status = manner.statuses[number.min(manner.statuses.len() - 1)];
        request.status = status;
        // What a test counts is what was taken, so it is written down before anybody knows.
        self.requests.lock().expect("no panic").push(request);
        let head = format!(
            "HTTP/1.1 {status} Answer\r\n{}Content-Length: 0\r\nConnection: close\r\n\r\n",
            manner.headers
        );
        (&stream).write_all(head.as_bytes()).ok();
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let target = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| format!("{}: {value}", name.to_lowercase()))
        .collect();
    let length =
        headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Request { target, headers, body, status: 0 })
}
