//! The `Socket` class as `k6/x/tcp` documents it, and as `docs/differences.md` corrects the reference: its constructor,
//! methods and properties.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::class::{JsClass, Readable, Trace, Tracer};
use rquickjs::function::{Constructor, FromParam, Opt, ParamRequirement, ParamsAccessor};
use rquickjs::object::Accessor;
use rquickjs::{Class, Coerced, Ctx, Function, JsLifetime, Object, Persistent, Value};
use senary_js::promise::{pending, settled};
use senary_js::vu::core::vu_of;
use senary_js::{errors, hints, native};

use super::core::{Connecting, CutOff, NO_CONNECTION, SocketCore, State, Waiting};
use super::delivery::Side;
use super::events::{EVENT_COUNT, EventName, SocketEvent};
use super::metrics::TcpMetrics;
use super::send::{self, WriteOutcome};
use super::{connect_options, io, pump, target};
use crate::connection::bytes::{Caller, TextAs, with_bytes};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::{self, Tags};

/// The script's object: the socket and its listeners.
pub struct SocketObject<'js> {
    pub core: Rc<SocketCore>,
    handlers: RefCell<[Option<Function<'js>>; EVENT_COUNT]>,
    functions: RefCell<Functions<'js>>,
}

/// What the script has given a socket of `senary/tcp` to call, and its framing as it was given.
#[derive(Default)]
pub struct Functions<'js> {
    pub framing: Option<Value<'js>>,
    /// It splits the stream into messages.
    pub framing_function: Option<Function<'js>>,
    pub request_key: Option<Function<'js>>,
    pub reply_key: Option<Function<'js>>,
    /// The promise of `closed`, once it was asked for.
    pub closed: Option<Value<'js>>,
}

impl<'js> SocketObject<'js> {
    pub fn new(core: Rc<SocketCore>) -> Self {
        Self { core, handlers: RefCell::default(), functions: RefCell::default() }
    }

    pub fn functions(&self) -> &RefCell<Functions<'js>> {
        &self.functions
    }

    pub fn framing_function(&self) -> Option<Function<'js>> {
        self.functions.borrow().framing_function.clone()
    }

    pub fn key_function(&self, side: Side) -> Option<Function<'js>> {
        let functions = self.functions.borrow();
        match side {
            Side::Request => functions.request_key.clone(),
            Side::Reply => functions.reply_key.clone(),
        }
    }

    /// Sets, replaces or removes a listener, and returns the old one.
    pub fn set_handler(&self, event: EventName, handler: Option<Function<'js>>) -> Option<Function<'js>> {
        let old = std::mem::replace(&mut self.handlers.borrow_mut()[event as usize], handler);
        let hears = |event: EventName| self.handlers.borrow()[event as usize].is_some();
        self.core.hears.set(hears(EventName::Data) || hears(EventName::Message));
        if let Some(extended) = &self.core.extended {
            extended.hears_messages.set(hears(EventName::Message));
            extended.hears_data.set(hears(EventName::Data));
            self.core.look_for_more();
        }
        old
    }

    /// The listener of an event.
    pub fn handler(&self, event: EventName) -> Option<Function<'js>> {
        self.handlers.borrow()[event as usize].clone()
    }
}

/// The socket a method was called on, or a property read of.
pub struct Receiver<'js>(pub Class<'js, SocketObject<'js>>);

impl<'js> FromParam<'js> for Receiver<'js> {
    fn param_requirement() -> ParamRequirement {
        ParamRequirement::any()
    }

    fn from_param<'a>(params: &mut ParamsAccessor<'a, 'js>) -> rquickjs::Result<Self> {
        Class::from_value(&params.this())
            .map(Self)
            .map_err(|_| errors::throw_type_error(params.ctx(), "called on something that is no Socket"))
    }
}

