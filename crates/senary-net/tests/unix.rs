//! Unix sockets: by path and by abstract name, with everything that can be wrong with one.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use senary_net::{Address, DialOptions, DialProgress, NetError, Stream, Target, TlsOverrides, WireBytes};
use socket2::{Domain, SockAddr, Socket, Type};
use support::{Authority, dialer, read, read_to_end, run, secured, write_all};

async fn dial(path: &str, options: &DialOptions<'_>) -> Result<Stream, NetError> {
    let wire = Rc::new(WireBytes::default());
    dialer().dial(Target::Path(path), options, &wire, &DialProgress::default()).await
}

/// Answers one connection with what it says, in capitals.
fn answer(listener: UnixListener) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).unwrap();
        stream.write_all(&said.to_ascii_uppercase()).unwrap();
    })
}

async fn ask(path: &str) -> Stream {
    let mut stream = dial(path, &DialOptions::default()).await.unwrap();
    write_all(&mut stream, b"hello").await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap(), b"HELLO");
    assert_eq!(read(&mut stream).await.unwrap(), b"");
    stream
}

#[test]
fn a_socket_is_reached_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let server = answer(UnixListener::bind(&path).unwrap());
    let path = path.to_str().unwrap();
    run(async {
        let stream = ask(path).await;
        assert_eq!(*stream.remote(), Address::Path(path.into()));
        assert_eq!(stream.ends().to_string(), format!("unix @->{path}"));
        assert_eq!((stream.tcp_info(), stream.tls_info()), (None, None));
        stream.keep_alive().unwrap();
    });
    server.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_is_reached_by_its_abstract_name() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("senary-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let server = answer(UnixListener::bind_addr(&address).unwrap());
    run(async {
        let stream = ask(&format!("@{name}")).await;
        assert_eq!(stream.ends().to_string(), format!("unix @->@{name}"));
    });
    server.join().unwrap();
}

#[test]
fn what_is_wrong_with_a_path_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("file"), "").unwrap();
    drop(UnixListener::bind(at("left")).unwrap());
    let long = at(&"x".repeat(120));
    run(async {
        for (path, code, text) in [
            (at("none"), "ENOENT", "no such file or directory"),
            (at("left"), "ECONNREFUSED", "connection refused"),
            (at("file"), "ECONNREFUSED", "connection refused"),
            (at("file/below"), "ENOTDIR", "not a directory"),
            (long, "ENAMETOOLONG", "file name too long"),
            (String::new(), "EINVAL", "invalid argument"),
            ("a\0b".to_owned(), "EINVAL", "invalid argument"),
        ] {
            let error = dial(&path, &DialOptions::default()).await.err().unwrap();
            assert_eq!(error.to_string(), format!("dial unix {path}: connect: {text}"));
            assert_eq!(error.code(), code, "{path}");
        }
    });
}

/// The kernel says at once that a server's queue is full, and nothing when there is room again.
#[test]
fn a_server_with_a_full_queue_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let address = SockAddr::unix(&path).unwrap();
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let first = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    first.connect(&address).unwrap();
    let path = path.to_str().unwrap();
    run(async {
        let limit = Duration::from_millis(100);
        let options = DialOptions { timeout: Some(limit), ..DialOptions::default() };
        let error = dial(path, &options).await.err().unwrap();
        assert_eq!(
            (error.code(), error.to_string()),
            ("ETIMEDOUT", format!("dial unix {path}: i/o timeout"))
        );
        let server = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            listener.accept().unwrap();
            listener.accept().unwrap();
        });
        dial(path, &DialOptions::default()).await.unwrap();
        server.join().unwrap();
    });
}

/// Also a peer that is slow, and says something after the client has gone.
#[test]
fn what_was_written_before_a_close_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (written, has_written) = std::sync::mpsc::channel();
    let (closed, has_closed) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"never read").unwrap();
        written.send(()).unwrap();
        has_closed.recv_timeout(support::BOUND).unwrap();
        assert_eq!(stream.write(b"too late").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard
    });
    let path = path.to_str().unwrap();
    run(async {
        let mut stream = dial(path, &DialOptions::default()).await.unwrap();
        write_all(&mut stream, b"hello").await.unwrap();
        has_written.recv_timeout(support::BOUND).unwrap();
        stream.close();
    });
    closed.send(()).unwrap();
    assert_eq!(server.join().unwrap(), b"hello");
}

#[test]
fn a_unix_socket_may_speak_tls() {
    let authority = Authority::new();
    let config = std::sync::Arc::new(authority.server("localhost").config());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tls.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (unix, _) = listener.accept().unwrap();
        let tls = rustls::ServerConnection::new(config).unwrap();
        let mut stream = rustls::StreamOwned::new(tls, unix);
        let mut said = [0; 5];
        stream.read_exact(&mut said).unwrap();
        stream.write_all(&said).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let path = path.to_str().unwrap();
    run(async {
        let overrides: TlsOverrides = authority.trusted();
        let mut options = secured("", &overrides);
        options.tls.as_mut().unwrap().servername = None;
        let mut stream = dial(path, &options).await.unwrap();
        write_all(&mut stream, b"hello").await.unwrap();
        assert_eq!(read_to_end(&mut stream).await.unwrap(), b"hello");
    });
    server.join().unwrap();
}
