//! The socket of `k6/ws`: its methods, its listeners and its timers. Everything in it ends with the session.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::class::{JsClass, Readable, Trace, Tracer};
use rquickjs::function::{FromParam, Opt, ParamRequirement, ParamsAccessor};
use rquickjs::{Class, Coerced, Ctx, Function, JsLifetime, Object, Value};
use senary_js::value_text::to_text;
use senary_js::{errors, native};
use senary_wire::websocket::{Opcode, code};

use crate::websocket::Session;

/// The longest a timer waits: a century.
const MAX_WAIT: f64 = 3e12;

/// The script's object.
pub struct SocketObject<'js> {
    session: Rc<Session>,
    /// In the order they were added, each with its event.
    listeners: RefCell<Vec<(String, Function<'js>)>>,
    timers: RefCell<BTreeMap<(Instant, u64), Timer<'js>>>,
    timers_made: Cell<u64>,
    /// `close` was told.
    is_over: Cell<bool>,
}

struct Timer<'js> {
    function: Function<'js>,
    /// `None`: it fires once.
    interval: Option<Duration>,
}

impl<'js> SocketObject<'js> {
    pub fn new(session: Rc<Session>) -> Self {
        Self {
            session,
            listeners: RefCell::default(),
            timers: RefCell::default(),
            timers_made: Cell::new(0),
            is_over: Cell::new(false),
        }
    }

    /// Calls the listeners of an event, those that are there now.
    pub fn tell(&self, event: &str, argument: Option<Value<'js>>) -> rquickjs::Result<()> {
        let listeners: Vec<Function<'js>> =
            self.listeners.borrow().iter().filter(|(of, _)| of == event).map(|(_, f)| f.clone()).collect();
        for listener in listeners {
            match &argument {
                None => listener.call::<_, Value<'js>>(())?,
                Some(argument) => listener.call::<_, Value<'js>>((argument.clone(),))?,
            };
        }
        Ok(())
    }

    /// The end: `close` is told, once.
    pub fn over(&self, ctx: &Ctx<'js>, code: u16) -> rquickjs::Result<()> {
        if self.is_over.replace(true) {
            return Ok(());
        }
        self.tell("close", Some(Value::new_number(ctx.clone(), code.into())))
    }

    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Sends a closing frame, and tells of the end at once.
    pub fn close(&self, ctx: &Ctx<'js>, code: u16) -> rquickjs::Result<()> {
        self.session.close(code, "");
        self.over(ctx, code)
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.timers.borrow().first_key_value().map(|((due, _), _)| *due)
    }

    /// Calls the earliest timer, if it is due; whether it was.
    pub fn run_timer(&self) -> rquickjs::Result<bool> {
        let now = Instant::now();
        let function = {
            let mut timers = self.timers.borrow_mut();
            let Some(earliest) = timers.first_entry().filter(|timer| timer.key().0 <= now) else {
                return Ok(false);
            };
            let ((due, number), timer) = earliest.remove_entry();
            let function = timer.function.clone();
            if let Some(interval) = timer.interval {
                // What an interval missed is not made up for.
                let next = if due + interval > now { due + interval } else { now + interval };
                timers.insert((next, number), timer);
            }
            function
        };
        function.call::<_, Value<'js>>(())?;
        Ok(true)
    }

    /// Lets go of what script has given.
    pub fn clear(&self) {
        let (listeners, timers) = (self.listeners.take(), self.timers.take());
        // Last: the end of a function may look at the socket.
        drop((listeners, timers));
    }

    fn add_timer(
        &self,
        ctx: &Ctx<'js>,
        name: &str,
        function: Option<Value<'js>>,
        ms: Option<Value<'js>>,
        repeats: bool,
    ) -> rquickjs::Result<()> {
        let wait = ms.map(|ms| ms.get::<Coerced<f64>>()).transpose()?.map_or(f64::NAN, |ms| ms.0);
        if wait.is_nan() || wait <= 0.0 {
            let text = format!("{name} requires a >0 timeout parameter, received {wait:.2}");
            return Err(errors::throw_go_error(ctx, &text));
        }
        let Some(function) = function.and_then(|function| function.as_function().cloned()) else {
            return Err(errors::throw_type_error(ctx, &format!("{name} requires a function")));
        };
        if self.is_over() {
            return Ok(());
        }
        let wait = Duration::from_secs_f64(wait.min(MAX_WAIT) / 1e3);
        let number = self.timers_made.get() + 1;
        self.timers_made.set(number);
        let timer = Timer { function, interval: repeats.then_some(wait) };
        self.timers.borrow_mut().insert((Instant::now() + wait, number), timer);
        Ok(())
    }
}

/// The socket a method was called on.
struct Receiver<'js>(Class<'js, SocketObject<'js>>);

impl<'js> FromParam<'js> for Receiver<'js> {
    fn param_requirement() -> ParamRequirement {
        ParamRequirement::any()
    }

    fn from_param<'a>(params: &mut ParamsAccessor<'a, 'js>) -> rquickjs::Result<Self> {
        Class::from_value(&params.this()).map(Self).map_err(|_| {
            errors::throw_type_error(params.ctx(), "called on something that is no socket of k6/ws")
        })
    }
}