fn construct<'js>(ctx: Ctx<'js>, given: Opt<Value<'js>>) -> rquickjs::Result<Class<'js, SocketObject<'js>>> {
    let vu = vu_of(&ctx)?;
    let Some(metrics) = TcpMetrics::of(&ctx) else {
        return Err(errors::throw_error(&ctx, "the module k6/x/tcp is not loaded"));
    };
    let tags = match options::object(&ctx, given.0.as_ref(), "tcp.socketOptions")? {
        Some(given) => {
            hints::unknown_fields("Socket()", &given, &["tags"])?;
            options::tags(&ctx, &given)?
        }
        None => Vec::new(),
    };
    Class::instance(
        ctx,
        SocketObject {
            core: SocketCore::new(vu, metrics, tags, None),
            handlers: RefCell::default(),
            functions: RefCell::default(),
        },
    )
}

fn connect<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    first: Opt<Value<'js>>,
    second: Opt<Value<'js>>,
    third: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    if core.vu.script_context.is_init() {
        return Err(errors::throw_go_error(&ctx, "connecting in the init context is not supported"));
    }
    if let Some(refusal) = core.state().refuses_connect() {
        return refuse(&ctx, &this.0, refusal, &Vec::new());
    }
    let wanted = match core.extended {
        None => target::connect_target(&ctx, first.0, second.0, third.0)?,
        Some(_) => connect_options::connect_target(&ctx, first.0, second.0, third.0)?,
    };
    let mut target = match wanted {
        Ok(target) => target,
        Err((failure, tags)) => return refuse(&ctx, &this.0, failure, &tags),
    };
    // Checked again, because getters of the options are script, too.
    if let Some(refusal) = core.state().refuses_connect() {
        return refuse(&ctx, &this.0, refusal, &target.tags);
    }
    anchor(&ctx, &this.0);
    let (promise, resolvers) = pending(&ctx)?;
    core.connecting.replace(Some(Connecting { promise: resolvers, called: CallSite::here(&ctx) }));
    core.begin_connect(std::mem::take(&mut target.tags), &target.peer);
    let task = tokio::task::spawn_local(io::run(core.clone(), target));
    core.set_task(task.abort_handle());
    Ok(promise)
}

fn write<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    data: Opt<Value<'js>>,
    given: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    if let Some(extended) = &core.extended {
        pump::refuse_meanwhile(&ctx, extended, "write()")?;
    }
    let given = options::object(&ctx, given.0.as_ref(), "tcp.writeOptions")?;
    let (encoding, tags) = match &given {
        None => (None, Vec::new()),
        Some(given) => {
            hints::unknown_fields("write()", given, &["encoding", "tags"])?;
            let encoding: Value<'js> = given.get("encoding")?;
            let is_given = !encoding.is_undefined() && !encoding.is_null();
            let encoding = is_given.then(|| encoding.get::<Coerced<String>>()).transpose()?.map(|c| c.0);
            (encoding, options::tags(&ctx, given)?)
        }
    };
    let text_as = encoding.as_deref().map_or(TextAs::Utf8, TextAs::Named);
    let caller = Caller { name: "write()", method: Method::Write };
    let outcome = with_bytes(&ctx, data.0.as_ref(), text_as, caller, |bytes| send::now(&core, bytes))?;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return refuse(&ctx, &this.0, error, &tags),
    };
    if !matches!(outcome, WriteOutcome::NoConnection) {
        core.owed.asked(core.books.count_with(core.metrics.writes, &tags));
    }
    after_write(&ctx, &this, outcome, tags)
}

/// The result of a write: a promise that is settled at once, or when the system has taken the rest.
pub fn after_write<'js>(
    ctx: &Ctx<'js>,
    this: &Receiver<'js>,
    outcome: WriteOutcome,
    tags: Tags,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    match outcome {
        WriteOutcome::Done => settled(ctx, Ok(Value::new_undefined(ctx.clone()))),
        WriteOutcome::Left { data, written } => {
            let (promise, waiting) = pending(ctx)?;
            send::queue(&core, data, written, Waiting::Promise(waiting), tags, CallSite::here(ctx));
            core.vu.memory.check(ctx)?;
            Ok(promise)
        }
        WriteOutcome::NoConnection => {
            let error = SocketFailure::new(Method::Write, "ENOTCONN", NO_CONNECTION);
            refuse(ctx, &this.0, error, &tags)
        }
        WriteOutcome::Failed(error) => refuse(ctx, &this.0, error, &tags),
    }
}

