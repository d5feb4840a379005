//! The client of a VU: finds a connection for each request, and keeps it for the next.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::error::HttpError;
use super::exchange::{Exchange, HttpFailure, HttpResponse};
use super::options::HttpOptions;
use super::request::HttpRequest;
use crate::counted::WireBytes;
use crate::dial::Dialer;

/// Sends requests. There is one per VU; it lives on the VU's worker, inside a `LocalSet`.
pub struct HttpClient {
    #[expect(dead_code)]
    dialer: Arc<Dialer>,
    #[expect(dead_code)]
    options: Arc<HttpOptions>,
    /// The source address of connections.
    #[expect(dead_code)]
    local_ip: Option<IpAddr>,
    wire: Rc<WireBytes>,
}

impl HttpClient {
    pub fn new(dialer: Arc<Dialer>, options: Arc<HttpOptions>, local_ip: Option<IpAddr>) -> Self {
        Self { dialer, options, local_ip, wire: Rc::default() }
    }

    /// Makes one exchange. Requests may be under way at the same time. If the future is dropped, the request is given up and its
    /// connection closed.
    pub async fn send(&self, _request: &HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let error = HttpError::Request("not there yet".to_owned());
        Err(HttpFailure { error, head: None, exchange: Exchange::default() })
    }

    /// Closes the connections that no request uses; those in use are closed when their request has ended.
    pub fn close_idle(&self) {}

    /// The bytes that all connections of this client have moved over the wire, handshakes and TLS included.
    pub fn wire(&self) -> &Rc<WireBytes> {
        &self.wire
    }
}
