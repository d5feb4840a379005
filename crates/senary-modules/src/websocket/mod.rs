//! A WebSocket session as `k6/ws` and `k6/websockets` have in common: what they differ in is how script hears of it.
//!
//! `address` (the URL of a script), `params` (the other arguments), `cookies`, `handshake` (dialling, the request and the answer),
//! `session` (its state, and what it does for script), `outbound` (frames on their way), `io` (the task that reads and
//! writes), `books` (what is measured).

pub mod address;
mod books;
pub mod cookies;
mod handshake;
mod io;
mod outbound;
pub mod params;
pub mod session;

pub use address::{Address, AddressError};
pub use handshake::{Answer, Failed};
pub use session::{Ended, Happened, Hears, Session};