fn destroy<'js>(ctx: Ctx<'js>, this: Receiver<'js>) {
    leave(&ctx, &this, SocketCore::close);
}

/// Ends what the socket has under way, and queues the event.
pub fn leave<'js>(ctx: &Ctx<'js>, this: &Receiver<'js>, close: fn(&SocketCore) -> CutOff) {
    let core = this.0.borrow().core.clone();
    if core.state() == State::Destroyed {
        return;
    }
    if core.vu.script_context.is_init() {
        core.destroyed_unused();
        return;
    }
    anchor(ctx, &this.0);
    core.note_leave();
    let writes = close(&core);
    core.emit(SocketEvent::Destroyed(writes));
}

fn set_timeout<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    ms: Opt<Value<'js>>,
) -> rquickjs::Result<Class<'js, SocketObject<'js>>> {
    let core = this.0.borrow().core.clone();
    let number = match &ms.0 {
        Some(value) if value.is_number() || value.is_string() => value.get::<Coerced<f64>>()?.0.trunc(),
        _ => f64::NAN,
    };
    if number.is_nan()
        && let Some(given) = &ms.0
    {
        let (effect, instead) = ("the timeout is off", "milliseconds, as in setTimeout(5000)");
        hints::no_number(&ctx, "the socket's setTimeout()", given, effect, instead);
    }
    // A very long time counts as no limit; it must fit into an `Instant` on every system.
    let limit = (number >= 1.0).then(|| Duration::from_secs_f64((number / 1e3).min(1e9)));
    core.idle_timeout.set(limit);
    core.idle_since.set(Instant::now());
    core.wake();
    Ok(this.0)
}

fn on<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    event: Opt<Coerced<String>>,
    handler: Opt<Value<'js>>,
) -> rquickjs::Result<()> {
    let name = event.0.map(|c| c.0).unwrap_or_default();
    let handler = match handler.0.filter(|handler| !handler.is_undefined() && !handler.is_null()) {
        None => None,
        Some(value) => match value.as_function() {
            Some(function) => Some(function.clone()),
            None => {
                let text = senary_js::value_text::to_text(&ctx, &value);
                let message = format!(
                    "could not convert function call parameter 1: could not convert {text} to a function"
                );
                return Err(errors::throw_type_error(&ctx, &message));
            }
        },
    };
    let object = this.0.borrow();
    let is_extended = object.core.extended.is_some();
    let Some(event) = EventName::parse(&name, is_extended) else {
        let known: Vec<_> = EventName::of(is_extended).iter().map(|event| event.as_str()).collect();
        let known = known.join(", ");
        let hint = format!("a socket has the events {known}");
        log::warn!(event = name.as_str(), hint = hint.as_str(), module = "tcp"; "Unknown event type");
        return Ok(());
    };
    let replaced = object.set_handler(event, handler);
    if replaced.is_some() && object.core.vu.warn_once(&format!("tcp.on.{name}")) {
        log::warn!(event = name.as_str(), module = "tcp"; "Event handler already registered, overriding");
    }
    Ok(())
}

/// A failure during the call. It is counted now and reported in a turn of its own: first to listeners, then by the
/// promise.
pub fn refuse<'js>(
    ctx: &Ctx<'js>,
    this: &Class<'js, SocketObject<'js>>,
    failure: SocketFailure,
    tags: &Tags,
) -> rquickjs::Result<Value<'js>> {
    let core = this.borrow().core.clone();
    let failure = core.failed(failure.called_at(CallSite::here(ctx)), tags);
    // `close` is the last event of a socket.
    if core.state() == State::Destroyed {
        return settled(ctx, Err(failure.to_value(ctx)?));
    }
    anchor(ctx, this);
    let (promise, resolvers) = pending(ctx)?;
    core.refusals.set(core.refusals.get() + 1);
    core.emit(SocketEvent::Refused(failure, resolvers));
    Ok(promise)
}

