//! HTTP on a thread of its own.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use senary_words::remedy::explained;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::RunControl;
use super::connections::{Bodies, BodyError, Connection, Connections};
use super::guard::Guard;
use super::routes::{Reply, respond};
use crate::background::Background;

/// How long a client may take for the head of a request, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// How long answers under way may take once the run is over.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How long to leave it at that when the system has no descriptor for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("listen tcp: address {0}: missing port in address")]
    NoPort(String),
    #[error("listen tcp {address}: bind: {}", explained(.error))]
    Bind { address: String, error: io::Error },
    #[error("starting the thread of the REST API: {}", explained(.0))]
    Thread(io::Error),
}

/// The server at work. Dropping it ends it; answers under way may still be finished.
pub struct Server {
    address: SocketAddr,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `host:port`, or on all addresses for `:port`.
    pub fn start(address: &str, run: Arc<dyn RunControl>) -> Result<Self, BindError> {
        let listener = listen(address)?;
        let guard = Guard::new(address, listener.local_addr().map_err(BindError::Thread)?);
        let address = listener.local_addr().map_err(BindError::Thread)?;
        let api = Arc::new(Api { run, guard, bodies: Arc::default() });
        let end = CancellationToken::new();
        let serving = end.clone();
        let thread = thread::Builder::new()
            .name("rest-api".to_owned())
            .spawn(move || {
                if let Err(error) = serve_all(listener, &api, &serving) {
                    log::error!(error = error.to_string().as_str(); "Error from API server");
                }
            })
            .map_err(BindError::Thread)?;
        Ok(Self { address, end, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What every request needs.
struct Api {
    run: Arc<dyn RunControl>,
    guard: Guard,
    bodies: Arc<Bodies>,
}

fn listen(address: &str) -> Result<TcpListener, BindError> {
    if address.rsplit_once(':').is_none() {
        return Err(BindError::NoPort(address.to_owned()));
    }
    let listener = match address.strip_prefix(':') {
        // The IPv6 wildcard takes IPv4 connections too, where there is IPv6.
        Some(port) => TcpListener::bind(format!("[::]:{port}"))
            .or_else(|_| TcpListener::bind(format!("0.0.0.0:{port}"))),
        None => TcpListener::bind(address),
    };
    listener.map_err(|error| BindError::Bind { address: address.to_owned(), error })
}

/// Serves until `end` is cancelled, and then until the answers under way are given.
fn serve_all(listener: TcpListener, api: &Arc<Api>, end: &CancellationToken) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (mut connections, mut tasks) = (Connections::default(), JoinSet::new());
        loop {
            let accepted = tokio::select! {
                () = end.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    // Without a place the connection is closed at once.
                    if let Some(connection) = connections.admit() {
                        tasks.spawn(serve(stream, api.clone(), connection, end.clone()));
                    }
                }
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            }
            while tasks.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while tasks.join_next().await.is_some() {} };
        // A client that takes longer to read its answer does without, and a script that is still in setup() or teardown()
        // is not waited for.
        let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
        Ok(())
    })
}

async fn serve(stream: TcpStream, api: Arc<Api>, connection: Arc<Connection>, end: CancellationToken) {
    let of = connection.clone();
    let service = service_fn(move |request| answer(api.clone(), of.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Broken connections are their clients' trouble.
        _ = serving.as_mut() => {}
        () = connection.given_up() => {}
        () = end.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

async fn answer(
    api: Arc<Api>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if let Some(objection) = api.guard.objection(&head) {
        return Ok(response(Some(Reply::error(StatusCode::FORBIDDEN, "Forbidden", &objection))));
    }
    let body = match api.bodies.clone().read(body).await {
        Ok(body) => body,
        Err(error) => return Ok(response(Some(no_body(error)))),
    };
    connection.set_at_work(true);
    // What is asked may take as long as a function of the script: others must not wait for it.
    let answer = move || respond(api.run.as_ref(), &head.method, head.uri.path(), &body.data);
    let reply = match Background::start("rest-answer", answer) {
        Ok(mut answer) => answer.outcome().await.ok(),
        Err(error) => Some(Reply::failed("No thread", &error.to_string())),
    };
    connection.set_at_work(false);
    Ok(response(reply))
}

fn no_body(error: BodyError) -> Reply {
    let (status, detail) = match error {
        BodyError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "a body may have 64 MiB"),
        BodyError::NoRoom => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the bodies of other requests take all the memory there is for them",
        ),
        BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body has not come within 30 s"),
        BodyError::Broken => (StatusCode::BAD_REQUEST, "the body has not come as its head says"),
    };
    Reply::error(status, status.canonical_reason().unwrap_or_default(), detail)
}

/// `None`: what makes the answer has panicked.
fn response(reply: Option<Reply>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    match reply {
        Some(reply) => {
            *response.status_mut() = reply.status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
            *response.body_mut() = Full::from(reply.body);
        }
        None => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Mutex, PoisonError};

    use senary_metrics::{Engine, Registry, Results};

    use super::*;
    use crate::gate::PauseError;
    use crate::rest::Status;
    use crate::run_phase::RunPhase;

    /// A run whose setup ends when the test says so.
    struct Run {
        setup: Mutex<(Sender<()>, Receiver<()>)>,
    }

    impl RunControl for Run {
        fn status(&self) -> Status {
            Status {
                phase: RunPhase::Running,
                paused: false,
                vus: 1,
                vus_max: 1,
                stopped: false,
                tainted: false,
            }
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

        fn run_teardown(&self) -> Result<(), String> {
            panic!("a script's host must not bring the server down")
        }
    }

    /// A server, and the two ends of its setup: when it has begun, and to let it end.
    fn server() -> (Server, Receiver<()>, Sender<()>) {
        let ((begin, begun), (end, ended)) = (channel(), channel());
        let run = Arc::new(Run { setup: Mutex::new((begin, ended)) });
        (Server::start("127.0.0.1:0", run).unwrap(), begun, end)
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
            Server::start(address, run).err().map(|e| e.to_string())
        };
        assert_eq!(refuse(&taken), Some(format!("listen tcp {taken}: bind: address already in use")));
        assert_eq!(refuse("6565"), Some("listen tcp: address 6565: missing port in address".to_owned()));
        assert!(refuse("127.0.0.1:nothing").is_some());
        assert_eq!(refuse(":0"), None);
    }
}
