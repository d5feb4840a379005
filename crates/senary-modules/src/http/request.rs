//! A request as the script describes it: read from the arguments of a call, and checked. `flight` carries it out.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rquickjs::{Class, Ctx, Object, Value};
use senary_js::{bytes as js_bytes, go_type, properties};

use super::compression::Algorithm;
use super::destination::Destination;
use super::file::FileData;
use super::form::{self, Field};
use super::header;
use super::jar::CookieJar;
use super::params;
use super::state::HttpState;
use super::statuses::Statuses;
use super::url_template::UrlTemplate;
use crate::go_value;

/// The reference's code for a URL that cannot be read.
const INVALID_URL: u16 = 1020;

pub type Headers = Vec<(String, String)>;

/// Most are those of the functions that are named after them.
pub type Method = Cow<'static, str>;

/// What a script asks for.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub url: Rc<Destination>,
    /// The name that `http.url` gave it.
    pub name: Option<String>,
    /// With their usual spelling, sorted; `Host` replaces that of the URL.
    pub headers: Rc<Headers>,
    /// As it was given, before it is compressed.
    pub body: Bytes,
    pub compression: Vec<Algorithm>,
    pub cookies: Vec<RequestCookie>,
    pub jar: Rc<CookieJar>,
    /// `None`: as many as the option `maxRedirects` says.
    pub redirects: Option<u32>,
    pub tags: Vec<(String, String)>,
    pub auth: Auth,
    pub timeout: Duration,
    pub throw: bool,
    pub response_type: ResponseType,
    pub expected: Option<Rc<Statuses>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCookie {
    pub name: String,
    pub value: String,
    /// It replaces the jar's cookie of that name.
    pub replace: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// A user and a password in the URL are sent at once.
    #[default]
    Basic,
    Digest,
    Ntlm,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    #[default]
    Text,
    Binary,
    None,
}

/// Why there is no request.
#[derive(Debug)]
pub enum NoRequest {
    /// The script's own exception: a getter that threw, or an interruption.
    Script(rquickjs::Error),
    Bad(BadRequest),
}

/// What is wrong with a request. It becomes the error of a response, or is thrown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// 0 if the reference has none for it.
    pub code: u16,
    pub text: String,
}

impl From<rquickjs::Error> for NoRequest {
    fn from(error: rquickjs::Error) -> Self {
        Self::Script(error)
    }
}

impl From<String> for NoRequest {
    fn from(text: String) -> Self {
        Self::Bad(BadRequest { code: 0, text })
    }
}

/// The arguments of a call, as far as they were given.
pub struct Arguments<'js> {
    pub method: Method,
    pub url: Option<Value<'js>>,
    pub body: Option<Value<'js>>,
    pub params: Option<Value<'js>>,
}

impl Request {
    pub fn read<'js>(
        ctx: &Ctx<'js>,
        state: &HttpState,
        arguments: &Arguments<'js>,
    ) -> Result<Self, NoRequest> {
        let vu = senary_js::vu::core::vu_of(ctx)?;
        let http = &vu.settings.http;
        let (url, name) = read_url(ctx, state, arguments.url.as_ref())?;
        let body = read_body(ctx, arguments.body.as_ref())?;
        let response_type =
            if http.discard_response_bodies { ResponseType::None } else { ResponseType::Text };
        let mut request = Self {
            method: arguments.method.clone(),
            url,
            name,
            headers: state.plain_headers(&vu),
            body: body.bytes,
            compression: Vec::new(),
            cookies: Vec::new(),
            jar: state.jar(),
            redirects: None,
            tags: Vec::new(),
            auth: Auth::default(),
            timeout: params::DEFAULT_TIMEOUT,
            throw: vu.settings.throw,
            response_type,
            expected: state.callback(),
        };
        if let Some(content_type) = body.content_type {
            Rc::make_mut(&mut request.headers).push(("Content-Type".to_owned(), content_type));
        }
        if let Some(params) = arguments.params.as_ref().and_then(Value::as_object) {
            params::read(ctx, params, &mut request)?;
        }
        if request.headers.len() > 1 {
            let by_rank = |(a, _): &(String, _), (b, _): &(String, _)| {
                header::rank(a).cmp(&header::rank(b)).then_with(|| a.cmp(b))
            };
            Rc::make_mut(&mut request.headers).sort_by(by_rank);
        }
        Ok(request)
    }

    /// The method as errors of the reference begin: `Get "http://…": `.
    pub fn error_prefix(method: &str, url: &Destination) -> String {
        let mut chars = method.chars();
        let verb: String = match chars.next() {
            Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
            None => "Get".to_owned(),
        };
        format!("{verb} {:?}: ", url.masked())
    }
}

