//! HTTP clients, and servers that do exactly what a test says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use senary_net::http::{
    HttpClient, HttpFailure, HttpOptions, HttpRequest, HttpResponse, HttpTarget, ResponseBody,
};
use senary_net::{Dialer, DnsConfig, Resolver, Tls, TlsOptions};

use super::BOUND;

/// Runs a client to its end, within bounds, where it may start tasks.
pub fn run<T>(client: impl Future<Output = T>) -> T {
    let local = tokio::task::LocalSet::new();
    super::run(local.run_until(client))
}

pub fn client(options: HttpOptions) -> HttpClient {
    client_with(options, &[])
}

/// With entries of the `hosts` option.
pub fn client_with(options: HttpOptions, hosts: &[(&str, String)]) -> HttpClient {
    let hosts: Vec<_> = hosts.iter().map(|(name, address)| ((*name).to_owned(), address.clone())).collect();
    let resolver = Resolver::new(&hosts, &["*.blocked.test".to_owned()], &[], DnsConfig::default()).unwrap();
    let tls = Tls::new(TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() }).unwrap();
    let dialer = Dialer { resolver: Arc::new(resolver), tls };
    HttpClient::new(Arc::new(dialer), Arc::new(options), None)
}

pub fn get(to: SocketAddr) -> HttpRequest {
    request("GET", "http", &to.ip().to_string(), to.port().into())
}

pub fn request(method: &str, scheme: &str, host: &str, port: i64) -> HttpRequest {
    HttpRequest {
        method: method.to_owned().into(),
        target: Rc::new(HttpTarget {
            secure: scheme == "https",
            host: host.to_owned(),
            port,
            path: "/".to_owned(),
            authority: format!("{host}:{port}"),
        }),
        headers: Rc::default(),
        body: None,
        deadline: None,
        response_body: ResponseBody::Keep,
        max_body: 64 << 20,
        connection: None,
    }
}

/// Sends one request with a client of its own.
pub fn send(request: &HttpRequest) -> Result<HttpResponse, HttpFailure> {
    run(async { client(HttpOptions::default()).send(request).await })
}

pub fn in_time(request: HttpRequest, limit: Duration) -> HttpRequest {
    HttpRequest { deadline: Some(Instant::now() + limit), ..request }
}

/// A connection at the server.
pub struct Peer(pub TcpStream);

impl Peer {
    /// Reads a request without a body; empty, if the client has ended the connection.
    pub fn request(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read(&mut byte) {
                Ok(1) => head.extend(byte),
                _ => break,
            }
        }
        String::from_utf8(head).unwrap()
    }

    /// The client may have gone, on purpose.
    pub fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.0.write_all(text.as_ref()).is_ok()
    }

    pub fn ok(&mut self, body: &str) {
        self.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }

    pub fn reset(self) {
        socket2::SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends in good order, and takes what still comes, so that nothing is reset.
    pub fn end(mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
        let mut scrap = [0; 4096];
        while self.0.read(&mut scrap).is_ok_and(|read| read > 0) {}
    }
}

pub type Act = Box<dyn FnOnce(Peer) + Send>;

/// Serves one connection after the other, each as its entry says.
pub fn serve(acts: Vec<Act>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        for act in acts {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(BOUND)).unwrap();
            act(Peer(stream));
        }
    });
    (address, thread)
}

/// A server for one connection that answers a request with this, and ends the connection.
pub fn answering(answer: impl AsRef<[u8]> + Send + 'static) -> SocketAddr {
    let act = move |mut peer: Peer| {
        peer.request();
        peer.say(answer);
        peer.end();
    };
    serve(vec![Box::new(act)]).0
}
