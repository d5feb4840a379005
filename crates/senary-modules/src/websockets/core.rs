//! The socket behind the script's object: it hears of what happens to its session, and tells script, in order.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rquickjs::{Class, Ctx, IntoJs, Object, Persistent, Value};
use senary_js::event_loop::Event;
use senary_js::failure::ScriptFailure;
use senary_js::live::{Live, LiveId};
use senary_js::vu::core::VuCore;
use senary_wire::websocket::code;

use super::blob::Blob;
use super::class::SocketObject;
use super::listeners::EventName;
use crate::websocket::cookies::Cookies;
use crate::websocket::{Answer, Ended, Happened, Hears, Session};

/// `readyState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyState {
    Connecting,
    Open,
    Closing,
    Closed,
}

/// `binaryType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryType {
    Blob,
    ArrayBuffer,
}

pub struct SocketCore {
    id: LiveId,
    pub vu: Rc<VuCore>,
    pub session: Rc<Session>,
    /// As the script has given it.
    pub url: String,
    pub state: Cell<ReadyState>,
    pub binary_type: Cell<BinaryType>,
    pub answer: RefCell<Answer>,
    /// Where those of the answer go.
    cookies: Option<Cookies>,
    /// Keeps the script's object alive while events may still come.
    anchor: RefCell<Option<Persistent<Class<'static, SocketObject<'static>>>>>,
}

impl SocketCore {
    pub fn new(vu: Rc<VuCore>, session: Rc<Session>, url: String, cookies: Option<Cookies>) -> Rc<Self> {
        Rc::new(Self {
            id: vu.events.new_live_id(),
            vu,
            session,
            url,
            state: Cell::new(ReadyState::Connecting),
            binary_type: Cell::new(BinaryType::Blob),
            answer: RefCell::default(),
            cookies,
            anchor: RefCell::default(),
        })
    }

