//! `TCPError` as scripts see it: a real `Error` that keeps the reference's text.

use std::sync::{Arc, OnceLock};

use rquickjs::{Ctx, Object, Persistent, Value, function::Constructor};
use senary_net::NetError;

use crate::source::bytecode;

/// Defines the class; evaluated once per context, it gives back the constructor. What is known of the error can be
/// listed, as in the reference: scripts log errors with `JSON.stringify`.
const CLASS: &str = "(class TCPError extends Error {
  constructor(method, message, code) {
    super()
    this.name = 'TCPError'; this.method = method; this.message = message; this.code = code
  }
  toString() { return `TCP error during ${this.method}: ${this.message}` }
  error() { return this.toString() }
})";

/// The operation an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Connect,
    Write,
    Read,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// An error before it becomes a script's value.
#[derive(Clone, Debug)]
pub struct TcpError {
    pub method: Method,
    pub message: String,
    pub code: &'static str,
}

impl TcpError {
    pub fn new(method: Method, code: &'static str, message: impl Into<String>) -> Self {
        Self { method, message: message.into(), code }
    }

    pub fn from_net(method: Method, error: &NetError) -> Self {
        Self { method, message: error.to_string(), code: error.code() }
    }

    pub fn to_value<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let constructor: Constructor<'js> = match ctx.userdata::<ErrorClass>() {
            Some(class) => class.0.clone().restore(ctx)?,
            None => return crate::errors::new_error(ctx, "Error", &self.message),
        };
        let arguments = (self.method.as_str(), self.message.as_str(), self.code);
        Ok(constructor.construct::<_, Object<'js>>(arguments)?.into_value())
    }
}

/// The constructor, kept in the context's userdata.
struct ErrorClass(Persistent<Constructor<'static>>);

// SAFETY: a `Persistent` is not bound to `'js`.
unsafe impl<'js> rquickjs::JsLifetime<'js> for ErrorClass {
    type Changed<'to> = ErrorClass;
}

pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static BYTECODE: OnceLock<Arc<[u8]>> = OnceLock::new();
    let class: Constructor<'_> =
        bytecode::evaluate_script(ctx, super::MODULE.name, CLASS, &BYTECODE)?.get()?;
    // Fails only while userdata is being read, which nobody does here.
    let _ = ctx.store_userdata(ErrorClass(Persistent::save(ctx, class)));
    Ok(())
}
