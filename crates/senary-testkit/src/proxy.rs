//! A proxy that speaks HTTP or SOCKS5, plain or over TLS, and remembers what it was asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;

/// Whatever the name of a server is, the proxy connects to this machine.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// How a proxy treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyManner {
    /// Serves everyone. Over SOCKS, it takes clients without a name.
    Open,
    /// Serves who says `user` and `p@ss`.
    Asks,
    /// Connects to nobody.
    Refuses,
    /// Ends the connection in the middle of its first answer.
    Breaks,
    /// Answers without end.
    Babbles,
}

impl Proxy {
    pub fn start(manner: ProxyManner) -> Self {
        Self::listen(manner, None)
    }

    /// The same behind TLS, with a certificate of [`Certificate::authority_pem`].
    pub fn start_tls(manner: ProxyManner) -> Self {
        Self::listen(manner, Some(TlsAcceptor::from(Certificate::Valid.server_config(false))))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked until now: the first line of each request, or `SOCKS NAME:PORT`; behind it what the client says of itself.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test has panicked in there").clone()
    }

    fn listen(manner: ProxyManner, tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::default();
        let books = Arc::clone(&asked);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let (tls, books) = (tls.clone(), Arc::clone(&books));
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, manner, &books).await,
                            Some(tls) => serve(tls.accept(stream).await?, manner, &books).await,
                        }
                    });
                }
            });
        });
        Self { address, asked }
    }
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    manner: ProxyManner,
    books: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let first = client.read_u8().await?;
    if first == 5 {
        return socks(&mut client, manner, books).await;
    }
    if !first.is_ascii_uppercase() {
        client.write_all(b"HTTP/1.1 400 Not a request\r\n\r\n").await?;
        return client.shutdown().await;
    }
    let mut head = vec![first];
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let user = lines.find_map(|line| line.strip_prefix("Proxy-Authorization: ")).unwrap_or_default();
        books.lock().expect("a list").push(format!("{line} {user}").trim_end().to_owned());
        let to = line.split(' ').nth(1).unwrap_or_default();
        let to = to.strip_prefix("http://").unwrap_or(to);
        let (authority, path) = to.split_once('/').unwrap_or((to, ""));
        let port = authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
        match manner {
            // user:p@ss
            ProxyManner::Asks if user != "Basic dXNlcjpwQHNz" => {
                client.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").await?;
                return client.shutdown().await;
            }
            ProxyManner::Refuses => {
                client.write_all(b"HTTP/1.1 502 Not today\r\nContent-Length: 0\r\n\r\n").await?;
                return client.shutdown().await;
            }
            ProxyManner::Breaks => {
                client.write_all(b"HTTP/1.1 200 Conn").await?;
                return client.shutdown().await;
            }
            ProxyManner::Babbles => {
                client.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                loop {
                    client.write_all(&b"A: bbbbbbbbbb\r\n".repeat(100)).await?;
                }
            }
            ProxyManner::Open | ProxyManner::Asks => {}
        }
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        if line.starts_with("CONNECT ") {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
        // One request without a body at a time; the server's connection is not kept.
        let method = line.split(' ').next().unwrap_or_default();
        let request = format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nX-Via: proxy\r\n\r\n");
        server.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(server.read_u8().await?);
        }
        let length = String::from_utf8_lossy(&answer)
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        server.read_exact(&mut body).await?;
        client.write_all(&[answer, body].concat()).await?;
        client.flush().await?;
        head.clear();
    }
}

/// The rest of a conversation whose first byte was that of SOCKS5.
async fn socks(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    manner: ProxyManner,
    books: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut methods = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut methods).await?;
    let mut user = String::new();
    match manner {
        ProxyManner::Breaks => {
            client.write_all(&[5]).await?;
            return client.shutdown().await;
        }
        ProxyManner::Asks if !methods.contains(&2) => {
            books.lock().expect("a list").push("SOCKS without a name".to_owned());
            client.write_all(&[5, 0xff]).await?;
            return client.shutdown().await;
        }
        ProxyManner::Asks => {
            client.write_all(&[5, 2]).await?;
            client.read_u8().await?;
            let name = text(client).await?;
            user = format!(" {name}:{}", text(client).await?);
            client.write_all(&[1, u8::from(user != " user:p@ss")]).await?;
        }
        _ => client.write_all(&[5, 0]).await?,
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => Ipv4Addr::from(client.read_u32().await?).to_string(),
        4 => std::net::Ipv6Addr::from(client.read_u128().await?).to_string(),
        _ => text(client).await?,
    };
    let port = client.read_u16().await?;
    books.lock().expect("a list").push(format!("SOCKS {host}:{port}{user}"));
    if manner == ProxyManner::Refuses {
        client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // The longest kind of answer.
    client.write_all(b"\x05\x00\x00\x03\x04name\x00\x00").await?;
    copy_bidirectional(client, &mut server).await?;
    Ok(())
}

async fn text(client: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut text = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
