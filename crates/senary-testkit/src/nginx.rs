//! nginx, if it is installed, on a port of its own: a server that nobody here has written.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::certificate::Certificate;

const PROGRAM: &str = "/usr/sbin/nginx";
const BOUND: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// It ends when dropped. Its certificate is one of [`Certificate::authority_pem`].
pub struct Nginx {
    process: Child,
    to: SocketAddr,
    place: TempDir,
}

impl Nginx {
    /// `None` if it is not installed. Its connections end after so many requests. `/hello` says `hello`, `/big` is a file of
    /// 300,000 bytes, `/slow` one that comes in small pieces.
    pub fn start(requests: usize) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("skipped: nginx is not installed (apt-get install nginx)");
            return None;
        }
        let place = tempfile::tempdir().expect("a folder");
        let (certificate, key) = Certificate::server_pem();
        let to = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let config = config(place.path(), to, requests);
        for (name, content) in [
            ("cert.pem", certificate.as_bytes()),
            ("key.pem", key.as_bytes()),
            ("big", &[b'x'; 300_000]),
            ("slow", &[b'y'; 20_000]),
            ("nginx.conf", config.as_bytes()),
        ] {
            fs::write(place.path().join(name), content).expect("a file");
        }
        let mut nginx = Command::new(PROGRAM);
        nginx.arg("-p").arg(place.path()).arg("-e").arg(place.path().join("error.log"));
        let process = nginx.args(["-c", "nginx.conf"]).stderr(Stdio::null()).spawn().expect("nginx");
        let nginx = Self { process, to, place };
        let begun = Instant::now();
        while TcpStream::connect(to).is_err() {
            assert!(begun.elapsed() < BOUND, "{}", nginx.log("error.log"));
            std::thread::sleep(POLL);
        }
        Some(nginx)
    }

    pub fn address(&self) -> SocketAddr {
        self.to
    }

    /// Has other processes take over: the present ones answer what is under way, tell their clients with GOAWAY, and end.
    pub fn reload(&self) -> io::Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        pid.map_or(Ok(()), |pid| kill_process(pid, Signal::HUP).map_err(io::Error::from))
    }

    /// How many requests it has logged as answered with status 200 over a protocol, once it has logged at least so many.
    pub fn answered(&self, protocol: &str, wanted: usize) -> usize {
        let begun = Instant::now();
        let line = format!("200 {protocol}");
        loop {
            let answered = self.log("access.log").lines().filter(|found| *found == line).count();
            if answered >= wanted || begun.elapsed() > Duration::from_secs(5) {
                return answered;
            }
            std::thread::sleep(POLL);
        }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it.
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if pid.is_none_or(|pid| kill_process(pid, Signal::TERM).is_err()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn config(place: &Path, to: SocketAddr, requests: usize) -> String {
    let place = place.display();
    // Tests that run as root need a folder that is root's.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "daemon off; {user} pid {place}/nginx.pid; worker_processes 1;
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
                 location /slow {{ limit_rate 10k; }}
             }}
         }}"
    )
}
