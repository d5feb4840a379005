//! An HTTP client that measures: one exchange at a time, each step of it timed, over the sockets of this crate.
//!
//! It sends a request and reads its response, over HTTP/1.1 or HTTP/2 as the server offers it, and keeps connections for the
//! next request. Redirects, cookies, authentication and compression are the caller's business, as is what an exchange counts as.

pub mod auth;
mod buffer;
mod client;
mod clock;
mod connect;
mod error;
mod exchange;
mod headers;
mod http1;
mod http2;
mod options;
mod pool;
mod proxy;
mod request;

pub use self::client::HttpClient;
pub use self::error::{Http2Error, HttpError, Origin};
pub use self::exchange::{ConnectionId, Exchange, Head, HttpFailure, HttpResponse, HttpTimings, Proto};
pub use self::headers::Headers;
#[cfg(fuzzing)]
pub use self::http1::{Expected, ResponseReader};
#[cfg(fuzzing)]
pub use self::http2::{Answered, Spoken, ask};
pub use self::options::HttpOptions;
pub use self::proxy::{
    Proxies, Proxy, ProxyError, ProxyKind, Socks, SocksError, Step, TunnelError, dial_through,
};
pub use self::request::{HttpRequest, HttpTarget, ResponseBody};
