//! From a URL to an open session: dialling, the request, and the server's answer.

use std::future::poll_fn;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use senary_net::http::{TunnelError, dial_through};
use senary_net::{DialOptions, DialProgress, NetError, Security, Stream, Target};
use senary_wire::websocket::{Agreement, Body, HandshakeError, MAX_HEAD, OFFER, Request, Response};

use super::address::Address;
use super::session::Session;

/// The limit of k6 for everything until the session is open.
const TIME_LIMIT: Duration = Duration::from_secs(60);
const READ_SIZE: usize = 4096;

/// A session that is to be opened.
pub struct SessionRequest {
    /// The error says what is wrong with the URL; it is reported like other failures.
    pub address: Result<Address, String>,
    /// Names in their canonical form, without those that every request has.
    pub headers: Vec<(String, String)>,
    /// In place of the host of the URL.
    pub host: Option<String>,
    pub user_agent: String,
    pub compression: bool,
}

/// The server's answer to the request, as far as scripts see it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub subprotocol: String,
    /// As the server has written them.
    pub extensions: String,
}

impl Answer {
    /// All headers of a name as one.
    pub fn joined(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.collect::<Vec<_>>().join(", ")
    }
}

/// A session that is open.
pub(super) struct Connected {
    pub stream: Stream,
    pub answer: Answer,
    /// The bytes that the server has sent after its answer.
    pub rest: Vec<u8>,
    pub agreement: Option<Agreement>,
}

/// Why there is no session.
#[derive(Clone, Debug)]
pub struct Failed {
    pub text: String,
    pub code: &'static str,
    /// What the server has answered, if it has.
    pub answer: Option<Answer>,
    /// This machine has run out of something that a connection needs.
    pub is_exhaustion: bool,
}

impl Failed {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { text: text.into(), code, answer: None, is_exhaustion: false }
    }

    fn of(error: HandshakeError, answer: Option<Answer>) -> Self {
        Self { answer, ..Self::new("ERR_WS_HANDSHAKE", error.to_string()) }
    }
}

impl From<NetError> for Failed {
    fn from(error: NetError) -> Self {
        Self { is_exhaustion: error.is_exhaustion(), ..Self::new(error.code(), error.to_string()) }
    }
}

impl From<TunnelError> for Failed {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Net(error) => error.into(),
            other => Self::new("ERR_PROXY", other.to_string()),
        }
    }
}

/// The number of bytes that show whether an answer is HTTP: the length of `HTTP/1.1`.
const BEGINNING: usize = 8;

/// Opens a session.
pub(super) async fn open(session: &Session, attempt: &SessionRequest) -> Result<Connected, Failed> {
    let address = match &attempt.address {
        Ok(address) => address,
        Err(text) => return Err(Failed::new("ERR_INVALID_URL", text)),
    };
    let opening = Box::pin(dial_and_ask(session, attempt, address));
    match tokio::time::timeout(TIME_LIMIT, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Failed::new("ETIMEDOUT", format!("read {}: i/o timeout", address.authority))),
    }
}

async fn dial_and_ask(
    session: &Session,
    attempt: &SessionRequest,
    address: &Address,
) -> Result<Connected, Failed> {
    let progress = DialProgress::default();
    let dialled = dial(session, address, &progress).await;
    session.books.connected_to(progress.ip());
    let (mut stream, read_ahead) = dialled?;
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|_| Failed::new("EIO", "no random numbers can be had"))?;
    let key = STANDARD.encode(key);
    let request = request(attempt, address, &key);
    write(&mut stream, request.as_bytes()).await?;
    let (response, rest) = answer(&mut stream, read_ahead).await?;
    let answer = |body: String| Answer {
        status: response.status,
        headers: response.headers.clone(),
        body,
        subprotocol: response.header("Sec-Websocket-Protocol").unwrap_or_default().to_owned(),
        extensions: response.joined("Sec-Websocket-Extensions"),
    };
    if let Err(error) = response.check(&key) {
        let body = body(&mut stream, &response, &rest).await;
        return Err(Failed::of(error, Some(answer(body))));
    }
    let answer = answer(String::new());
    match Agreement::of(&answer.extensions, attempt.compression) {
        Ok(agreement) => Ok(Connected { stream, answer, rest, agreement }),
        Err(extension) => Err(Failed::of(HandshakeError::Extension(extension), Some(answer))),
    }
}

