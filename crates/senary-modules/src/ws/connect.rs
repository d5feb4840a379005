//! `ws.connect(url, params, function)`: the session from its begin to its end, and what is given back of it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::function::Rest;
use rquickjs::{Class, Coerced, Ctx, Error, Function, IntoJs, Object, Value};
use senary_js::errors;
use senary_js::hints;
use senary_js::live::Live;
use senary_js::vu::core::{VuCore, vu_of};
use senary_wire::websocket::code;

use super::conversation::Conversation;
use super::socket::SocketObject;
use crate::websocket::cookies::Cookies;
use crate::websocket::params::{OPTIONS, Params, given};
use crate::websocket::{Address, AddressError, Answer, Ended, Failed, Happened, Hears, Session};

/// How long the server may take to read what was sent before the end, and how often that is looked at.
const REST: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(2);

/// The reference's text for a URL that is not one of a WebSocket.
const MALFORMED: &str = "malformed ws or wss URL";

pub fn connect<'js>(ctx: Ctx<'js>, arguments: Rest<Value<'js>>) -> rquickjs::Result<Object<'js>> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(&ctx, "using websockets in the init context is not supported"));
    }
    let (url, options, function) = match &arguments.0[..] {
        [url, function] => (url, None, function),
        [url, options, function] => (url, Some(options), function),
        _ => return Err(errors::throw_go_error(&ctx, "invalid number of arguments to ws.connect")),
    };
    let Some(function) = function.as_function() else {
        return Err(errors::throw_go_error(&ctx, "last argument to ws.connect must be a function"));
    };
    let url = url.get::<Coerced<String>>()?.0;
    let mut params = params(&ctx, options)?;
    let address = Address::parse(&url).map_err(|error| match error {
        AddressError::Malformed(why) => why,
        AddressError::Scheme(_) | AddressError::Fragment(_) => MALFORMED.to_owned(),
    });
    let shown = address.as_ref().map_or(url.as_str(), |address| address.url.as_str());
    let cookies = match &address {
        Ok(address) => params.take_cookies(&ctx, address)?,
        Err(_) => None,
    };
    let session = Session::new(vu.clone(), shown, &std::mem::take(&mut params.tags), false);
    let conversation = Rc::default();
    let talk = Talk { ctx: ctx.clone(), vu, session, conversation, is_cut_off: Cell::new(false), cookies };
    let hears: Rc<dyn Hears> = talk.conversation.clone();
    talk.session.begin(params.attempt(&talk.vu, address), Rc::downgrade(&hears));
    let id = talk.vu.events.new_live_id();
    talk.vu.events.hold(id, Rc::new(Held(talk.session.clone())));
    let response = talk.to_its_end(&url, function);
    // If it is cut off, it is left there to be told of.
    if !talk.is_cut_off.get() {
        talk.vu.events.release(id);
    }
    response
}

/// What is told of a session for which script waits.
struct Held(Rc<Session>);

impl Live for Held {
    fn deliver(self: Rc<Self>, _: &Ctx<'_>) -> rquickjs::Result<()> {
        Ok(())
    }

    fn discard(&self) {}

    fn wake(&self) {}

    fn describe(&self) -> String {
        format!("a WebSocket is still {} {}", self.0.doing(), self.0.url)
    }

    fn traffic(&self) -> String {
        format!("{} {}", self.0.doing(), self.0.url)
    }

    fn waits_for_peer(&self) -> bool {
        self.0.waits_for_peer()
    }

    fn abandon(&self) {
        self.0.abandon(code::GOING_AWAY, "");
    }
}

/// Others than objects are no options, as in k6.
fn params<'js>(ctx: &Ctx<'js>, options: Option<&Value<'js>>) -> rquickjs::Result<Params<'js>> {
    let mut params = Params::default();
    let Some(options) = options.and_then(Value::as_object) else { return Ok(params) };
    hints::unknown_fields("ws.connect()", options, &OPTIONS)?;
    if let Some(headers) = given(options, "headers")? {
        params.take_headers(&headers)?;
    }
    if let Some(tags) = given(options, "tags")? {
        params.take_tags(ctx, &tags, "invalid ws.connect() metric tags: ")?;
    }
    params.jar = given(options, "jar")?;
    if let Some(compression) = given(options, "compression")?
        && !compression.get::<Coerced<String>>()?.0.is_empty()
    {
        params.take_compression(ctx, &compression)?;
    }
    Ok(params)
}

/// A session, and the script that is blocked by it.
struct Talk<'js> {
    ctx: Ctx<'js>,
    vu: Rc<VuCore>,
    session: Rc<Session>,
    conversation: Rc<Conversation>,
    /// A wait has ended because the iteration has.
    is_cut_off: Cell<bool>,
    /// Where those of the answer go.
    cookies: Option<Cookies>,
}

