//! What came of a request, and how long each step took.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::error::HttpError;
use super::headers::Headers;
use crate::network::Address;
use crate::tls::TlsInfo;

/// A response that was read to its end.
#[derive(Debug)]
pub struct HttpResponse {
    pub head: Head,
    /// As it was sent: neither decompressed nor decoded. Empty if it was discarded.
    pub body: Bytes,
    pub exchange: Exchange,
}

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// The words behind the status: what the server wrote over HTTP/1.1, the usual words over HTTP/2.
    pub reason: Cow<'static, str>,
    /// As they came, in their order. Over HTTP/1.1 with the server's case, over HTTP/2 in lower case.
    pub headers: Headers,
}

/// Why a request has no response.
#[derive(Debug)]
pub struct HttpFailure {
    pub error: HttpError,
    /// If only the body failed.
    pub head: Option<Head>,
    pub exchange: Exchange,
}

/// What is known of an exchange, however it ended.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    pub timings: HttpTimings,
    /// Once there was a connection.
    pub remote: Option<Address>,
    /// Of a connection that is encrypted. Shared by all exchanges of a connection.
    pub tls: Option<Rc<TlsInfo>>,
    pub proto: Option<Proto>,
    /// Whether the connection had been used before.
    pub reused: bool,
    /// The connection, for a request that has to use the same one.
    pub connection: Option<ConnectionId>,
    /// Bytes of this exchange: messages of HTTP/1.1 as they are on the wire, fields and bodies over HTTP/2. Neither handshakes
    /// nor TLS are in it. The bytes that count as `data_sent` and `data_received` are those of [`HttpClient::wire`](super::HttpClient::wire).
    pub sent: u64,
    pub received: u64,
    /// With [`HttpOptions::keep_heads`](super::HttpOptions::keep_heads): the head of the request as text, and that of the
    /// response.
    pub request_head: Option<String>,
    pub response_head: Option<String>,
}

/// A connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId(pub(super) u64);

/// The steps of an exchange, in their order. Steps that were not reached, or not needed, took no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpTimings {
    /// Until there was a connection: the look-up and the handshakes of a new one are in it.
    pub blocked: Duration,
    pub looking_up: Duration,
    pub connecting: Duration,
    pub tls_handshaking: Duration,
    /// Until the last byte of the request was written.
    pub sending: Duration,
    /// Until the first byte of the response was read.
    pub waiting: Duration,
    /// Until its last byte was read.
    pub receiving: Duration,
}

impl HttpTimings {
    /// How long the exchange took on its connection: `http_req_duration`.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }
}

/// The protocol of a response, as the `proto` tag has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    Http10,
    Http11,
    Http2,
}

impl Proto {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
