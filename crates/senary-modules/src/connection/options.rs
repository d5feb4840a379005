//! Options that scripts pass to the calls of a connection: optional objects, and the tags in them.

use rquickjs::{Coerced, Ctx, Object, Value};
use senary_js::{errors, properties};

pub type Tags = Vec<(String, String)>;

/// The `tags` of an options object; values become text.
pub fn tags<'js>(ctx: &Ctx<'js>, options: &Object<'js>) -> rquickjs::Result<Tags> {
    let value: Value<'_> = options.get("tags")?;
    if value.is_undefined() || value.is_null() {
        return Ok(Tags::new());
    }
    let Some(object) = value.as_object().filter(|_| !value.is_function()) else {
        let text = senary_js::value_text::to_text(ctx, &value);
        return Err(errors::throw_type_error(
            ctx,
            &format!("could not convert {text} to tags: an object with names and values is expected"),
        ));
    };
    let mut tags = Tags::new();
    for entry in properties::entries(object) {
        let (key, value) = entry?;
        tags.push((key, tag_text(&value)?));
    }
    Ok(tags)
}

fn tag_text(value: &Value<'_>) -> rquickjs::Result<String> {
    if value.is_null() || value.is_undefined() {
        return Ok(String::new());
    }
    Ok(value.get::<Coerced<String>>()?.0)
}

/// Options that may be left out; anything but an object is refused.
pub fn object<'js>(
    ctx: &Ctx<'js>,
    value: Option<&Value<'js>>,
    wanted: &str,
) -> rquickjs::Result<Option<Object<'js>>> {
    match value {
        None => Ok(None),
        Some(value) if value.is_undefined() || value.is_null() => Ok(None),
        Some(value) => match value.as_object() {
            Some(object) => Ok(Some(object.clone())),
            None => {
                let text = senary_js::value_text::to_text(ctx, value);
                Err(errors::throw_type_error(ctx, &format!("could not convert {text} to {wanted}")))
            }
        },
    }
}
