//! `URL` and `URLSearchParams`: parsing, by the crate `url`, which follows <https://url.spec.whatwg.org/>.

use rquickjs::function::Opt;
use rquickjs::{Array, Ctx, Object, Value};
use senary_js::native;
use senary_js::snippet::Part;
use url::{Url, form_urlencoded, quirks};

pub(super) static PART: Part = Part::new("URL", include_str!("url.js"), natives);

type Text<'js> = rquickjs::String<'js>;

fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    natives.set("parse", native::function(ctx, parse)?)?;
    natives.set("change", native::function(ctx, change)?)?;
    natives.set("decode", native::function(ctx, decode)?)?;
    natives.set("encode", native::function(ctx, encode)?)?;
    Ok(natives)
}

/// The parts of a URL; undefined if it is not valid.
fn parse<'js>(ctx: Ctx<'js>, text: Text<'js>, base: Opt<Option<Text<'js>>>) -> rquickjs::Result<Value<'js>> {
    let text = text.to_string()?;
    let base = base.0.flatten().map(|base| base.to_string()).transpose()?;
    let url = match base.map(|base| Url::parse(&base)) {
        None => Url::parse(&text),
        Some(Ok(base)) => base.join(&text),
        Some(Err(error)) => Err(error),
    };
    parts_of(&ctx, url.ok())
}

/// The parts of a URL after one of them was set. An invalid value changes nothing, except for `href`: then the result
/// is undefined.
fn change<'js>(
    ctx: Ctx<'js>,
    href: Text<'js>,
    part: Text<'js>,
    value: Text<'js>,
) -> rquickjs::Result<Value<'js>> {
    let value = value.to_string()?;
    let Ok(mut url) = Url::parse(&href.to_string()?) else { return parts_of(&ctx, None) };
    let part = part.to_string()?;
    if part == "href" {
        return parts_of(&ctx, Url::parse(&value).ok());
    }
    set(&mut url, &part, &value);
    parts_of(&ctx, Some(url))
}

/// Sets a part of a URL. As the standard says, setters ignore invalid values.
fn set(url: &mut Url, part: &str, value: &str) {
    let _ignored = match part {
        "protocol" => quirks::set_protocol(url, value),
        "username" => quirks::set_username(url, value),
        "password" => quirks::set_password(url, value),
        "host" => quirks::set_host(url, value),
        "hostname" => quirks::set_hostname(url, value),
        "port" => quirks::set_port(url, value),
        other => {
            match other {
                "pathname" => quirks::set_pathname(url, value),
                "search" => quirks::set_search(url, value),
                "hash" => quirks::set_hash(url, value),
                _ => {}
            }
            Ok(())
        }
    };
}

fn parts_of<'js>(ctx: &Ctx<'js>, url: Option<Url>) -> rquickjs::Result<Value<'js>> {
    let Some(url) = url else { return Ok(Value::new_undefined(ctx.clone())) };
    let origin = quirks::origin(&url);
    let parts = [
        quirks::href(&url),
        &origin,
        quirks::protocol(&url),
        quirks::username(&url),
        quirks::password(&url),
        quirks::host(&url),
        quirks::hostname(&url),
        quirks::port(&url),
        quirks::pathname(&url),
        quirks::search(&url),
        quirks::hash(&url),
    ];
    let array = Array::new(ctx.clone())?;
    for (index, part) in parts.into_iter().enumerate() {
        array.set(index, part)?;
    }
    Ok(array.into_value())
}

/// The pairs of a text such as `a=1&b=2`.
fn decode<'js>(ctx: Ctx<'js>, text: Text<'js>) -> rquickjs::Result<Array<'js>> {
    let pairs = Array::new(ctx.clone())?;
    for (index, (name, value)) in form_urlencoded::parse(text.to_string()?.as_bytes()).enumerate() {
        let pair = Array::new(ctx.clone())?;
        pair.set(0, &*name)?;
        pair.set(1, &*value)?;
        pairs.set(index, pair)?;
    }
    Ok(pairs)
}

fn encode<'js>(pairs: Array<'js>) -> rquickjs::Result<String> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for pair in pairs.iter::<Array<'js>>() {
        let pair = pair?;
        text.append_pair(&pair.get::<String>(0)?, &pair.get::<String>(1)?);
    }
    Ok(text.finish())
}