/// Keeps the object alive until its last event was delivered.
pub fn anchor<'js>(ctx: &Ctx<'js>, this: &Class<'js, SocketObject<'js>>) {
    let object = this.borrow();
    let mut anchor = object.core.anchor.borrow_mut();
    if anchor.is_none() {
        *anchor = Some(Persistent::save(ctx, this.clone()));
    }
}

impl<'js> Trace<'js> for SocketObject<'js> {
    fn trace<'a>(&self, tracer: Tracer<'a, 'js>) {
        // Borrowed only while a handler is being replaced, which allocates nothing.
        if let Ok(handlers) = self.handlers.try_borrow() {
            handlers.iter().flatten().for_each(|handler| handler.trace(tracer));
        }
        if let Ok(functions) = self.functions.try_borrow() {
            [&functions.framing, &functions.closed]
                .into_iter()
                .flatten()
                .for_each(|value| value.trace(tracer));
            let all = [&functions.framing_function, &functions.request_key, &functions.reply_key];
            all.into_iter().flatten().for_each(|function| function.trace(tracer));
        }
    }
}

// SAFETY: `'js` is the lifetime of the handlers, the only JavaScript values inside.
#[allow(unsafe_code)]
unsafe impl<'js> JsLifetime<'js> for SocketObject<'js> {
    type Changed<'to> = SocketObject<'to>;
}

impl<'js> JsClass<'js> for SocketObject<'js> {
    const NAME: &'static str = "Socket";
    type Mutable = Readable;

    fn prototype(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Object<'js>>> {
        let proto = Object::new(ctx.clone())?;
        let method = |name: &str, function: rquickjs::Result<Function<'js>>| {
            native::bound_method(&proto, &function?.with_name(name)?)
        };
        method("connect", Function::new(ctx.clone(), connect))?;
        method("write", Function::new(ctx.clone(), write))?;
        method("destroy", Function::new(ctx.clone(), destroy))?;
        method("setTimeout", Function::new(ctx.clone(), set_timeout))?;
        method("on", Function::new(ctx.clone(), on))?;
        proto.prop(
            "ready_state",
            Accessor::from(|this: Receiver<'js>| this.0.borrow().core.state().as_str()),
        )?;
        proto.prop(
            "connected",
            Accessor::from(|this: Receiver<'js>| this.0.borrow().core.state() == State::Open),
        )?;
        proto.prop(
            "bytes_written",
            Accessor::from(|this: Receiver<'js>| this.0.borrow().core.bytes_written.get() as f64),
        )?;
        proto.prop(
            "bytes_read",
            Accessor::from(|this: Receiver<'js>| this.0.borrow().core.bytes_read.get() as f64),
        )?;
        let addresses = |this: &Receiver<'js>| this.0.borrow().core.addresses();
        proto.prop(
            "local_ip",
            Accessor::from(move |this: Receiver<'js>| {
                addresses(&this).map(|(local, _)| local.ip().to_string())
            }),
        )?;
        proto.prop(
            "local_port",
            Accessor::from(move |this: Receiver<'js>| addresses(&this).map(|(local, _)| local.port())),
        )?;
        proto.prop(
            "remote_ip",
            Accessor::from(move |this: Receiver<'js>| {
                addresses(&this).map(|(_, remote)| remote.ip().to_string())
            }),
        )?;
        proto.prop(
            "remote_port",
            Accessor::from(move |this: Receiver<'js>| addresses(&this).map(|(_, remote)| remote.port())),
        )?;
        Ok(Some(proto))
    }

    fn constructor(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
        Constructor::new_class::<SocketObject<'js>, _, _>(ctx.clone(), construct).map(Some)
    }
}
