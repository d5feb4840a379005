//! The `Socket` of `senary/tcp`: the one of `k6/x/tcp` with additional methods. `api/senary-tcp.d.ts` declares it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::function::{Constructor, Opt};
use rquickjs::object::Accessor;
use rquickjs::{Class, Ctx, Function, Object, Value, atom::PredefinedAtom};
use senary_wire::{EncodeError, Matcher};

use super::class::{self, Receiver, SocketObject, refuse};
use super::core::{NO_CONNECTION, SocketCore, State};
use super::delivery;
use super::encoding::{self, Encoding};
use super::events::EventName;
use super::extended::Extended;
use super::framing::{self, Receive, field, only_known, text, whole, wrong};
use super::half_close;
use super::inbound::{Reader, Want};
use super::items::{self, Stop};
use super::metrics::{MessageMetrics, TcpMetrics};
use super::pump;
use super::send::{self, WriteOutcome};
use super::socket_options::{self, SocketOptions};
use super::{request_calls, start_tls, tcp_info, throttle};
use crate::connection::bytes::{Caller, TextAs, with_bytes};
use crate::connection::error::{CallSite, Method, SocketFailure};
use crate::connection::options::{self, Tags};
use senary_js::promise::{pending, settled};
use senary_js::snippet::Part;
use senary_js::vu::core::vu_of;
use senary_js::{errors, native, value_text};

thread_local! {
    /// The message and the frame that are being sent.
    pub static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// The constructor, and with it the class, for a context.
pub fn constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Constructor<'js>> {
    if MessageMetrics::of(ctx).is_none() {
        MessageMetrics::install(ctx, &vu_of(ctx)?.registry)
            .map_err(|e| errors::throw_go_error(ctx, &e.to_string()))?;
    }
    let prototype = Object::new(ctx.clone())?;
    prototype.set_prototype(Class::<SocketObject<'_>>::prototype(ctx)?.as_ref())?;
    methods(ctx, &prototype)?;
    properties(&prototype)?;
    let constructor = Constructor::new_prototype(ctx, prototype, construct)?;
    constructor.set_name("Socket")?;
    Ok(constructor)
}

fn methods<'js>(ctx: &Ctx<'js>, prototype: &Object<'js>) -> rquickjs::Result<()> {
    let method = |name: &str, function: rquickjs::Result<Function<'js>>| {
        native::bound_method(prototype, &function?.with_name(name)?)
    };
    method("send", Function::new(ctx.clone(), send))?;
    method("read", Function::new(ctx.clone(), read))?;
    method("request", Function::new(ctx.clone(), request_calls::request))?;
    method("pump", Function::new(ctx.clone(), pump::pump))?;
    method("pause", Function::new(ctx.clone(), |this: Receiver<'js>| set_paused(&this, true)))?;
    method("resume", Function::new(ctx.clone(), |this: Receiver<'js>| set_paused(&this, false)))?;
    method("end", Function::new(ctx.clone(), half_close::end))?;
    method("reset", Function::new(ctx.clone(), half_close::reset))?;
    method("startTls", Function::new(ctx.clone(), start_tls::start_tls))?;
    method("throttle", Function::new(ctx.clone(), throttle::throttle))?;
    method("tcpInfo", Function::new(ctx.clone(), tcp_info::tcp_info))?;
    method("once", Function::new(ctx.clone(), once))?;
    method("off", Function::new(ctx.clone(), off))?;
    let iterator = Function::new(ctx.clone(), iterate)?.with_name("[Symbol.asyncIterator]")?;
    prototype.prop(
        PredefinedAtom::SymbolAsyncIterator,
        rquickjs::object::Property::from(iterator).writable().configurable(),
    )
}

fn properties<'js>(prototype: &Object<'js>) -> rquickjs::Result<()> {
    prototype.prop(
        "framing",
        Accessor::new(
            |ctx: Ctx<'js>, this: Receiver<'js>| {
                let given = this.0.borrow().functions().borrow().framing.clone();
                given.unwrap_or_else(|| Value::new_undefined(ctx))
            },
            |ctx: Ctx<'js>, this: Receiver<'js>, value: Value<'js>| set_framing(&ctx, &this.0, value),
        ),
    )?;
    prototype.prop("tls", Accessor::from(start_tls::info))?;
    prototype.prop("closed", Accessor::from(closed))?;
    prototype.prop(
        "writable_length",
        Accessor::from(|this: Receiver<'js>| {
            let object = this.0.borrow();
            let writes = object.core.writes.borrow();
            writes.iter().map(|write| write.data.len() - write.written).sum::<usize>() as f64
        }),
    )
}

fn construct<'js>(ctx: Ctx<'js>, given: Opt<Value<'js>>) -> rquickjs::Result<Class<'js, SocketObject<'js>>> {
    let vu = vu_of(&ctx)?;
    let (Some(metrics), Some(message_metrics)) = (TcpMetrics::of(&ctx), MessageMetrics::of(&ctx)) else {
        return Err(errors::throw_error(&ctx, "the module senary/tcp is not loaded"));
    };
    let SocketOptions { tags, settings, framing, keys } = socket_options::given(&ctx, given.0.as_ref())?;
    let extended = Extended::new(message_metrics, settings, vu.memory.clone());
    let object = SocketObject::new(SocketCore::new(vu, metrics, tags, Some(extended)));
    {
        let mut functions = object.functions().borrow_mut();
        (functions.request_key, functions.reply_key) = keys;
    }
    let class = Class::instance(ctx.clone(), object)?;
    if let Some(framing) = framing {
        set_framing(&ctx, &class, framing)?;
    }
    Ok(class)
}

