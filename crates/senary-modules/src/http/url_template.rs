//! `` http.url`…` ``: a URL whose name in metrics leaves its variable parts out.

use rquickjs::function::Rest;
use rquickjs::{Array, Class, Coerced, Ctx, Object, Value};
use senary_js::{errors, native_class};

/// The text that replaces each value in the name.
const HOLE: &str = "${}";

pub struct UrlTemplate {
    pub url: String,
    pub name: String,
}

native_class!(UrlTemplate, "URL", |ctx| Object::new(ctx.clone()));

/// A tag of template literals; as a plain function it takes a text.
pub fn url<'js>(ctx: Ctx<'js>, parts: Value<'js>, values: Rest<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let (url, name) = match parts.as_array() {
        Some(parts) => filled(parts, &values.0)?,
        None if parts.is_string() => {
            let url = parts.get::<String>()?;
            (url.clone(), url)
        }
        None => {
            let text = "url() is a tag of template literals: write http.url`http://example.com/${id}`";
            return Err(errors::throw_type_error(&ctx, text));
        }
    };
    let template = Class::instance(ctx, UrlTemplate { url: url.clone(), name: name.clone() })?;
    template.set("name", name)?;
    template.set("url", url.clone())?;
    template.set("clean_url", url)?;
    Ok(template.into_value())
}

fn filled(parts: &Array<'_>, values: &[Value<'_>]) -> rquickjs::Result<(String, String)> {
    let (mut url, mut name) = (String::new(), String::new());
    for (at, part) in parts.iter::<String>().enumerate() {
        let part = part?;
        url.push_str(&part);
        name.push_str(&part);
        if let Some(value) = values.get(at).filter(|_| at + 1 < parts.len()) {
            url.push_str(&value.get::<Coerced<String>>()?.0);
            name.push_str(HOLE);
        }
    }
    Ok((url, name))
}