fn read_url<'js>(
    ctx: &Ctx<'js>,
    state: &HttpState,
    value: Option<&Value<'js>>,
) -> Result<(Rc<Destination>, Option<String>), NoRequest> {
    let parse = |text: &str| {
        let bad = |error| BadRequest { code: INVALID_URL, text: format!("invalid URL: {error}") };
        state.destinations.of(text).map_err(|error| NoRequest::Bad(bad(error)))
    };
    let refused = |kind: &str| NoRequest::from(format!("invalid URL value '{kind}'"));
    let Some(value) = value else { return Err(refused("<nil>")) };
    if let Some(text) = value.as_string() {
        return Ok((parse(&text.to_string()?)?, None));
    }
    let Some(object) = value.as_object() else { return Err(refused(go_type::go_type(value))) };
    if let Some(template) = Class::<UrlTemplate>::from_object(object) {
        let template = template.borrow();
        return Ok((parse(&template.url)?, Some(template.name.clone())));
    }
    // The URL of the web, or a script's own class with a text of that name.
    let href: Value<'js> = object.get("href")?;
    match href.as_string() {
        Some(href) => Ok((parse(&href.to_string()?)?, None)),
        None => Err(refused(&senary_js::value_text::to_text(ctx, value))),
    }
}

/// The bytes of a body, and the `Content-Type` that belongs to them.
#[derive(Default)]
struct Body {
    bytes: Bytes,
    content_type: Option<String>,
}

fn read_body<'js>(ctx: &Ctx<'js>, value: Option<&Value<'js>>) -> Result<Body, NoRequest> {
    let Some(value) = value.filter(|value| !value.is_null() && !value.is_undefined()) else {
        return Ok(Body::default());
    };
    if let Some(bytes) = js_bytes::of_value(ctx, value)? {
        return Ok(Body { bytes: bytes.into(), content_type: None });
    }
    match value.as_object().filter(|_| go_value::is_object(value)) {
        Some(object) => read_form(object),
        None => Err(format!("unknown request body type {}", go_type::go_type(value)).into()),
    }
}

fn read_form(object: &Object<'_>) -> Result<Body, NoRequest> {
    let mut fields = Vec::new();
    // Each element of a list is a field of its own. If the form has files, the whole list is one field, as in the reference.
    let mut of_lists = Vec::new();
    for entry in properties::entries(object) {
        let (name, value) = entry?;
        match go_value::list_of(&value)? {
            Some(list) => {
                let start = fields.len();
                for element in list.iter::<Value<'_>>() {
                    fields.push((name.clone(), read_field(&element?)?));
                }
                if !fields[start..].iter().any(|(_, field)| is_file(field)) {
                    of_lists.push((start..fields.len(), name, go_value::plain(&value)?));
                }
            }
            None => fields.push((name, read_field(&value)?)),
        }
    }
    if fields.iter().any(|(_, field)| is_file(field)) {
        for (elements, name, text) in of_lists.into_iter().rev() {
            fields.splice(elements, [(name, Field::Text(text))]);
        }
        let boundary = boundary();
        let bytes = form::multipart(&fields, &boundary).into();
        return Ok(Body { bytes, content_type: Some(format!("multipart/form-data; boundary={boundary}")) });
    }
    let texts: Vec<_> = fields
        .into_iter()
        .filter_map(|(name, field)| match field {
            Field::Text(text) => Some((name, text)),
            Field::File { .. } => None,
        })
        .collect();
    Ok(Body {
        bytes: form::urlencoded(&texts).into(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
    })
}

fn read_field(value: &Value<'_>) -> rquickjs::Result<Field> {
    if let Some(object) = value.as_object()
        && let Some(file) = Class::<FileData>::from_object(object)
    {
        return file.borrow().field(value.ctx(), object);
    }
    Ok(Field::Text(go_value::plain(value)?))
}

fn is_file(field: &Field) -> bool {
    matches!(field, Field::File { .. })
}

/// A line that occurs in no file.
fn boundary() -> String {
    let mut random = [0; 30];
    // Without random numbers nothing else works either.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