fn set_framing<'js>(
    ctx: &Ctx<'js>,
    class: &Class<'js, SocketObject<'js>>,
    value: Value<'js>,
) -> rquickjs::Result<()> {
    let given = framing::given(ctx, &value)?;
    let object = class.borrow();
    let Some(extended) = &object.core.extended else { return Ok(()) };
    pump::refuse_meanwhile(ctx, extended, "another framing")?;
    let mut functions = object.functions().borrow_mut();
    functions.framing = given.is_some().then_some(value);
    extended.is_framed.set(given.is_some());
    let (receive, send) = given.map_or((None, None), |given| (Some(given.receive), given.send));
    extended.sends.replace(send);
    let mut inbound = extended.inbound.borrow_mut();
    functions.framing_function = None;
    match receive {
        Some(Receive::Framed(framing)) => inbound.set_framing(Some(framing)),
        Some(Receive::Function(function)) => {
            functions.framing_function = Some(function);
            inbound.set_framing(None);
        }
        None => inbound.set_framing(None),
    }
    extended.by_function.set(functions.framing_function.is_some());
    drop((inbound, functions));
    object.core.look_for_more();
    Ok(())
}

/// The parts a socket of this class always has.
pub fn extended_of<'a>(ctx: &Ctx<'_>, core: &'a SocketCore) -> rquickjs::Result<&'a Extended> {
    match &core.extended {
        Some(extended) => Ok(extended),
        None => Err(errors::throw_type_error(
            ctx,
            "called on a Socket of k6/x/tcp; import it from \"senary/tcp\"",
        )),
    }
}

fn send<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    data: Opt<Value<'js>>,
    given: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    pump::refuse_meanwhile(&ctx, extended, "send()")?;
    let tags = match framing::options_of(&ctx, "send()", "{ tags: { name: \"ping\" } }", given.0.as_ref())? {
        None => Tags::new(),
        Some(given) => {
            only_known(&given, "send()", &[&["tags"]])?;
            options::tags(&ctx, &given)?
        }
    };
    let (message, mut frame) = SCRATCH.take();
    frame.clear();
    let text_as = Encoding::of_sent_text(extended.settings.encoding);
    let caller = Caller { name: "send()", method: Method::Write };
    let outcome = with_bytes(&ctx, data.0.as_ref(), text_as, caller, |bytes| {
        encode(extended, bytes, &mut frame)?;
        Ok::<_, EncodeError>(send::now(&core, &frame))
    })?;
    SCRATCH.replace((message, frame));
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            return refuse(&ctx, &this.0, SocketFailure::of_encoding(Method::Write, &error), &tags);
        }
        Err(failure) => return refuse(&ctx, &this.0, failure, &tags),
    };
    if !matches!(outcome, WriteOutcome::NoConnection) {
        core.owed.asked(core.books.count_with(core.metrics.writes, &tags));
        if extended.is_framed.get() {
            core.books.count_with(extended.metrics.sent, &tags);
        }
    }
    class::after_write(&ctx, &this, outcome, tags)
}

/// Appends the message with what the framing adds.
pub fn encode(extended: &Extended, message: &[u8], frame: &mut Vec<u8>) -> Result<(), EncodeError> {
    match &*extended.sends.borrow() {
        None => frame.extend_from_slice(message),
        Some(framing) => framing.encode(message, frame)?,
    }
    Ok(())
}

