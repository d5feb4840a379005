//! `CookieJar` as scripts have it.

use std::rc::Rc;

use rquickjs::function::{Constructor, Opt, This};
use rquickjs::{Class, Coerced, Ctx, Function, Object, Value};
use senary_js::{errors, hints, native, native_class};

use super::cookie::{SetCookie, parse_date};
use super::jar::CookieJar;
use super::state::HttpState;
use crate::go_url::Url;

pub struct JarObject(Rc<CookieJar>);

native_class!(JarObject, "CookieJar", prototype, constructor);

type Receiver<'js> = This<Class<'js, JarObject>>;

impl JarObject {
    pub fn jar(&self) -> Rc<CookieJar> {
        self.0.clone()
    }
}

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    let add =
        |name: &str, method: rquickjs::Result<Function<'js>>| prototype.set(name, method?.with_name(name)?);
    add("cookiesForURL", native::function(ctx, cookies_for_url))?;
    add("set", native::function(ctx, set))?;
    add("clear", native::function(ctx, clear))?;
    add("delete", native::function(ctx, delete))?;
    Ok(prototype)
}

fn constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
    let construct = |ctx: Ctx<'js>| Class::instance(ctx, JarObject(Rc::default()));
    Constructor::new_class::<JarObject, _, _>(ctx.clone(), construct).map(Some)
}

/// The jar of the VU.
pub fn cookie_jar(ctx: Ctx<'_>) -> rquickjs::Result<Class<'_, JarObject>> {
    super::calls::vu_in_use(&ctx, "Making cookie jars in the init context is not supported")?;
    let jar = HttpState::of(&ctx)?.jar();
    Class::instance(ctx, JarObject(jar))
}

fn url_of(ctx: &Ctx<'_>, url: &str) -> rquickjs::Result<Url> {
    Url::parse(url).map_err(|error| errors::throw_go_error(ctx, &error.to_string()))
}

fn cookies_for_url<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    url: Coerced<String>,
) -> rquickjs::Result<Object<'js>> {
    let cookies = this.0.borrow().0.cookies_for(&url_of(&ctx, &url.0)?);
    let object = Object::new(ctx)?;
    for (name, value) in cookies {
        let mut values = object.get::<_, Option<Vec<String>>>(name.as_str())?.unwrap_or_default();
        values.push(value);
        object.set(name, values)?;
    }
    Ok(object)
}

fn set<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    url: Coerced<String>,
    name: Coerced<String>,
    value: Value<'js>,
    options: Opt<Value<'js>>,
) -> rquickjs::Result<bool> {
    let url = url_of(&ctx, &url.0)?;
    // As in the reference, what is nothing is no text, rather than the text "null".
    let is_nothing = value.is_null() || value.is_undefined();
    let value = if is_nothing { String::new() } else { value.get::<Coerced<String>>()?.0 };
    let mut cookie = SetCookie { name: name.0, value, ..SetCookie::default() };
    if let Some(options) = options.0.as_ref().and_then(Value::as_object) {
        read_options(&ctx, options, &mut cookie)?;
    }
    this.0.borrow().0.set(&url, cookie);
    Ok(true)
}

const COOKIE_OPTIONS: [&str; 6] = ["domain", "path", "expires", "max_age", "secure", "http_only"];

fn read_options<'js>(ctx: &Ctx<'js>, options: &Object<'js>, cookie: &mut SetCookie) -> rquickjs::Result<()> {
    for entry in senary_js::properties::entries(options) {
        let (key, value) = entry?;
        if value.is_undefined() || value.is_null() {
            continue;
        }
        let text = || value.get::<Coerced<String>>().map(|text| text.0);
        match key.to_lowercase().as_str() {
            "domain" => cookie.domain = text()?,
            "path" => cookie.path = text()?,
            "expires" => {
                let date = text()?;
                if date.is_empty() {
                    continue;
                }
                cookie.expires = Some(parse_date(&date).ok_or_else(|| {
                    let problem = format!("unable to parse \"expires\" date string {date:?}");
                    errors::throw_go_error(ctx, &problem)
                })?);
            }
            "max_age" => cookie.max_age = value.get::<Coerced<f64>>()?.0 as i64,
            "secure" => cookie.secure = value.get::<Coerced<bool>>()?.0,
            "http_only" => cookie.http_only = value.get::<Coerced<bool>>()?.0,
            _ => hints::unknown_field(ctx, "jar.set()", &key, &COOKIE_OPTIONS),
        }
    }
    Ok(())
}

fn clear<'js>(ctx: Ctx<'js>, this: Receiver<'js>, url: Coerced<String>) -> rquickjs::Result<()> {
    this.0.borrow().0.clear(&url_of(&ctx, &url.0)?);
    Ok(())
}

fn delete<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    url: Coerced<String>,
    name: Coerced<String>,
) -> rquickjs::Result<()> {
    this.0.borrow().0.delete(&url_of(&ctx, &url.0)?, &name.0);
    Ok(())
}