    /// The iteration lasts until it is closed.
    pub fn hold<'js>(self: &Rc<Self>, ctx: &Ctx<'js>, object: &Class<'js, SocketObject<'js>>) {
        self.anchor.replace(Some(Persistent::save(ctx, object.clone())));
        self.vu.events.hold(self.id, self.clone());
    }

    pub fn close(&self, code: u16, reason: &str) {
        match self.state.get() {
            // The handshake is finished first.
            ReadyState::Connecting => self.state.set(ReadyState::Closing),
            ReadyState::Open => {
                self.state.set(ReadyState::Closing);
                self.session.close(code, reason);
            }
            ReadyState::Closing | ReadyState::Closed => {}
        }
    }

    fn tell_next(self: &Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        let Some(happened) = self.session.take() else { return Ok(()) };
        let is_open = self.state.get() == ReadyState::Open;
        match happened {
            Happened::Opened(answer) => {
                self.keep_cookies(&answer);
                self.answer.replace(answer);
                if self.state.get() == ReadyState::Connecting {
                    self.state.set(ReadyState::Open);
                    self.tell(ctx, EventName::Open, |_| Ok(()))?;
                } else {
                    self.session.close(code::NORMAL, "");
                }
                self.session.start_reading();
                Ok(())
            }
            Happened::NotOpened(failed) => {
                failed.answer.iter().for_each(|answer| self.keep_cookies(answer));
                let ended = Ended { code: code::ABNORMAL, reason: String::new(), error: Some(failed.text) };
                self.ended(ctx, &ended)
            }
            Happened::Text(text, _) if is_open => self.tell_message(ctx, |ctx| text.into_js(ctx)),
            Happened::Binary(chunk) if is_open => {
                self.tell_message(ctx, |ctx| match self.binary_type.get() {
                    BinaryType::ArrayBuffer => chunk.into_array_buffer(ctx),
                    BinaryType::Blob => Blob::of(chunk).into_value(ctx),
                })
            }
            Happened::Ping if is_open => self.tell(ctx, EventName::Ping, |_| Ok(())),
            Happened::Pong if is_open => self.tell(ctx, EventName::Pong, |_| Ok(())),
            Happened::Ended(ended) => self.ended(ctx, &ended),
            // What comes after `close()` is not told.
            Happened::Text(..) | Happened::Binary(_) | Happened::Ping | Happened::Pong => Ok(()),
        }
    }

    fn keep_cookies(&self, answer: &Answer) {
        if let Some(cookies) = &self.cookies {
            cookies.keep(answer);
        }
    }

    fn tell_message<'js>(
        &self,
        ctx: &Ctx<'js>,
        data: impl FnOnce(&Ctx<'js>) -> rquickjs::Result<Value<'js>>,
    ) -> rquickjs::Result<()> {
        self.tell(ctx, EventName::Message, |event| {
            event.set("data", data(event.ctx())?)?;
            event.set("origin", self.url.as_str())
        })
    }

    /// The last thing a socket does.
    fn ended(&self, ctx: &Ctx<'_>, ended: &Ended) -> rquickjs::Result<()> {
        self.state.set(ReadyState::Closed);
        self.vu.events.release(self.id);
        let told = self.tell_end(ctx, ended);
        self.anchor.take();
        told
    }

    fn tell_end(&self, ctx: &Ctx<'_>, ended: &Ended) -> rquickjs::Result<()> {
        if let Some(error) = &ended.error {
            self.tell(ctx, EventName::Error, |event| event.set("error", error.as_str()))?;
        }
        self.tell(ctx, EventName::Close, |event| {
            event.set("code", ended.code)?;
            event.set("reason", ended.reason.as_str())?;
            event.set("wasClean", ended.code != code::ABNORMAL)
        })
    }

    /// A listener has thrown: the socket is closed, its error is told, and the iteration ends with it.
    fn failed(&self, ctx: &Ctx<'_>, error: rquickjs::Error) -> rquickjs::Error {
        if !error.is_exception() {
            return error;
        }
        let exception = ctx.catch();
        if exception.is_uncatchable_error() || self.state.get() == ReadyState::Closed {
            return ctx.throw(exception);
        }
        let text = match ScriptFailure::thrown(ctx, &exception) {
            ScriptFailure::Exception(text) => text,
            other => other.to_string(),
        };
        self.session.abandon(code::GOING_AWAY, "");
        let ended = Ended { code: code::GOING_AWAY, reason: String::new(), error: Some(text) };
        if let Err(error) = self.ended(ctx, &ended) {
            let second = ctx.catch();
            // What was thrown first is told, unless there is no going on at all.
            if !error.is_exception() || second.is_uncatchable_error() {
                return ctx.throw(second);
            }
        }
        ctx.throw(exception)
    }

    /// Calls those that hear of an event; `fill` adds what it has besides its name.
    fn tell<'js>(
        &self,
        ctx: &Ctx<'js>,
        name: EventName,
        fill: impl FnOnce(&Object<'js>) -> rquickjs::Result<()>,
    ) -> rquickjs::Result<()> {
        let Some(anchor) = self.anchor.borrow().clone() else { return Ok(()) };
        let object = anchor.restore(ctx)?;
        let listeners = object.borrow().listeners.of(name);
        if listeners.is_empty() {
            return Ok(());
        }
        let event = Object::new(ctx.clone())?;
        event.set("type", name.as_str())?;
        event.set("target", object)?;
        event.set("timestamp", self.vu.now().0 as f64 / 1e6)?;
        fill(&event)?;
        for listener in listeners {
            // The result is dropped; a promise among it is watched by the rejection tracker.
            listener.call::<_, Value<'js>>((event.clone(),))?;
        }
        Ok(())
    }
}

impl Live for SocketCore {
    fn deliver(self: Rc<Self>, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        self.tell_next(ctx).map_err(|error| self.failed(ctx, error))
    }

    fn discard(&self) {
        drop(self.session.take());
    }

    fn wake(&self) {
        self.session.wake();
    }

    fn describe(&self) -> String {
        format!("a WebSocket is still {} {}", self.session.doing(), self.session.url)
    }

    fn traffic(&self) -> String {
        format!("{} {}", self.session.doing(), self.session.url)
    }

    fn waits_for_peer(&self) -> bool {
        self.session.waits_for_peer()
    }

    fn abandon(&self) {
        self.state.set(ReadyState::Closed);
        self.session.abandon(code::NORMAL, "");
        self.anchor.take();
    }
}

/// Keeps the way from the session to its socket short: one entry in the event loop for each thing to tell.
impl Hears for SocketCore {
    fn happened(self: Rc<Self>) {
        self.vu.events.push_quietly(Event::Live(self.clone()));
    }

    fn run(&self) {
        self.vu.run_from_io();
    }

    fn can_hear(&self) -> bool {
        !self.vu.is_blocked()
    }
}
