//! The class `WebSocket`: its constructor, its methods and its properties.

use std::rc::Rc;

use rquickjs::class::{JsClass, Readable, Trace, Tracer};
use rquickjs::function::{Constructor, FromParam, Opt, ParamRequirement, ParamsAccessor};
use rquickjs::object::{Accessor, Property};
use rquickjs::{Array, Class, Coerced, Ctx, Function, JsLifetime, Object, Value};
use senary_js::go_type::go_type;
use senary_js::value_text::to_text;
use senary_js::vu::core::vu_of;
use senary_js::{bytes, errors, native};
use senary_wire::websocket::{Opcode, code};

use super::blob::Blob;
use super::core::{BinaryType, ReadyState, SocketCore};
use super::listeners::{EventName, Listeners};
use super::options;
use crate::websocket::{Hears, Session};

const STATES: [(&str, ReadyState); 4] = [
    ("CONNECTING", ReadyState::Connecting),
    ("OPEN", ReadyState::Open),
    ("CLOSING", ReadyState::Closing),
    ("CLOSED", ReadyState::Closed),
];

/// The longest reason that fits into a closing frame, in bytes.
const MAX_REASON: usize = 123;

/// The script's object: the socket, and those that listen to it.
pub struct SocketObject<'js> {
    pub core: Rc<SocketCore>,
    pub listeners: Listeners<'js>,
}

/// The socket a method was called on, or a property read of.
struct Receiver<'js>(Class<'js, SocketObject<'js>>);

impl<'js> FromParam<'js> for Receiver<'js> {
    fn param_requirement() -> ParamRequirement {
        ParamRequirement::any()
    }

    fn from_param<'a>(params: &mut ParamsAccessor<'a, 'js>) -> rquickjs::Result<Self> {
        Class::from_value(&params.this())
            .map(Self)
            .map_err(|_| errors::throw_type_error(params.ctx(), "called on something that is no WebSocket"))
    }
}

impl Receiver<'_> {
    fn core(&self) -> Rc<SocketCore> {
        self.0.borrow().core.clone()
    }
}

/// The class, for a context.
pub fn constructor<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
    let Some(constructor) = Class::<SocketObject<'js>>::create_constructor(ctx)? else {
        return Err(errors::throw_error(ctx, "there is no constructor of WebSocket"));
    };
    for (name, state) in STATES {
        constructor.prop(name, Property::from(state as u8).enumerable())?;
    }
    Ok(constructor.into_value())
}

fn construct<'js>(
    ctx: Ctx<'js>,
    url: Opt<Value<'js>>,
    protocols: Opt<Value<'js>>,
    given: Opt<Value<'js>>,
) -> rquickjs::Result<Class<'js, SocketObject<'js>>> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(&ctx, "using websockets in the init context is not supported"));
    }
    let (url, address) = options::address(&ctx, url.0.as_ref())?;
    let mut params = options::params(&ctx, protocols.0.as_ref(), given.0.as_ref())?;
    let tags = std::mem::take(&mut params.tags);
    let session = Session::new(vu.clone(), &address.url, &tags, true);
    let cookies = params.take_cookies(&ctx, &address)?;
    let attempt = params.attempt(&vu, Ok(address));
    let core = SocketCore::new(vu, session.clone(), url, cookies);
    let object = SocketObject { core: core.clone(), listeners: Listeners::default() };
    let object = Class::instance(ctx.clone(), object)?;
    core.hold(&ctx, &object);
    let hears: Rc<dyn Hears> = core;
    session.begin(attempt, Rc::downgrade(&hears));
    Ok(object)
}