fn read<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    first: Opt<Value<'js>>,
    second: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    pump::refuse_meanwhile(&ctx, extended, "read()")?;
    let (want, given) = match &first.0 {
        Some(first) if first.is_number() => {
            (Want::Exactly(whole(&ctx, "read(bytes)", first)? as usize), second.0)
        }
        Some(first) if !first.is_object() && !first.is_undefined() && !first.is_null() => {
            let shown = value_text::shown(&ctx, first);
            let text = "read() takes a number of bytes, or options such as { timeout: 1000 }";
            return Err(wrong(&ctx, &format!("{text}, not {shown}")));
        }
        _ => (Want::Next, first.0),
    };
    let timeout = match framing::options_of(&ctx, "read()", "{ timeout: 1000 }", given.as_ref())? {
        None => None,
        Some(given) => {
            only_known(&given, "read()", &[&["timeout"]])?;
            field(&given, "timeout")?.map(|value| duration(&ctx, "timeout", &value)).transpose()?
        }
    };
    next(&ctx, &this, &core, extended, want, timeout)
}

fn next<'js>(
    ctx: &Ctx<'js>,
    this: &Receiver<'js>,
    core: &Rc<SocketCore>,
    extended: &Extended,
    want: Want,
    timeout: Option<Duration>,
) -> rquickjs::Result<Value<'js>> {
    if let Want::Exactly(count) = want {
        // A framing of small messages is no limit for what is read beside it.
        let max = extended.inbound.borrow().max().max(senary_wire::DEFAULT_MAX);
        if count > max {
            return Err(wrong(ctx, &format!("read({count}) is more than a message may have: {max} bytes")));
        }
    }
    // Messages that were taken out before come before those that are still in the stream.
    if want == Want::Next && extended.inbound.borrow().readers.is_empty() {
        let untaken = extended.inbound.borrow_mut().take_untaken();
        if let Some(message) = untaken {
            let value = encoding::value(ctx, &core.vu.memory, &message, extended.settings.encoding)?;
            return settled(ctx, Ok(value));
        }
    }
    if extended.inbound.borrow().ended || core.state() == State::Destroyed {
        return after_the_end(ctx, this, core, extended, want);
    }
    if !core.is_open() && core.state() != State::Opening {
        let failure = SocketFailure::new(Method::Read, "ENOTCONN", NO_CONNECTION);
        return refuse(ctx, &this.0, failure, &Vec::new());
    }
    if want == Want::Exactly(0) {
        // Nothing has to come for it.
        return settled(ctx, Ok(encoding::value(ctx, &core.vu.memory, &[], extended.settings.encoding)?));
    }
    let (promise, resolvers) = pending(ctx)?;
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let called = CallSite::here(ctx);
    extended.inbound.borrow_mut().readers.push_back(Reader { want, promise: resolvers, deadline, called });
    deadline.into_iter().for_each(|deadline| extended.note_deadline(deadline));
    core.look_for_more();
    Ok(promise)
}

/// Reading after the peer has ended its side, or after the socket was closed.
fn after_the_end<'js>(
    ctx: &Ctx<'js>,
    this: &Receiver<'js>,
    core: &Rc<SocketCore>,
    extended: &Extended,
    want: Want,
) -> rquickjs::Result<Value<'js>> {
    if !extended.inbound.borrow().ended {
        let text = "the socket is closed";
        let failure = SocketFailure::new(Method::Read, "ERR_SOCKET_CLOSED", text);
        return refuse(ctx, &this.0, failure, &Vec::new());
    }
    let taken = match want {
        Want::Exactly(count) => extended.inbound.borrow_mut().take(count),
        Want::Next => loop {
            let function = this.0.borrow().framing_function();
            match items::last(ctx, core, extended, function.as_ref()) {
                Ok(Some(super::inbound::Item::Message(message))) => break Some(message),
                Ok(Some(super::inbound::Item::Echo(_))) => {}
                Ok(None) => return settled(ctx, Ok(Value::new_null(ctx.clone()))),
                Err(Stop::Failed(failure)) => return refuse(ctx, &this.0, failure, &Vec::new()),
                Err(Stop::Threw(error)) => return Err(error),
            }
        },
    };
    match (taken, want) {
        (Some(bytes), _) => {
            let value = encoding::value(ctx, &core.vu.memory, &bytes, extended.settings.encoding)?;
            settled(ctx, Ok(value))
        }
        (None, Want::Exactly(count)) => refuse(ctx, &this.0, delivery::too_few(extended, count), &Vec::new()),
        (None, Want::Next) => settled(ctx, Ok(Value::new_null(ctx.clone()))),
    }
}

/// Makes the iterator of a socket; run once in each context.
static ITERATOR: Part = Part::new(
    "senary/tcp",
    "(() => (socket) => ({
  async next() { const value = await socket.read(); return value === null ? { done: true, value: undefined } : { done: false, value } },
  async return(value) { return { done: true, value } },
  [Symbol.asyncIterator]() { return this },
}))",
    |ctx| Object::new(ctx.clone()),
);

/// The iterator for `for await`: each step is a `read()`, and leaving the loop closes nothing.
fn iterate<'js>(ctx: Ctx<'js>, this: Receiver<'js>) -> rquickjs::Result<Value<'js>> {
    ITERATOR.value(&ctx)?.get::<Function<'js>>()?.call((this.0,))
}

