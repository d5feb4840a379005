//! HTTP/1.1, as a client speaks it: heads and bodies in bytes, which need no socket, and the exchange over one.

mod body;
mod chunked;
mod exchange;
mod head;
mod request;
mod response;

pub(super) use self::exchange::Http1;
pub(super) use self::request::{check, field_value};
pub(super) use self::response::body_too_long;
#[cfg(fuzzing)]
pub use self::response::{Expected, ResponseReader};