/// A connection to the server, through a proxy if the environment says so, and what has come over it already.
async fn dial(
    session: &Session,
    address: &Address,
    progress: &DialProgress,
) -> Result<(Stream, Vec<u8>), Failed> {
    let Address { is_secure, host, port, .. } = address;
    let settings = &session.vu.settings;
    let local_ip: Option<IpAddr> =
        settings.local_ips.as_ref().and_then(|ips| ips.of_vu(session.vu.id.in_instance));
    let (dialer, tls) = (settings.dialer.clone(), is_secure.then(Security::default));
    // A port that does not exist is told by the dial.
    let proxy = settings.http.proxies.to(*is_secure, host, u16::try_from(*port).unwrap_or_default());
    match proxy.map_err(|error| Failed::new("ERR_PROXY", error.to_string()))? {
        None => {
            let options = DialOptions { tls, local_ip, ..DialOptions::default() };
            let dialled =
                dialer.dial(Target::Host { host, port: *port }, &options, session.wire(), progress).await;
            Ok((dialled?, Vec::new()))
        }
        Some(proxy) => {
            let to = (host.as_str(), *port);
            let dialled = dial_through(&dialer, &proxy, to, tls.as_ref(), local_ip, session.wire(), progress);
            Ok(dialled.await?)
        }
    }
}

fn request(attempt: &SessionRequest, address: &Address, key: &str) -> String {
    let mut headers = attempt.headers.clone();
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(known, _)| known == name);
    if attempt.compression {
        headers.push(("Sec-WebSocket-Extensions".to_owned(), OFFER.to_owned()));
    }
    if let Some(credentials) = &address.credentials
        && !has(&headers, "Authorization")
    {
        headers.push(("Authorization".to_owned(), credentials.clone()));
    }
    let request = Request {
        target: &address.target,
        host: attempt.host.as_deref().unwrap_or(&address.authority),
        user_agent: &attempt.user_agent,
        key,
        headers: &headers,
    };
    request.text()
}

async fn write(stream: &mut Stream, mut bytes: &[u8]) -> Result<(), NetError> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[written..];
    }
    poll_fn(|cx| stream.poll_flush(cx)).await
}

/// The head of the answer, and the bytes that came after it.
async fn answer(stream: &mut Stream, mut received: Vec<u8>) -> Result<(Response, Vec<u8>), Failed> {
    loop {
        let begin = received.len();
        if !read(stream, &mut received).await? {
            return Err(Failed::new("ERR_WS_HANDSHAKE", if begin == 0 { "EOF" } else { "unexpected EOF" }));
        }
        // Only a line's end can be the end of the head. A server of another protocol may never end a line.
        let may_be_over = received[begin..].contains(&b'\n') || received.len() >= MAX_HEAD;
        if !may_be_over && begin >= BEGINNING {
            continue;
        }
        if let Some((response, size)) = Response::parse(&received).map_err(|error| Failed::of(error, None))? {
            return Ok((response, received.split_off(size)));
        }
    }
}

/// As much as possible of the body of an answer that opens no session.
async fn body(stream: &mut Stream, response: &Response, rest: &[u8]) -> String {
    let mut body = Body::of(response);
    body.push(rest);
    let mut received = Vec::new();
    while !body.is_done() {
        received.clear();
        match read(stream, &mut received).await {
            Ok(true) => body.push(&received),
            Ok(false) | Err(_) => break,
        }
    }
    body.into_text()
}

/// Whether something has come.
async fn read(stream: &mut Stream, received: &mut Vec<u8>) -> Result<bool, NetError> {
    let begin = received.len();
    received.resize(begin + READ_SIZE, 0);
    let read = poll_fn(|cx| stream.poll_read(cx, &mut received[begin..])).await;
    received.truncate(begin + *read.as_ref().unwrap_or(&0));
    Ok(read? > 0)
}
