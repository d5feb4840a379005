//! The base of the tests: peers on loopback that behave well or badly on purpose, and a bounded way to run the binary.
//!
//! - [`Server`]: a TCP (or TLS) server with a [`Behaviour`]; it counts what it is sent, so that both ends' books can
//!   be compared.
//! - [`Site`]: a web site, [`Proxy`]: what stands between it and its clients.
//! - [`FullBacklog`]: an address whose handshakes are never answered.
//! - [`web_server`]: a web server that gives the answers a test has set.
//! - [`Browser`]: chromium with one page, for what people see; a test is skipped where there is none.
//! - [`page_document`]: the data of a report that the binary has written.
//! - [`Program`]: a script or a command line given to the built binary, its signals, and what came out of it.
//!
//! Everything is bounded by itself, and gone when dropped. Failures panic: this is for tests only.

mod backlog;
mod behaviour;
mod books;
mod browser;
mod certificate;
mod connection;
mod guard;
pub mod http2;
mod nginx;
mod page_data;
mod program;
mod protocol;
mod proxy;
#[cfg(target_os = "linux")]
mod segments;
mod serve;
mod server;
mod site;
mod web;
mod websocket;

pub use backlog::FullBacklog;
pub use behaviour::Behaviour;
pub use browser::Browser;
pub use certificate::Certificate;
pub use connection::TlsEnd;
pub use guard::{Account, DigestGuard, NtlmGuard};
pub use nginx::Nginx;
pub use page_data::{page_data, page_document};
pub use program::{Outcome, Program, Running, Signal};
pub use proxy::{Proxy, ProxyManner};
#[cfg(target_os = "linux")]
pub use segments::{acknowledge_late, data_segments};
pub use serve::serve;
pub use server::Server;
pub use site::{Asked, Reply, Site, Then};
pub use web::web_server;
pub use websocket::{WebSocketPeer, frame};
