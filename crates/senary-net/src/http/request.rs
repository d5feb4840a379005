//! What is asked of a server.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::exchange::ConnectionId;
use super::headers::Headers;

/// One request, ready to be sent: what the caller leaves out is not added, except for `Host`, `Content-Length` and, on
/// connections that are not kept, `Connection: close`.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// Sent as it is written; a method that is not a token is an error.
    pub method: Cow<'static, str>,
    pub target: Rc<HttpTarget>,
    /// In the order in which they are sent, and with the case they are written in; HTTP/2 sends names in lower case. `Host`
    /// replaces the one of the target. The caller gives neither `Content-Length` nor `Transfer-Encoding`.
    pub headers: Rc<Headers>,
    /// None is the same as an empty one: `Content-Length: 0` is sent for `POST`, `PUT` and `PATCH`.
    pub body: Option<Bytes>,
    /// For everything: the wait for a connection, the handshakes, the response with its body.
    pub deadline: Option<Instant>,
    pub response_body: ResponseBody,
    /// In bytes: the longest body that is kept. A longer one is an error.
    pub max_body: usize,
    /// The connection to use, if it is still there and free: NTLM authenticates connections.
    pub connection: Option<ConnectionId>,
}

/// Where a request goes, taken out of its URL. The caller reads URLs, so that they are read in one place only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpTarget {
    /// `https`.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The scheme's own if the URL has none. A number out of range is an error of the dial.
    pub port: i64,
    /// The path and the query as they are sent, escaped; the path is `/` at least.
    pub path: String,
    /// What `Host` says: the host as the URL writes it, with brackets, and with the port if the URL has one.
    pub authority: String,
}

/// What becomes of the body of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseBody {
    #[default]
    Keep,
    /// It is read to its end, so that the connection can be kept, but not stored.
    Discard,
}