impl<'js> Talk<'js> {
    fn to_its_end(&self, url: &str, function: &Function<'js>) -> rquickjs::Result<Object<'js>> {
        let first = self.first()?;
        let answered = first.as_ref().map_or_else(|failed| failed.answer.as_ref(), Some);
        if let (Some(cookies), Some(answer)) = (&self.cookies, answered) {
            cookies.keep(answer);
        }
        let answer = match first {
            Ok(answer) => answer,
            Err(failed) => return self.not_opened(&failed),
        };
        let socket = Class::instance(self.ctx.clone(), SocketObject::new(self.session.clone()))?;
        let told = self.tell_all(&socket, function);
        let told = told.map_err(|error| self.failed(&socket.borrow(), error));
        socket.borrow().clear();
        if !self.is_cut_off.get() {
            self.session.abandon(code::GOING_AWAY, "");
        }
        told?;
        self.response(url, &answer, "")
    }

    /// What came of the attempt.
    fn first(&self) -> rquickjs::Result<Result<Answer, Failed>> {
        loop {
            match self.session.take() {
                Some(Happened::Opened(answer)) => return Ok(Ok(answer)),
                Some(Happened::NotOpened(failed)) => return Ok(Err(failed)),
                _ => self.wait(None)?,
            }
        }
    }

    fn tell_all(
        &self,
        socket: &Class<'js, SocketObject<'js>>,
        function: &Function<'js>,
    ) -> rquickjs::Result<()> {
        function.call::<_, Value<'js>>((socket.clone(),))?;
        let object = socket.borrow();
        // A session that was closed in the function gets this, too.
        object.tell("open", None)?;
        self.session.start_reading();
        while !object.is_over() {
            if object.run_timer()? {
                continue;
            }
            match self.session.take() {
                Some(happened) => self.tell(&object, happened)?,
                None => self.wait(object.next_due())?,
            }
        }
        self.send_the_rest()
    }

    /// What was sent before the end still goes out, if the server takes it.
    fn send_the_rest(&self) -> rquickjs::Result<()> {
        let until = Instant::now() + REST;
        while self.session.has_unsent() && Instant::now() < until {
            drop(self.session.take());
            self.wait(Some(Instant::now() + LOOK))?;
        }
        Ok(())
    }

    fn tell(&self, socket: &SocketObject<'js>, happened: Happened) -> rquickjs::Result<()> {
        match happened {
            Happened::Text(text, _) => socket.tell("message", Some(text.into_js(&self.ctx)?)),
            Happened::Binary(chunk) => {
                socket.tell("binaryMessage", Some(chunk.into_array_buffer(&self.ctx)?))
            }
            Happened::Ping => socket.tell("ping", None),
            Happened::Pong => socket.tell("pong", None),
            Happened::Ended(Ended { code, error, .. }) => {
                if let Some(error) = error {
                    socket.tell("error", Some(self.error(error)?))?;
                }
                socket.over(&self.ctx, code)
            }
            Happened::Opened(_) | Happened::NotOpened(_) => Ok(()),
        }
    }

    /// An error as its listeners get it: `e.error()` is its text.
    fn error(&self, text: String) -> rquickjs::Result<Value<'js>> {
        let error = errors::new_error(&self.ctx, errors::GO_ERROR, &text)?;
        if let Some(object) = error.as_object() {
            object
                .set("error", Function::new(self.ctx.clone(), move || text.clone())?.with_name("error")?)?;
        }
        Ok(error)
    }

    fn wait(&self, due: Option<Instant>) -> rquickjs::Result<()> {
        let next = self.conversation.clone().next(self.session.clone(), due);
        self.vu.block_on(&self.ctx, next).inspect_err(|_| self.is_cut_off.set(true))
    }

    /// Script has thrown: the session is closed, which its listeners hear of.
    fn failed(&self, socket: &SocketObject<'js>, error: Error) -> Error {
        if !error.is_exception() {
            return error;
        }
        let exception = self.ctx.catch();
        if !exception.is_uncatchable_error()
            && let Err(Error::Exception) = socket.close(&self.ctx, code::GOING_AWAY)
        {
            let second = self.ctx.catch();
            // What was thrown first is told, unless there is no going on at all.
            if second.is_uncatchable_error() {
                return self.ctx.throw(second);
            }
        }
        self.ctx.throw(exception)
    }

    fn not_opened(&self, failed: &Failed) -> rquickjs::Result<Object<'js>> {
        if self.vu.settings.throw {
            return Err(errors::throw_go_error(&self.ctx, &failed.text));
        }
        match &failed.answer {
            // An answer that looks like that of a session says nothing itself; others have their status.
            Some(answer) if answer.status == 101 => self.response("", answer, &failed.text),
            Some(answer) => self.response("", answer, ""),
            None => self.response("", &Answer::default(), &failed.text),
        }
    }

    fn response(&self, url: &str, answer: &Answer, error: &str) -> rquickjs::Result<Object<'js>> {
        let response = Object::new(self.ctx.clone())?;
        response.set("url", url)?;
        response.set("status", answer.status)?;
        let headers = Object::new(self.ctx.clone())?;
        for (name, _) in &answer.headers {
            headers.set(name.as_str(), answer.joined(name))?;
        }
        response.set("headers", headers)?;
        response.set("body", answer.body.as_str())?;
        response.set("error", error)?;
        Ok(response)
    }
}