fn on<'js>(ctx: Ctx<'js>, this: Receiver<'js>, event: Opt<Value<'js>>, listener: Opt<Value<'js>>) {
    let event = event.0.map_or_else(String::new, |event| to_text(&ctx, &event));
    // What is no function hears nothing, as in k6.
    if let Some(listener) = listener.0.and_then(|listener| listener.as_function().cloned()) {
        this.0.borrow().listeners.borrow_mut().push((event, listener));
    }
}

fn send<'js>(ctx: Ctx<'js>, this: Receiver<'js>, data: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let object = this.0.borrow();
    let data = data.0.unwrap_or_else(|| Value::new_undefined(ctx.clone()));
    let text = data.get::<Coerced<String>>()?.0;
    object.session.send(Opcode::Text, text.as_bytes());
    object.session.vu.memory.check(&ctx)
}

fn send_binary<'js>(ctx: Ctx<'js>, this: Receiver<'js>, data: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let object = this.0.borrow();
    let Some(data) = data.0.filter(|data| !data.is_undefined()) else {
        return Err(errors::throw_go_error(&ctx, "missing argument, expected ArrayBuffer"));
    };
    let Some(buffer) = data.as_object().filter(|data| data.is_array_buffer()).cloned() else {
        let text = format!("expected ArrayBuffer as argument, received: {}", class_of(&ctx, &data)?);
        return Err(errors::throw_type_error(&ctx, &text));
    };
    let view = senary_js::bytes::of_object(&ctx, &buffer)?;
    if let Some(view) = view {
        object.session.send(Opcode::Binary, view.as_slice());
    }
    object.session.vu.memory.check(&ctx)
}

/// What a value is, for people: the name of its class.
fn class_of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<String> {
    if value.is_null() {
        return Ok("null".to_owned());
    }
    let as_object: Function<'js> = ctx.globals().get("Object")?;
    let object: Object<'js> = as_object.call((value.clone(),))?;
    let constructor: Option<Object<'js>> = object.get("constructor")?;
    constructor.map_or(Ok("Object".to_owned()), |constructor| constructor.get("name"))
}

fn ping<'js>(ctx: Ctx<'js>, this: Receiver<'js>) -> rquickjs::Result<()> {
    let object = this.0.borrow();
    object.session.ping();
    object.session.vu.memory.check(&ctx)
}

fn close<'js>(ctx: Ctx<'js>, this: Receiver<'js>, given: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let number = match given.0 {
        Some(value) if !value.is_undefined() && !value.is_null() => value.get::<Coerced<f64>>()?.0.trunc(),
        _ => f64::NAN,
    };
    // What is no number means the default; any other is sent, for servers have to bear it.
    let code = if number.is_nan() { code::GOING_AWAY } else { number as u16 };
    this.0.borrow().close(&ctx, code)
}

fn set_timeout<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    function: Opt<Value<'js>>,
    ms: Opt<Value<'js>>,
) -> rquickjs::Result<()> {
    this.0.borrow().add_timer(&ctx, "setTimeout", function.0, ms.0, false)
}

fn set_interval<'js>(
    ctx: Ctx<'js>,
    this: Receiver<'js>,
    function: Opt<Value<'js>>,
    ms: Opt<Value<'js>>,
) -> rquickjs::Result<()> {
    this.0.borrow().add_timer(&ctx, "setInterval", function.0, ms.0, true)
}

impl<'js> Trace<'js> for SocketObject<'js> {
    fn trace<'a>(&self, tracer: Tracer<'a, 'js>) {
        // Borrowed only while something is added or removed, which allocates nothing in the engine.
        if let Ok(listeners) = self.listeners.try_borrow() {
            listeners.iter().for_each(|(_, listener)| listener.trace(tracer));
        }
        if let Ok(timers) = self.timers.try_borrow() {
            timers.values().for_each(|timer| timer.function.trace(tracer));
        }
    }
}

// SAFETY: `'js` is the lifetime of the listeners and of the timers' functions, the only JavaScript values inside.
#[allow(unsafe_code)]
unsafe impl<'js> JsLifetime<'js> for SocketObject<'js> {
    type Changed<'to> = SocketObject<'to>;
}

impl<'js> JsClass<'js> for SocketObject<'js> {
    const NAME: &'static str = "Socket";
    type Mutable = Readable;

    fn prototype(ctx: &Ctx<'js>) -> rquickjs::Result<Option<Object<'js>>> {
        let prototype = Object::new(ctx.clone())?;
        let method = |name: &str, function: rquickjs::Result<Function<'js>>| {
            native::bound_method(&prototype, &function?.with_name(name)?)
        };
        method("on", Function::new(ctx.clone(), on))?;
        method("send", Function::new(ctx.clone(), send))?;
        method("sendBinary", Function::new(ctx.clone(), send_binary))?;
        method("ping", Function::new(ctx.clone(), ping))?;
        method("close", Function::new(ctx.clone(), close))?;
        method("setTimeout", Function::new(ctx.clone(), set_timeout))?;
        method("setInterval", Function::new(ctx.clone(), set_interval))?;
        Ok(Some(prototype))
    }

    fn constructor(_: &Ctx<'js>) -> rquickjs::Result<Option<rquickjs::function::Constructor<'js>>> {
        Ok(None)
    }
}
