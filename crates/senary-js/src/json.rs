//! What leaves a script as JSON: its options, and what `setup()` hands on.
//!
//! `JSON.stringify` leaves functions out and turns `NaN` into null. A test that runs with less than was written is
//! worse than an error, so both are refused, as the reference does. A `BigInt` is a number.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::{Coerced, Ctx, Function, Type, Value};

use crate::errors;
use crate::failure::ScriptFailure;

/// Why a value is not handed on. The texts are the reference's, and then the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("json: unsupported type: func(...){}", place(.key))]
    Function { key: String },
    /// `NaN` or an infinity.
    #[error("json: unsupported value: {value}{}", place(.key))]
    Number { value: String, key: String },
    /// A getter or a `toJSON` that threw, a cycle.
    #[error("{0}")]
    Script(ScriptFailure),
}

fn place(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" (in {key:?})") }
}

/// The value as JSON; `None` for `undefined`.
pub fn of<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Option<String>, JsonError> {
    let refused: Rc<RefCell<Option<JsonError>>> = Rc::default();
    let refuse = refused.clone();
    let check = move |ctx: Ctx<'js>, key: Value<'js>, value: Value<'js>| {
        let value = match value.type_of() {
            Type::BigInt => {
                let digits = value.get::<Coerced<String>>()?.0;
                Value::new_number(ctx.clone(), digits.parse().unwrap_or(f64::NAN))
            }
            _ => value,
        };
        if !value.is_function() && value.as_float().is_none_or(f64::is_finite) {
            return Ok(value);
        }
        let key = key.get::<Coerced<String>>()?.0;
        let error = match value.as_float() {
            None => JsonError::Function { key },
            Some(number) if number.is_nan() => JsonError::Number { value: "NaN".to_owned(), key },
            Some(number) => {
                let sign = if number > 0.0 { '+' } else { '-' };
                JsonError::Number { value: format!("{sign}Inf"), key }
            }
        };
        let thrown = errors::throw_type_error(&ctx, &error.to_string());
        refuse.replace(Some(error));
        Err(thrown)
    };
    let json = Function::new(ctx.clone(), check)
        .and_then(|check| ctx.json_stringify_replacer(value, check))
        .and_then(|json| json.map(|json| json.to_string()).transpose());
    json.map_err(|error| {
        let failure = ScriptFailure::from_error(ctx, error);
        refused.take().unwrap_or(JsonError::Script(failure))
    })
}