fn send<'js>(ctx: Ctx<'js>, this: Receiver<'js>, data: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let core = this.core();
    must_be_open(&ctx, &core)?;
    let unsupported = |kind: &str| errors::throw_go_error(&ctx, &format!("unsupported send type {kind}"));
    let Some(data) = data.0 else { return Err(unsupported("<nil>")) };
    if data.is_string() {
        bytes::with_utf8(&ctx, &data, |text| core.session.send(Opcode::Text, text))?;
    } else if let Ok(blob) = Class::<Blob>::from_value(&data) {
        core.session.send(Opcode::Binary, blob.borrow().bytes());
    } else {
        let view = match data.as_object() {
            Some(object) => bytes::of_object(&ctx, object)?,
            None => None,
        };
        let Some(view) = view else { return Err(unsupported(go_type(&data))) };
        core.session.send(Opcode::Binary, view.as_slice());
    }
    core.vu.memory.check(&ctx)
}

fn ping<'js>(ctx: Ctx<'js>, this: Receiver<'js>) -> rquickjs::Result<()> {
    let core = this.core();
    must_be_open(&ctx, &core)?;
    core.session.ping();
    core.vu.memory.check(&ctx)
}

fn must_be_open(ctx: &Ctx<'_>, core: &SocketCore) -> rquickjs::Result<()> {
    if core.state.get() == ReadyState::Open {
        return Ok(());
    }
    Err(errors::throw_go_error(ctx, "InvalidStateError: The WebSocket is not open."))
}

fn close<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    given: Opt<Value<'js>>,
    reason: Opt<Value<'js>>,
) -> rquickjs::Result<()> {
    let core = this.core();
    let number = match &given.0 {
        Some(value) if !value.is_undefined() => value.get::<Coerced<f64>>()?.0.trunc(),
        _ => 0.0,
    };
    // What is no number, and zero, mean the default.
    let code = if number.is_nan() || number == 0.0 { f64::from(code::NORMAL) } else { number };
    if !(code == f64::from(code::NORMAL) || (3000.0..=4999.0).contains(&code)) {
        let text = format!(
            "InvalidAccessError: The code of a close is not allowed. The close code must be either 1000, or between 3000 and 4999. {code} is neither"
        );
        return Err(errors::throw_go_error(&ctx, &text));
    }
    let reason = match &reason.0 {
        Some(value) if !value.is_undefined() => value.get::<Coerced<String>>()?.0,
        _ => String::new(),
    };
    if reason.len() > MAX_REASON {
        let text =
            "SyntaxError: The reason of a close is too long. The message must not be greater than 123 bytes";
        return Err(errors::throw_go_error(&ctx, text));
    }
    core.close(code as u16, &reason);
    Ok(())
}

fn add_event_listener<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    kind: Opt<Value<'js>>,
    listener: Opt<Value<'js>>,
) -> rquickjs::Result<()> {
    let kind = kind.0.map_or_else(String::new, |kind| to_text(&ctx, &kind));
    let Some(listener) = listener.0.and_then(|listener| listener.as_function().cloned()) else {
        let text = format!("handler for event type {kind:?} isn't a callable function");
        return Err(errors::throw_go_error(&ctx, &text));
    };
    match EventName::parse(&kind) {
        Some(event) => this.0.borrow().listeners.add(event, listener),
        None => log::warn!("can't add event handler: unknown event type: {kind}"),
    }
    Ok(())
}

fn remove_event_listener<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    kind: Opt<Value<'js>>,
    listener: Opt<Value<'js>>,
) {
    let event = kind.0.and_then(|kind| EventName::parse(&to_text(&ctx, &kind)));
    let listener = listener.0.and_then(|listener| listener.as_function().cloned());
    if let (Some(event), Some(listener)) = (event, listener) {
        this.0.borrow().listeners.remove(event, &listener);
    }
}

fn set_binary_type<'js>(ctx: Ctx<'js>, this: Receiver<'js>, value: Value<'js>) -> rquickjs::Result<()> {
    let name = if value.is_null() || value.is_undefined() { String::new() } else { to_text(&ctx, &value) };
    let kind = match name.as_str() {
        "blob" => BinaryType::Blob,
        "arraybuffer" => BinaryType::ArrayBuffer,
        _ => {
            let text =
                format!("unknown binaryType {name}, the supported ones are \"blob\" and \"arraybuffer\"");
            return Err(errors::throw_go_error(&ctx, &text));
        }
    };
    this.core().binary_type.set(kind);
    Ok(())
}

