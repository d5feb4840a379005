//! An HTTP client that measures: one exchange at a time, each step of it timed, over the sockets of this crate.
//!
//! It sends a request and reads its response, over HTTP/1.1 or HTTP/2 as the server offers it, and keeps connections for the
//! next request. Redirects, cookies, authentication and compression are the caller's business, as is what an exchange counts as.

mod client;
mod error;
mod exchange;
mod headers;
mod options;
mod request;

pub use self::client::HttpClient;
pub use self::error::{Http2Error, HttpError, Origin};
pub use self::exchange::{Exchange, Head, HttpFailure, HttpResponse, HttpTimings, Proto};
pub use self::headers::Headers;
pub use self::options::HttpOptions;
pub use self::request::{HttpRequest, HttpTarget, ResponseBody};
