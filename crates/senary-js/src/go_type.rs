//! The names of the types of a script's values in the reference's messages, which are those of Go.

use rquickjs::{Type, Value};

/// `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The type of a value: `int64`, `map[string]interface {}`, `<nil>`.
pub fn go_type(value: &Value<'_>) -> &'static str {
    let instance_of = |class: &str| {
        let class = value.ctx().globals().get::<_, Value<'_>>(class);
        match (value.as_object(), class.as_ref().map(Value::as_object)) {
            (Some(object), Ok(Some(class))) => object.is_instance_of(class),
            _ => false,
        }
    };
    match value.type_of() {
        Type::Uninitialized | Type::Undefined | Type::Null => "<nil>",
        Type::Bool => "bool",
        Type::Int => "int64",
        // A whole number counts as one, however the engine stores it.
        Type::Float => match value.as_float() {
            Some(number) if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER => "int64",
            _ => "float64",
        },
        Type::BigInt => "*big.Int",
        Type::Symbol => "*sobek.Symbol",
        Type::Array => "[]interface {}",
        Type::Constructor | Type::Function => "func(sobek.FunctionCall) sobek.Value",
        Type::Promise => "*sobek.Promise",
        _ if instance_of("Date") => "time.Time",
        _ if instance_of("Set") => "[]interface {}",
        _ if instance_of("Map") => "[][2]interface {}",
        _ => "map[string]interface {}",
    }
}
