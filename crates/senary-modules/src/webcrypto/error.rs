//! Why a WebCrypto operation is refused or fails. Scripts branch on the name.

use std::borrow::Cow;

use rquickjs::function::Constructor;
use rquickjs::{Ctx, Object, Value};
use senary_js::errors;

/// The name of an error, as <https://webidl.spec.whatwg.org/#idl-DOMException-error-names> has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The input has no meaning: key data, a JWK.
    Data,
    /// The key must not be used like that.
    InvalidAccess,
    NotSupported,
    /// The operation itself failed: wrong parameters, a tag that does not match.
    Operation,
    QuotaExceeded,
    /// A usage that the algorithm does not have, or none where one is needed.
    Syntax,
    TypeMismatch,
    /// An argument of the wrong type. A JavaScript `TypeError`, not a `DOMException`.
    Type,
    /// The reference has the method, and nothing behind it.
    NotImplemented,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CryptoError {
    pub name: Name,
    message: Cow<'static, str>,
}

impl CryptoError {
    pub fn new(name: Name, message: impl Into<Cow<'static, str>>) -> Self {
        Self { name, message: message.into() }
    }

    pub fn data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Name::Data, message)
    }

    pub fn operation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Name::Operation, message)
    }

    pub fn invalid_access(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Name::InvalidAccess, message)
    }

    pub fn not_supported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Name::NotSupported, message)
    }

    /// The error as an object of the script.
    pub fn to_js<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let name = match self.name {
            Name::Type => return errors::new_error(ctx, "TypeError", &self.message),
            Name::NotImplemented => return errors::new_error(ctx, errors::GO_ERROR, &self.message),
            Name::Data => "DataError",
            Name::InvalidAccess => "InvalidAccessError",
            Name::NotSupported => "NotSupportedError",
            Name::Operation => "OperationError",
            Name::QuotaExceeded => "QuotaExceededError",
            Name::Syntax => "SyntaxError",
            Name::TypeMismatch => "TypeMismatchError",
        };
        match ctx.globals().get::<_, Constructor<'js>>("DOMException") {
            Ok(constructor) => {
                let exception: Object<'js> = constructor.construct((&*self.message, name))?;
                Ok(exception.into_value())
            }
            Err(_) => {
                // The script removed the class.
                ctx.catch();
                let error = errors::new_error(ctx, "Error", &self.message)?;
                if let Some(error) = error.as_object() {
                    error.set("name", name)?;
                }
                Ok(error)
            }
        }
    }

    pub fn throw(&self, ctx: &Ctx<'_>) -> rquickjs::Error {
        match self.to_js(ctx) {
            Ok(value) => ctx.throw(value),
            Err(error) => error,
        }
    }
}

/// What ends an operation before it began: an error of ours, or an exception of the script that is pending.
#[derive(Debug)]
pub enum Refusal {
    Crypto(CryptoError),
    Script(rquickjs::Error),
}

impl From<CryptoError> for Refusal {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<rquickjs::Error> for Refusal {
    fn from(error: rquickjs::Error) -> Self {
        Self::Script(error)
    }
}
