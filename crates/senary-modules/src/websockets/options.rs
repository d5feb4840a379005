//! What a script gives to `new WebSocket(url, protocols, options)`.

use rquickjs::{Coerced, Ctx, Value};
use senary_js::errors;
use senary_js::hints;
use senary_js::properties;
use senary_js::value_text::to_text;

use crate::websocket::params::{OPTIONS, Params, given};
use crate::websocket::{Address, AddressError};

/// The URL, or an exception in the words of the reference.
pub fn address<'js>(ctx: &Ctx<'js>, url: Option<&Value<'js>>) -> rquickjs::Result<(String, Address)> {
    let Some(url) = url.filter(|url| !url.is_undefined()) else {
        return Err(errors::throw_go_error(ctx, "WebSocket requires a url"));
    };
    let url = url.get::<Coerced<String>>()?.0;
    let text = match Address::parse(&url) {
        Ok(address) => return Ok((url, address)),
        Err(AddressError::Scheme(scheme)) => {
            format!("WebSocket requires url with scheme ws or wss, but got {scheme:?}")
        }
        Err(AddressError::Fragment(fragment)) => {
            format!("WebSocket requires no url fragment, but got {fragment:?}")
        }
        Err(AddressError::Malformed(why)) => {
            format!("WebSocket requires valid url, but got {url:?} which resulted in {why}")
        }
    };
    Err(errors::throw_go_error(ctx, &text))
}

/// Subprotocols and options.
pub fn params<'js>(
    ctx: &Ctx<'js>,
    protocols: Option<&Value<'js>>,
    options: Option<&Value<'js>>,
) -> rquickjs::Result<Params<'js>> {
    let mut params = Params::default();
    let options = options.filter(|options| !options.is_undefined() && !options.is_null());
    if let Some(options) = options.and_then(Value::as_object) {
        for name in properties::names(options) {
            let name = name?;
            if !OPTIONS.contains(&name.as_str()) {
                // The exception has the reference's text.
                if hints::is_due(ctx, &format!("new WebSocket() {name}")) {
                    let hint = hints::known_instead(&name, &OPTIONS);
                    log::warn!(hint = hint.as_str(); "new WebSocket() has no option {name:?}, and throws");
                }
                return Err(errors::throw_go_error(ctx, &format!("unknown WebSocket's option {name}")));
            }
        }
        if let Some(headers) = given(options, "headers")? {
            params.take_headers(&headers)?;
        }
        if let Some(tags) = given(options, "tags")? {
            params.take_tags(ctx, &tags, "invalid WebSocket tags option: ")?;
        }
        params.jar = given(options, "jar")?;
        if let Some(compression) = given(options, "compression")? {
            params.take_compression(ctx, &compression)?;
        }
    }
    let protocols = match protocols {
        Some(one) if one.is_string() => to_text(ctx, one),
        Some(list) => match list.as_array() {
            Some(list) => {
                let names = list.iter::<Value<'js>>().map(|name| name.map(|name| to_text(ctx, &name)));
                names.collect::<rquickjs::Result<Vec<_>>>()?.join(", ")
            }
            None => String::new(),
        },
        None => String::new(),
    };
    if !protocols.is_empty() {
        params.ask_for(&protocols);
    }
    Ok(params)
}
