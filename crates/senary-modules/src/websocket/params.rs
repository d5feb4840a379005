//! What a script gives along with the URL: headers, tags, compression, a jar of cookies.

use rquickjs::{Coerced, Ctx, Object, Value};
use senary_js::errors;
use senary_js::properties;
use senary_js::value_text::to_text;
use senary_js::vu::core::VuCore;
use senary_wire::websocket::canonical;

use super::address::Address;
use super::cookies::Cookies;
use super::handshake::SessionRequest;
use crate::connection::options::Tags;
use crate::metrics::tags_of;

/// The options of a session.
pub const OPTIONS: [&str; 4] = ["headers", "tags", "jar", "compression"];

/// Headers that belong to the handshake itself.
const OWN: [&str; 5] =
    ["Connection", "Upgrade", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Version"];

/// The header that asks for subprotocols, as it is written and in its canonical form.
pub const PROTOCOL: &str = "Sec-WebSocket-Protocol";
const CANONICAL_PROTOCOL: &str = "Sec-Websocket-Protocol";

const COOKIE: &str = "Cookie";

#[derive(Default)]
pub struct Params<'js> {
    pub headers: Vec<(String, String)>,
    pub host: Option<String>,
    pub user_agent: Option<String>,
    pub tags: Tags,
    pub compression: bool,
    /// The jar to take cookies from, and to put them into; the VU's if left out.
    pub jar: Option<Value<'js>>,
    /// Why nothing can be asked for with these headers.
    refusal: Option<String>,
}

impl<'js> Params<'js> {
    /// Takes the headers of an object; others than objects are no headers.
    pub fn take_headers(&mut self, value: &Value<'js>) -> rquickjs::Result<()> {
        let Some(given) = value.as_object() else { return Ok(()) };
        for entry in properties::entries(given) {
            let (name, value) = entry?;
            let value = value.get::<Coerced<String>>()?.0;
            match canonical(&name).as_str() {
                "Host" => self.host = Some(value),
                "User-Agent" => self.user_agent = Some(value),
                CANONICAL_PROTOCOL => self.headers.push((PROTOCOL.to_owned(), value)),
                own if OWN.contains(&own) => {
                    self.refusal = Some(format!("websocket: duplicate header not allowed: {own}"));
                }
                other if is_name(other) => self.headers.push((other.to_owned(), value)),
                other => self.refusal = Some(format!("net/http: invalid header field name {other:?}")),
            }
        }
        Ok(())
    }

    /// Takes tags; `place` begins the text of an error.
    pub fn take_tags(&mut self, ctx: &Ctx<'js>, value: &Value<'js>, place: &str) -> rquickjs::Result<()> {
        self.tags = tags_of(ctx, value, || place.to_owned())?;
        Ok(())
    }

    /// Takes the algorithm of `compression`.
    pub fn take_compression(&mut self, ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<()> {
        let algorithm = to_text(ctx, value);
        self.compression = algorithm == "deflate";
        if self.compression {
            return Ok(());
        }
        let text =
            format!("unsupported compression algorithm '{algorithm}', supported algorithm is 'deflate'");
        Err(errors::throw_go_error(ctx, &text))
    }

    /// Asks for subprotocols, in place of those in the headers.
    pub fn ask_for(&mut self, protocols: &str) {
        self.headers.retain(|(name, _)| name != PROTOCOL);
        self.headers.push((PROTOCOL.to_owned(), protocols.to_owned()));
    }

    /// Adds the cookies of a jar, unless the headers have some; the jar is for those of the answer.
    pub fn take_cookies(&mut self, ctx: &Ctx<'js>, address: &Address) -> rquickjs::Result<Option<Cookies>> {
        let cookies = Cookies::of(ctx, self.jar.as_ref(), address)?;
        let has_own = self.headers.iter().any(|(name, _)| name == COOKIE);
        if let Some(header) = cookies.as_ref().and_then(Cookies::header).filter(|_| !has_own) {
            self.headers.push((COOKIE.to_owned(), header));
        }
        Ok(cookies)
    }

    /// The attempt to open a session with these parameters.
    pub fn attempt(self, vu: &VuCore, address: Result<Address, String>) -> SessionRequest {
        let address = match self.refusal {
            Some(refusal) => Err(refusal),
            None => address,
        };
        let user_agent = self.user_agent.unwrap_or_else(|| vu.settings.user_agent.clone());
        let Self { headers, host, compression, .. } = self;
        SessionRequest { address, headers, host, user_agent, compression }
    }
}

/// A field of an options object; `None` if it is not given.
pub fn given<'js>(options: &Object<'js>, name: &str) -> rquickjs::Result<Option<Value<'js>>> {
    let value: Value<'js> = options.get(name)?;
    Ok(Some(value).filter(|value| !value.is_undefined() && !value.is_null()))
}

fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}
