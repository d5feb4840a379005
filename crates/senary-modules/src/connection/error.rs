//! Failures of a socket, as they are counted and reported, and `TCPError`, which scripts see: a real `Error` with the
//! reference's text.

use rquickjs::object::Property;
use rquickjs::{Ctx, Object, Persistent, Value, function::Constructor};
use senary_js::snippet::Snippet;
pub use senary_js::source::call_site::CallSite;
use senary_js::userdata;
use senary_net::NetError;
use senary_wire::{EncodeError, FrameError};

/// What stack traces call the script of the class.
const SCRIPT: &str = "k6/x/tcp";

/// Defines the class; evaluated once per context, it returns the constructor. The error's fields are enumerable, as in
/// the reference, because scripts log errors with `JSON.stringify`.
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

/// A failure of a socket: the operation, the error, and where the script called it. It is counted, passed to listeners,
/// and rejects the promise.
#[derive(Clone, Debug)]
pub struct SocketFailure {
    pub method: Method,
    pub code: &'static str,
    pub message: String,
    /// What the peer had done until then. It appears in the failures of the run, and not in the script's errors, whose
    /// texts stay the same.
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

    /// Whether the arguments of a call are wrong, whoever the peer is.
    pub fn is_of_arguments(&self) -> bool {
        self.code.starts_with("ERR_INVALID_") || self.code == "ERR_SOCKET_BAD_PORT"
    }

    /// The id that it is counted under.
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
            // The stack of the new object would show where it was made, which is not in the script.
            let text = format!("TCP error during {}: {}", self.method.as_str(), self.message);
            let stack = Property::from(called.shape(&text)).writable().configurable();
            error.prop("stack", stack)?;
        }
        Ok(error.into_value())
    }
}

/// The received bytes cannot be split into messages.
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
