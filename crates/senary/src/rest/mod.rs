//! The REST API of a run (`--address`): what it is asked, and what it may do, over HTTP.
//!
//! `http_server` speaks HTTP; here `routes` says which request gets which answer, `documents` how figures are written. What
//! a run can tell and do is a [`RunControl`].
//! Routes, bodies and codes are the reference's (<https://grafana.com/docs/k6/latest/reference/k6-rest-api/>), so
//! that what drives the reference drives Senary.

mod documents;
mod process;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hyper::{Method, StatusCode};
use senary_metrics::Results;

use crate::gate::PauseError;
use crate::http_server::{Answer, Asked, BindError, Bound, Server, Site};
use crate::run_phase::RunPhase;
use routes::Reply;
pub use routes::respond;

/// Makes the state of the run, as files of states have it; `None` at a moment when there is none.
pub type WrittenState = Box<dyn Fn() -> Option<Vec<u8>> + Send + Sync>;

/// Answers for a run on `host:port`, or on all addresses for `:port`, until the server is dropped.
pub fn serve(address: &str, run: Arc<dyn RunControl>, state: WrittenState) -> Result<Server, BindError> {
    Bound::new(address)?.serve("rest-api", Arc::new(Api { run, state }))
}

struct Api {
    run: Arc<dyn RunControl>,
    state: WrittenState,
}

impl Site for Api {
    fn answer(&self, asked: &Asked<'_>) -> Answer {
        let (method, path) = (&asked.head.method, asked.head.uri.path());
        match path == routes::STATE && *method == Method::GET {
            true => routes::state((self.state)()),
            false => respond(self.run.as_ref(), method, path, asked.body).into(),
        }
    }

    fn error(&self, status: StatusCode, title: &str, detail: &str) -> Answer {
        Reply::error(status, title, detail).into()
    }
}

/// What the API needs of a run. Methods may block; each is called on a thread where that is no harm.
pub trait RunControl: Send + Sync + 'static {
    fn status(&self) -> Status;

    /// Lets a paused run go, or pauses it.
    fn set_paused(&self, paused: bool) -> Result<(), PauseError>;

    /// Ends the run early. The status says so at once.
    fn stop(&self);

    /// What came of the run so far.
    fn results(&self) -> Results;

    /// What `setup()` returned, or what took its place, as JSON.
    fn setup_data(&self) -> Option<String>;

    fn set_setup_data(&self, json: Option<String>);

    /// Calls `setup()` and keeps what it returns.
    fn run_setup(&self) -> Result<(), String>;

    fn run_teardown(&self) -> Result<(), String>;

    /// From now on the process does not stay for more questions (`--linger`) once the run is over.
    fn end_linger(&self);
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub phase: RunPhase,
    pub paused: bool,
    /// VUs at work, and VUs there are.
    pub vus: u64,
    pub vus_max: u64,
    /// Ended early by the client that asked for it.
    pub stopped: bool,
    /// Whether a threshold does not hold.
    pub tainted: bool,
}
