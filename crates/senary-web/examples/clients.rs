//! The client of `k6/http` beside hyper's, over the same kind of connections: what a request costs, what a kept connection takes, and what
//! each says of a bad answer. docs/design/http.md has the figures.
//!
//! ```text
//! cargo run --release -p senary-web --example clients
//! ```

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use senary_net::http::{Headers, HttpClient, HttpOptions, HttpRequest, HttpTarget, ResponseBody};
use senary_net::{Dialer, DnsConfig, Resolver, Tls, TlsOptions};

const CONNECTIONS: usize = 50;
const REQUESTS: usize = 4000;
const IDLE: usize = 1000;
const RUNS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return Ok(serve()?);
    }
    // The server is a process of its own, so that its work is not counted.
    let mut server = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    let mut stdout = io::BufReader::new(server.stdout.take().ok_or("no output")?);
    io::BufRead::read_line(&mut stdout, &mut address)?;
    let measured = tokio::task::LocalSet::new().run_until(measure(address.trim().parse()?)).await;
    server.kill()?;
    server.wait()?;
    measured
}

async fn measure(to: SocketAddr) -> Outcome<()> {
    println!("a request over a kept connection, in us of CPU: hyper, own, ratio");
    for _ in 0..RUNS {
        let (hyper, own) = (cost(hyper_requests(to)).await?, cost(own_requests(to)).await?);
        println!("  {hyper:.2} {own:.2} {:.2}", own / hyper);
    }
    println!("a kept connection, in KiB of memory: hyper, own");
    // Once before, so that neither pays for what all share.
    drop((hyper_connection(to).await?, own_connection(to).await?));
    let before = resident()?;
    let mut all = Vec::new();
    for _ in 0..IDLE {
        all.push(hyper_connection(to).await?);
    }
    let hyper = resident()? - before;
    drop(all);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = resident()?;
    let mut all = Vec::new();
    for _ in 0..IDLE {
        all.push(own_connection(to).await?);
    }
    println!("  {:.1} {:.1}", hyper / IDLE as f64, (resident()? - before) / IDLE as f64);
    for answer in BAD {
        let to = answering(answer)?;
        println!("{answer:?}\n  hyper: {}\n  own:   {}", hyper_error(to).await, own_error(to).await);
    }
    Ok(())
}

/// What servers should not say.
const BAD: [&str; 8] = [
    "SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/1.1 2 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Le",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc",
    "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
];

/// In microseconds, of all of the process.
async fn cost(requests: impl Future<Output = Outcome<()>>) -> Outcome<f64> {
    let before = cpu();
    requests.await?;
    Ok((cpu() - before).as_secs_f64() * 1e6 / (CONNECTIONS * REQUESTS) as f64)
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// In KiB.
fn resident() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

type HyperConnection = (SendRequest<Empty<Bytes>>, tokio::task::JoinHandle<()>);

async fn hyper_connection(to: SocketAddr) -> Outcome<HyperConnection> {
    let stream = tokio::net::TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let task = tokio::task::spawn_local(async move {
        // The sender is told what went wrong.
        let _ = connection.await;
    });
    hyper_request(&mut sender, to).await?;
    Ok((sender, task))
}

async fn hyper_request(sender: &mut SendRequest<Empty<Bytes>>, to: SocketAddr) -> hyper::Result<Bytes> {
    sender.ready().await?;
    let mut request = hyper::Request::new(Empty::new());
    request.headers_mut().insert("host", to.to_string().parse().expect("an address is a header"));
    request.headers_mut().insert("user-agent", "measured/1".parse().expect("a header"));
    let response = sender.send_request(request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

async fn hyper_requests(to: SocketAddr) -> Outcome<()> {
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::task::spawn_local(async move {
                let (mut sender, _task) = hyper_connection(to).await.map_err(|error| error.to_string())?;
                for _ in 0..REQUESTS {
                    let body = hyper_request(&mut sender, to).await.map_err(|error| error.to_string())?;
                    assert_eq!(body, "hello");
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// In words, with its causes.
async fn hyper_error(to: SocketAddr) -> String {
    match hyper_connection(to).await {
        Ok(_) => "no error".to_owned(),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            text
        }
    }
}

thread_local! {
    /// As in a test: what all virtual users share.
    static SHARED: RefCell<Option<(Arc<Dialer>, Arc<HttpOptions>)>> = const { RefCell::new(None) };
}

fn own_client() -> Outcome<HttpClient> {
    let (dialer, options) = match SHARED.take() {
        Some(shared) => shared,
        None => {
            let resolver = Resolver::new(&[], &[], &[], DnsConfig::default()).map_err(|e| e.to_string())?;
            let tls = Tls::new(TlsOptions::default()).map_err(|error| error.to_string())?;
            (Arc::new(Dialer { resolver: Arc::new(resolver), tls }), Arc::default())
        }
    };
    SHARED.set(Some((dialer.clone(), options.clone())));
    Ok(HttpClient::new(dialer, options, None))
}

fn own_request(to: SocketAddr) -> HttpRequest {
    HttpRequest {
        method: "GET".into(),
        target: Rc::new(HttpTarget {
            secure: false,
            host: to.ip().to_string(),
            port: to.port().into(),
            path: "/".to_owned(),
            authority: to.to_string(),
        }),
        headers: Rc::new([("User-Agent", "measured/1")].into_iter().collect::<Headers>()),
        body: None,
        deadline: None,
        response_body: ResponseBody::Keep,
        max_body: 64 << 20,
        connection: None,
    }
}

async fn own_connection(to: SocketAddr) -> Outcome<HttpClient> {
    let client = own_client()?;
    client.send(&own_request(to)).await.map_err(|failed| failed.error.to_string())?;
    Ok(client)
}

async fn own_requests(to: SocketAddr) -> Outcome<()> {
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::task::spawn_local(async move {
                let client = Rc::new(own_client().map_err(|error| error.to_string())?);
                for _ in 0..REQUESTS {
                    // Made anew, as hyper's is.
                    let response = client.send(&own_request(to)).await.map_err(|f| f.error.to_string())?;
                    assert_eq!(response.body, "hello");
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn own_error(to: SocketAddr) -> String {
    own_connection(to).await.err().map_or_else(|| "no error".to_owned(), |error| error.to_string())
}

/// Answers each request with five bytes, on a thread for each connection.
fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        let _ = stream.set_nodelay(true);
        let answers = move || {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().stack_size(64 * 1024).spawn(answers)?;
    }
    Ok(())
}

/// A server that says this twice, and ends its connections.
fn answering(answer: &'static str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().spawn(move || {
        for stream in listener.incoming().take(2).flatten() {
            say(stream, answer);
        }
    })?;
    Ok(address)
}

fn say(mut stream: TcpStream, answer: &str) {
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer);
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
}
