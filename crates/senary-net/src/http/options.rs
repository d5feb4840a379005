//! How a client treats its connections; the same for all VUs of a test.

use super::proxy::Proxies;

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Every request has a connection of its own, and says so with `Connection: close` (`noConnectionReuse`).
    pub no_connection_reuse: bool,
    /// Whether HTTP/2 is offered to servers of `https` URLs.
    pub http2: bool,
    /// How many idle connections are kept per host; the reference keeps `batchPerHost`.
    pub max_idle_per_host: usize,
    /// Whether the heads of requests and responses are given back as text, for `httpDebug`.
    pub keep_heads: bool,
    pub proxies: Proxies,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            no_connection_reuse: false,
            http2: true,
            max_idle_per_host: 6,
            keep_heads: false,
            proxies: Proxies::default(),
        }
    }
}
