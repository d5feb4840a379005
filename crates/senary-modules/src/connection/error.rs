//! What goes wrong on a socket: as it is counted and told, and `TCPError` as scripts see it, a real `Error` that keeps
//! the reference's text.

use rquickjs::object::Property;
use rquickjs::{Ctx, Object, Persistent, Value, function::Constructor};
use senary_js::snippet::Snippet;
pub use senary_js::source::call_site::CallSite;
use senary_js::userdata;
use senary_net::NetError;
use senary_wire::{EncodeError, FrameError};

/// What stack traces call the script of the class.
const SCRIPT: &str = "k6/x/tcp";

/// Defines the class; evaluated once per context, it gives back the constructor. What is known of the error can be
/// listed, as in the reference: scripts log errors with `JSON.stringify`.
static CLASS: Snippet = Snippet::new(
    SCRIPT,
    "(class TCPError extends Error {
  constructor(method, message, code) {
    super()
    this.name = 'TCPError'; this.method = method; this.message = message; this.code = code
  }
  toString() { return `TCP error during ${this.method}: ${this.message}` }
  error() { return this.toString() }
})",
);

/// The operation an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Connect,
    Write,
    Read,
    Request,
    End,
    StartTls,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Write => "write",
            Self::Read => "read",
            Self::Request => "request",
            Self::End => "end",
            Self::StartTls => "startTls",
        }
    }
}

/// A failure of a socket: what was being done, what became of it, and where the script asked for it. It is counted,
/// told to listeners and rejected with.
#[derive(Clone, Debug)]
pub struct SocketFailure {
    pub method: Method,
    pub code: &'static str,
    pub message: String,
    /// What the peer had done until then. It goes into the run's failures, not to the script, whose errors keep one text.
    pub peer: String,
    /// `None` for a read, which is not a call.
    pub called: Option<CallSite>,
}

impl SocketFailure {
    pub fn new(method: Method, code: &'static str, message: impl Into<String>) -> Self {
        Self { method, code, message: message.into(), peer: String::new(), called: None }
    }

    pub fn from_net(method: Method, error: &NetError) -> Self {
        Self::new(method, error.code(), error.to_string())
    }

    /// A message that its framing cannot carry.
    pub fn of_encoding(method: Method, error: &EncodeError) -> Self {
        Self::new(method, error.code(), error.to_string())
    }

    pub fn of_peer(self, peer: String) -> Self {
        Self { peer, ..self }
    }

    pub fn called_at(self, called: Option<CallSite>) -> Self {
        Self { called, ..self }
    }

    /// What it is counted under.
    pub fn tags(&self) -> [(&'static str, &'static str); 2] {
        [("error_code", self.code), ("method", self.method.as_str())]
    }

    pub fn to_value<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let constructor: Constructor<'js> = match ctx.userdata::<ErrorClass>() {
            Some(class) => class.0.clone().restore(ctx)?,
            None => return senary_js::errors::new_error(ctx, "Error", &self.message),
        };
        let arguments = (self.method.as_str(), self.message.as_str(), self.code);
        let error = constructor.construct::<_, Object<'js>>(arguments)?;
        if let Some(called) = &self.called {
            // Its own stack is where it was made, which is nowhere in the script.
            let text = format!("TCP error during {}: {}", self.method.as_str(), self.message);
            let stack = Property::from(called.shape(&text)).writable().configurable();
            error.prop("stack", stack)?;
        }
        Ok(error.into_value())
    }
}

/// What was received cannot be taken apart.
impl From<FrameError> for SocketFailure {
    fn from(error: FrameError) -> Self {
        Self::new(Method::Read, error.code(), error.to_string())
    }
}

/// The constructor, kept in the context's userdata.
struct ErrorClass(Persistent<Constructor<'static>>);

userdata!(ErrorClass);

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let class: Constructor<'_> = CLASS.evaluate(ctx)?.get()?;
    // Fails only while userdata is being read, which nobody does here.
    let _ = ctx.store_userdata(ErrorClass(Persistent::save(ctx, class)));
    Ok(())
}
