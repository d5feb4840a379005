//! The cookies of a handshake: those that go with the request, and those that come with the answer.

use std::rc::Rc;

use rquickjs::{Class, Ctx, Value};

use super::address::Address;
use super::handshake::Answer;
use crate::go_url::Url;
use crate::http::jar::CookieJar;
use crate::http::jar_class::JarObject;
use crate::http::state::HttpState;

/// A jar, and the page whose cookies count.
pub struct Cookies {
    jar: Rc<CookieJar>,
    page: Url,
}

impl Cookies {
    /// Takes the jar that the script gave, or else the VU's. `None` if the address cannot have cookies.
    pub fn of<'js>(
        ctx: &Ctx<'js>,
        jar: Option<&Value<'js>>,
        address: &Address,
    ) -> rquickjs::Result<Option<Self>> {
        let Ok(page) = Url::parse(&address.page()) else { return Ok(None) };
        let given = jar.and_then(Value::as_object).and_then(Class::<JarObject>::from_object);
        let jar = match given {
            Some(jar) => jar.borrow().jar(),
            None => HttpState::of(ctx)?.jar(),
        };
        Ok(Some(Self { jar, page }))
    }

    pub fn header(&self) -> Option<String> {
        self.jar.header_for(&self.page)
    }

    /// Keeps what the answer says.
    pub fn keep(&self, answer: &Answer) {
        let headers = answer.headers.iter().filter(|(name, _)| name == "Set-Cookie");
        self.jar.store(&self.page, headers.map(|(_, value)| value.as_str()));
    }
}
