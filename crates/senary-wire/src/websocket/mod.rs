//! WebSocket (RFC 6455) from the client's side: frames, messages, closing codes, compression (RFC 7692), and the texts of the
//! handshake.
//!
//! The caller pushes what it has received into a [`Receiver`] and takes messages and control frames out; it answers pings
//! and closing frames itself. What it sends it gives to [`encode`], with a mask of its own.

mod body;
mod close;
mod deflate;
mod frame;
mod handshake;
mod receiver;

pub use body::Body;
pub use close::{Closing, code, describe, may_be_sent};
pub use deflate::{Agreement, Deflater, Inflater, OFFER};
pub use frame::{Opcode, encode};
pub use handshake::{HandshakeError, MAX_HEAD, Request, Response, accept_for, canonical};
pub use receiver::{Incoming, Receiver, Violation};
