//! The REST API over its server, from a client's side.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use senary_metrics::{Engine, Registry, Results};

use super::{RunControl, serve};
use crate::gate::PauseError;
use crate::http_server::Server;
use crate::rest::Status;
use crate::run_phase::RunPhase;

/// A run whose setup ends when the test says so.
struct Run {
    setup: Mutex<(Sender<()>, Receiver<()>)>,
}

impl RunControl for Run {
    fn status(&self) -> Status {
        Status { phase: RunPhase::Running, paused: false, vus: 1, vus_max: 1, stopped: false, tainted: false }
    }

    fn set_paused(&self, _: bool) -> Result<(), PauseError> {
        Ok(())
    }

    fn stop(&self) {}

    fn results(&self) -> Results {
        Engine::new(Registry::new(), &Vec::new(), true, false).unwrap().results(1.0)
    }

    fn setup_data(&self) -> Option<String> {
        None
    }

    fn set_setup_data(&self, _: Option<String>) {}

    fn run_setup(&self) -> Result<(), String> {
        let setup = self.setup.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = setup.0.send(());
        setup.1.recv().map_err(|e| e.to_string())
    }

    fn end_linger(&self) {}

    fn run_teardown(&self) -> Result<(), String> {
        panic!("a script's host must not bring the server down")
    }
}

/// A server, and the two ends of its setup: when it has begun, and to let it end.
fn server() -> (Server, Receiver<()>, Sender<()>) {
    let ((begin, begun), (end, ended)) = (channel(), channel());
    let run = Arc::new(Run { setup: Mutex::new((begin, ended)) });
    (serve("127.0.0.1:0", run, Box::new(|| None)).unwrap(), begun, end)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(mut stream: &TcpStream, method: &str, path: &str) {
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
}

fn answer(mut stream: &TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_long_setup_holds_nobody_up() {
    let (server, begun, end) = server();
    let setup = connect(&server);
    ask(&setup, "POST", "/v1/setup");
    begun.recv().unwrap();
    let status = connect(&server);
    ask(&status, "GET", "/v1/status");
    let text = answer(&status);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("content-type: application/json; charset=utf-8\r\n"), "{text}");
    assert!(text.ends_with(r#""running":true,"tainted":false}}}"#), "{text}");
    end.send(()).unwrap();
    assert!(answer(&setup).contains("200 OK"));
}

#[test]
fn answers_under_way_are_finished_at_the_end() {
    let (server, begun, end) = server();
    let idle = connect(&server);
    let setup = connect(&server);
    ask(&setup, "POST", "/v1/setup");
    begun.recv().unwrap();
    end.send(()).unwrap();
    drop(server);
    assert!(answer(&setup).contains("200 OK"));
    assert_eq!(answer(&idle), "");
}

#[test]
fn an_endless_setup_does_not_hold_up_the_end() {
    let (server, begun, _end) = server();
    let setup = connect(&server);
    ask(&setup, "POST", "/v1/setup");
    begun.recv().unwrap();
    drop(server);
    assert_eq!(answer(&setup), "");
}

#[test]
fn nonsense_and_panics_leave_the_server_as_it_was() {
    let (server, ..) = server();
    let mut nonsense = connect(&server);
    nonsense.write_all(b"\0\xff nonsense\r\n\r\n").unwrap();
    nonsense.shutdown(Shutdown::Write).unwrap();
    assert!(answer(&nonsense).contains("400 Bad Request"));
    let panics = connect(&server);
    ask(&panics, "POST", "/v1/teardown");
    assert!(answer(&panics).contains("500 Internal Server Error"));
    let fine = connect(&server);
    ask(&fine, "GET", "/ping");
    assert!(answer(&fine).ends_with("\r\n\r\nok"));
}

/// Clients that open connections and say nothing, or never finish, take a bounded number of descriptors, and nobody
/// else's turn.
#[test]
fn idle_connections_give_way() {
    let (server, ..) = server();
    let mut idle: Vec<TcpStream> = (0..100).map(|_| connect(&server)).collect();
    for mut stream in &idle[50..] {
        stream
            .write_all(b"PUT /v1/setup HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{")
            .unwrap();
    }
    let status = connect(&server);
    ask(&status, "GET", "/v1/status");
    assert!(answer(&status).contains("200 OK"));
    // The oldest have been closed; the last one has not.
    assert_eq!(answer(&idle[0]), "");
    let mut last = idle.pop().unwrap();
    last.write_all(b"1111111}").unwrap();
    assert!(answer(&last).starts_with("HTTP/1.1 400"));
}

#[test]
fn requests_of_web_pages_are_refused() {
    let (server, ..) = server();
    for header in ["origin: http://evil.example", "sec-fetch-site: cross-site", "host: evil.example"] {
        let mut stream = connect(&server);
        let host = if header.starts_with("host") { "" } else { "host: localhost\r\n" };
        let request = format!("POST /v1/setup HTTP/1.1\r\n{host}{header}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let text = answer(&stream);
        assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n") && text.contains("refused"), "{text}");
    }
}

#[test]
fn addresses_that_cannot_be_listened_on() {
    let (server, ..) = server();
    let taken = server.address().to_string();
    let refuse = |address: &str| {
        let run = Arc::new(Run {
            setup: Mutex::new({
                let ((s, _), (_, r)) = (channel(), channel());
                (s, r)
            }),
        });
        serve(address, run, Box::new(|| None)).err().map(|e| e.to_string())
    };
    assert_eq!(refuse(&taken), Some(format!("listen tcp {taken}: bind: address already in use")));
    assert_eq!(refuse("6565"), Some("listen tcp: address 6565: missing port in address".to_owned()));
    assert!(refuse("127.0.0.1:nothing").is_some());
    assert_eq!(refuse(":0"), None);
}
