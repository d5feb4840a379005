//! HTTP/2 against a real server: nginx, if it is installed. What both ends count is compared.
#![allow(clippy::unwrap_used)] // What is wrong here fails the test.

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use senary_net::http::{HttpClient, HttpOptions, HttpRequest, Proto};
use tempfile::TempDir;

use self::support::BOUND;
use self::support::http::{client, in_time, request, run};

const PROGRAM: &str = "/usr/sbin/nginx";

/// nginx on a port of its own; it ends with the test.
struct Nginx {
    process: Child,
    to: SocketAddr,
    place: TempDir,
}

impl Nginx {
    /// `None` if it is not installed. Its connections end after so many requests.
    fn start(requests: usize) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("skipped: nginx is not installed (apt-get install nginx)");
            return None;
        }
        let place = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(place.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(place.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(place.path().join("big"), vec![b'x'; 300_000]).unwrap();
        let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        fs::write(place.path().join("nginx.conf"), config(place.path(), to, requests)).unwrap();
        let mut nginx = Command::new(PROGRAM);
        nginx.arg("-p").arg(place.path()).arg("-e").arg(place.path().join("error.log"));
        let process = nginx.args(["-c", "nginx.conf"]).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, to, place };
        let begun = Instant::now();
        while TcpStream::connect(to).is_err() {
            assert!(begun.elapsed() < BOUND, "{}", nginx.log("error.log"));
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }

    /// How many requests it has logged as answered, once it has logged all of them.
    fn answered(&self, wanted: usize) -> usize {
        let begun = Instant::now();
        loop {
            let answered = self.log("access.log").lines().filter(|line| *line == "200 HTTP/2.0").count();
            if answered >= wanted || begun.elapsed() > Duration::from_secs(5) {
                return answered;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn get(&self, path: &str) -> HttpRequest {
        let mut get = request("GET", "https", "127.0.0.1", self.to.port().into());
        Rc::make_mut(&mut get.target).path = path.to_owned();
        in_time(get, BOUND)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config(place: &Path, to: SocketAddr, requests: usize) -> String {
    let place = place.display();
    format!(
        "daemon off; master_process off; pid {place}/nginx.pid;
         events {{ worker_connections 512; }}
         http {{
             log_format of_test '$status $server_protocol';
             access_log {place}/access.log of_test;
             client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
             uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
             server {{
                 listen {to} ssl http2;
                 ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem;
                 keepalive_requests {requests};
                 root {place};
                 location /hello {{ return 200 'hello'; }}
             }}
         }}"
    )
}

/// Sends so many requests, so many of them at the same time; how many connections they took.
async fn send_all(
    client: &Rc<HttpClient>,
    request: HttpRequest,
    count: usize,
    at_once: usize,
    size: usize,
) -> usize {
    let request = Rc::new(request);
    let mut connections = Vec::new();
    let workers = (0..at_once).map(|_| {
        let (client, request) = (client.clone(), request.clone());
        tokio::task::spawn_local(async move {
            let mut connections = Vec::new();
            for _ in 0..count / at_once {
                let response = client.send(&request).await.unwrap();
                assert_eq!((response.head.status, response.body.len()), (200, size));
                assert_eq!(response.exchange.proto, Some(Proto::Http2));
                connections.push(response.exchange.connection);
            }
            connections
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        for connection in worker.await.unwrap() {
            if !connections.contains(&connection) {
                connections.push(connection);
            }
        }
    }
    connections.len()
}

#[test]
fn thousands_of_streams_share_a_connection() {
    let Some(nginx) = Nginx::start(100_000) else { return };
    run(async {
        let client = Rc::new(client(HttpOptions::default()));
        assert_eq!(send_all(&client, nginx.get("/hello"), 5000, 50, 5).await, 1);
        assert_eq!(send_all(&client, nginx.get("/big"), 40, 20, 300_000).await, 1);
    });
    assert_eq!(nginx.answered(5040), 5040);
}

/// nginx announces the end of a connection with GOAWAY while requests are under way.
#[test]
fn nothing_is_lost_when_connections_end_under_way() {
    let Some(nginx) = Nginx::start(37) else { return };
    run(async {
        let client = Rc::new(client(HttpOptions::default()));
        assert!(send_all(&client, nginx.get("/hello"), 1000, 10, 5).await >= 20);
    });
    assert_eq!(nginx.answered(1000), 1000);
}