fn handler<'js>(prototype: &Object<'js>, event: EventName) -> rquickjs::Result<()> {
    let get = move |ctx: Ctx<'js>, this: Receiver<'js>| match this.0.borrow().listeners.handler(event) {
        Some(handler) => handler.into_value(),
        None => Value::new_null(ctx),
    };
    let set = move |ctx: Ctx<'js>, this: Receiver<'js>, value: Value<'js>| {
        let handler = match value.as_function() {
            Some(function) => Some(function.clone()),
            None if value.is_null() || value.is_undefined() => None,
            None => {
                let text = format!("a value for '{}' should be callable", event.handler());
                return Err(errors::throw_go_error(&ctx, &text));
            }
        };
        this.0.borrow().listeners.set_handler(event, handler);
        Ok(())
    };
    prototype.prop(event.handler(), Accessor::new(get, set).enumerable())
}

fn properties<'js>(prototype: &Object<'js>) -> rquickjs::Result<()> {
    let state = |this: Receiver<'js>| this.core().state.get() as u8;
    prototype.prop("readyState", Accessor::from(state).enumerable())?;
    let url = |this: Receiver<'js>| this.core().url.clone();
    prototype.prop("url", Accessor::from(url).enumerable())?;
    let buffered = |this: Receiver<'js>| this.core().session.buffered() as f64;
    prototype.prop("bufferedAmount", Accessor::from(buffered).enumerable())?;
    let protocol = |this: Receiver<'js>| this.core().answer.borrow().subprotocol.clone();
    prototype.prop("protocol", Accessor::from(protocol).enumerable())?;
    let extensions = |ctx: Ctx<'js>, this: Receiver<'js>| {
        let list = Array::new(ctx)?;
        let core = this.core();
        let answer = core.answer.borrow();
        let names = answer.extensions.split(',').map(str::trim).filter(|name| !name.is_empty());
        for (at, name) in names.enumerate() {
            list.set(at, name)?;
        }
        Ok::<_, rquickjs::Error>(list)
    };
    prototype.prop("extensions", Accessor::from(extensions).enumerable())?;
    let binary_type = |this: Receiver<'js>| match this.core().binary_type.get() {
        BinaryType::Blob => "blob",
        BinaryType::ArrayBuffer => "arraybuffer",
    };
    prototype.prop("binaryType", Accessor::new(binary_type, set_binary_type).enumerable())?;
    for (name, state) in STATES {
        prototype.prop(name, Property::from(state as u8).enumerable())?;
    }
    EventName::ALL.into_iter().try_for_each(|event| handler(prototype, event))
}

impl<'js> Trace<'js> for SocketObject<'js> {
    fn trace<'a>(&self, tracer: Tracer<'a, 'js>) {
        self.listeners.trace(tracer);
    }
}

// SAFETY: `'js` is the lifetime of the listeners, the only JavaScript values inside.
#[allow(unsafe_code)]
unsafe impl<'js> JsLifetime<'js> for SocketObject<'js> {
    type Changed<'to> = SocketObject<'to>;
}

impl<'js> JsClass<'js> for SocketObject<'js> {
    const NAME: &'static str = "WebSocket";
    type Mutable = Readable;

    fn prototype(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Object<'js>>> {
        let prototype = Object::new(ctx.clone())?;
        let method = |name: &str, function: rquickjs::Result<Function<'js>>| {
            native::bound_method(&prototype, &function?.with_name(name)?)
        };
        method("send", Function::new(ctx.clone(), send))?;
        method("ping", Function::new(ctx.clone(), ping))?;
        method("close", Function::new(ctx.clone(), close))?;
        method("addEventListener", Function::new(ctx.clone(), add_event_listener))?;
        method("removeEventListener", Function::new(ctx.clone(), remove_event_listener))?;
        properties(&prototype)?;
        Ok(Some(prototype))
    }

    fn constructor(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Constructor<'js>>> {
        Constructor::new_class::<SocketObject<'js>, _, _>(ctx.clone(), construct).map(Some)
    }
}
