//! HTTP for those who watch or drive a run: the REST API, and the dashboard.
//!
//! `server` is a thread of its own that never disturbs a VU, `guard` says who may ask, `connections` what clients may take
//! of this machine, `answer` what an answer is made of. What is there to be asked for is a [`Site`].

mod answer;
mod connections;
mod guard;
mod server;

pub use answer::{Answer, Asked, Sender, Site};
pub use server::{BindError, Bound, Server};
