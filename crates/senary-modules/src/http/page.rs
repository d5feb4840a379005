//! `submitForm()` and `clickLink()`: what a visitor does on a page, as requests.

use rquickjs::function::{Opt, This};
use rquickjs::{Class, Ctx, Function, Object, Value};
use senary_js::snippet::Part;
use senary_js::{errors, hints, native};

use super::calls;
use super::response::{ResponseObject, document};

/// Both methods. Selections are easier to use from JavaScript.
static PAGE: Part = Part::new(
    "k6/http",
    "((native) => ({
  submitForm(response, args) {
    const { formSelector = 'form', submitSelector = '[type=\"submit\"]', fields = {}, params } = args ?? {}
    const form = native.html(response, formSelector)
    if (form.size() === 0) native.fail(`no form found for selector '${formSelector}' in response '${response.url}'`)
    const method = (form.attr('method') ?? 'GET').toUpperCase()
    const target = native.join(response, form.attr('action') ?? '')
    const values = form.serializeObject()
    const submit = form.find(submitSelector)
    const name = submit.attr('name')
    if (name) values[name] = submit.attr('value') ?? ''
    Object.assign(values, fields)
    if (method !== 'GET') return native.request(method, target, values, params)
    return native.request(method, native.withQuery(target, values), null, params)
  },
  clickLink(response, args) {
    const { selector = 'a[href]', params } = args ?? {}
    const link = native.html(response, selector)
    if (link.size() === 0) native.fail(`no element found for selector '${selector}' in response '${response.url}'`)
    const href = link.attr('href')
    if (href === undefined) native.fail(`no valid href attribute value found on element '${selector}' in response '${response.url}'`)
    return native.request('GET', native.join(response, href), null, params)
  }
}))",
    natives,
);

type Response<'js> = Class<'js, ResponseObject>;

fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    let html = |ctx: Ctx<'js>, response: Response<'js>, selector: Value<'js>| {
        document(&ctx, &response, Some(selector))
    };
    natives.set("html", native::function(ctx, html)?)?;
    let join =
        |ctx: Ctx<'js>, response: Response<'js>, reference: String| response.borrow().join(&ctx, &reference);
    natives.set("join", native::function(ctx, join)?)?;
    natives.set("withQuery", native::function(ctx, with_query)?)?;
    natives.set("request", native::function(ctx, calls::request)?)?;
    let fail =
        |ctx: Ctx<'js>, text: String| -> rquickjs::Result<()> { Err(errors::throw_go_error(&ctx, &text)) };
    natives.set("fail", native::function(ctx, fail)?)?;
    Ok(natives)
}

/// The URL with these fields in place of its query.
fn with_query(url: String, fields: Object<'_>) -> rquickjs::Result<String> {
    let mut pairs = Vec::new();
    for entry in senary_js::properties::entries(&fields) {
        let (name, value) = entry?;
        let values = match value.as_array() {
            Some(list) => list.iter::<Value<'_>>().collect::<rquickjs::Result<Vec<_>>>()?,
            None => vec![value],
        };
        for value in values {
            pairs.push((name.clone(), value.get::<rquickjs::Coerced<String>>()?.0));
        }
    }
    let fragment = url.find('#').map_or("", |at| &url[at..]);
    let base = url[..url.len() - fragment.len()].split('?').next().unwrap_or_default();
    Ok(format!("{base}?{}{fragment}", super::form::urlencoded(&pairs)))
}

pub fn submit_form<'js>(
    ctx: Ctx<'js>,
    this: This<Response<'js>>,
    arguments: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    call(&ctx, "submitForm", &["formSelector", "submitSelector", "fields", "params"], this.0, arguments.0)
}

pub fn click_link<'js>(
    ctx: Ctx<'js>,
    this: This<Response<'js>>,
    arguments: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    call(&ctx, "clickLink", &["selector", "params"], this.0, arguments.0)
}

fn call<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    known: &[&str],
    response: Response<'js>,
    arguments: Option<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    if let Some(given) = arguments.as_ref().and_then(Value::as_object) {
        hints::unknown_fields(&format!("{name}()"), given, known)?;
    }
    let function: Function<'js> = PAGE.member(ctx, name)?.get()?;
    function.call((response, arguments))
}