/// `{ offset, equals }` or `{ contains }`.
pub fn matcher<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    text_as: TextAs<'_>,
    value: &Value<'js>,
) -> rquickjs::Result<Matcher> {
    let what = || {
        let not =
            if value.is_function() { ", and no function: no script runs while pump() does" } else { "" };
        let forms = "{ equals: data }, { offset, equals: data } or { contains: data }";
        wrong(ctx, &format!("{name} is {forms}{not}"))
    };
    let Some(object) = value.as_object().filter(|_| !value.is_function()) else { return Err(what()) };
    only_known(object, name, &[&["offset", "equals", "contains"]])?;
    match (field(object, "equals")?, field(object, "contains")?) {
        (Some(equals), None) => {
            let offset = field(object, "offset")?.map(|offset| whole(ctx, "offset", &offset)).transpose()?;
            let bytes = framing::data_as(ctx, "equals", text_as, &equals)?;
            Ok(Matcher::Equals { offset: offset.unwrap_or(0) as usize, bytes })
        }
        (None, Some(contains)) => {
            if field(object, "offset")?.is_some() {
                let text =
                    format!("{name}: contains looks anywhere in the message; an offset belongs to equals");
                return Err(wrong(ctx, &text));
            }
            Ok(Matcher::contains(&framing::data_as(ctx, "contains", text_as, &contains)?))
        }
        _ => Err(what()),
    }
}

/// Milliseconds, or a text as the options of a test take it: with units, or milliseconds in digits. `Infinity` is no limit.
pub fn duration<'js>(ctx: &Ctx<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<Duration> {
    if let Some(ms) = value.as_number().filter(|ms| *ms >= 0.0) {
        return Ok(Duration::try_from_secs_f64(ms / 1e3).unwrap_or(Duration::MAX));
    }
    if value.is_string() {
        let given = text(value)?;
        if let Some(nanos) =
            senary_words::duration::parse_extended(&given).ok().and_then(|nanos| u64::try_from(nanos).ok())
        {
            return Ok(Duration::from_nanos(nanos));
        }
    }
    let shown = value_text::shown(ctx, value);
    Err(wrong(ctx, &format!("{name} is a time: milliseconds, or a text such as \"1.5s\", not {shown}")))
}

fn set_paused(this: &Receiver<'_>, paused: bool) {
    let object = this.0.borrow();
    if let Some(extended) = &object.core.extended {
        extended.paused.set(paused);
        object.core.look_for_more();
    }
}

/// A name of an event, or a clear error: a promise for an event that cannot come would never be settled.
fn event_name(ctx: &Ctx<'_>, call: &str, name: Option<&Value<'_>>) -> rquickjs::Result<EventName> {
    let name = name.map(text).transpose()?.unwrap_or_default();
    EventName::parse(&name, true).ok_or_else(|| {
        let known = EventName::ALL.map(EventName::as_str).join(", ");
        wrong(ctx, &format!("{call}: a socket has the events {known}, not {name:?}"))
    })
}

fn once<'js>(ctx: Ctx<'js>, this: Receiver<'js>, name: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    let event = event_name(&ctx, "once()", name.0.as_ref())?;
    if core.state() == State::Destroyed {
        let text = "the socket is closed: it has no more events";
        let failure = SocketFailure::new(Method::Read, "ERR_SOCKET_CLOSED", text);
        return settled(&ctx, Err(failure.to_value(&ctx)?));
    }
    let (promise, resolvers) = pending(&ctx)?;
    extended.once.borrow_mut().push((event, resolvers));
    core.look_for_more();
    Ok(promise)
}

fn off<'js>(ctx: Ctx<'js>, this: Receiver<'js>, name: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let event = event_name(&ctx, "off()", name.0.as_ref())?;
    this.0.borrow().set_handler(event, None);
    Ok(())
}

/// The same promise each time, kept with the object.
fn closed<'js>(ctx: Ctx<'js>, this: Receiver<'js>) -> rquickjs::Result<Value<'js>> {
    let object = this.0.borrow();
    let extended = extended_of(&ctx, &object.core)?;
    let known = object.functions().borrow().closed.clone();
    if let Some(promise) = known.filter(|_| !extended.closed_is_lost.take()) {
        return Ok(promise);
    }
    let promise = if object.core.state() == State::Destroyed {
        settled(&ctx, Ok(Value::new_undefined(ctx.clone())))?
    } else {
        let (promise, resolvers) = pending(&ctx)?;
        extended.closed.replace(Some(resolvers));
        object.core.wake();
        promise
    };
    object.functions().borrow_mut().closed = Some(promise.clone());
    Ok(promise)
}
