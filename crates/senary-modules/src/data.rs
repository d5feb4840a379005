//! `k6/data`: `SharedArray`, an array that all VUs of the process share.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-data/sharedarray/>)
//!
//! Its elements are kept once, as JSON; a VU holds a proxy, and an element becomes a frozen object of the VU's own when
//! script reads it. The first VU that asks for a name builds it. Other VUs that ask for it in the meantime block, as in
//! `sleep()`, but their worker does not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rquickjs::function::{Opt, This};
use rquickjs::object::Property;
use rquickjs::proxy::ProxyHandler;
use rquickjs::{Array, Class, Coerced, Ctx, Function, Object, Proxy, Value};
use senary_js::frozen;
use senary_js::vu::core::vu_of;
use senary_js::{errors, native, native_class, script_context, userdata};

const SHARED_ARRAY: &str = "SharedArray";
const LENGTH: &str = "length";

/// A script may list the indices (`Object.keys`, `for in`) of arrays with up to this many elements: the engine compares
/// each key of a proxy with every other, and cannot be interrupted in that.
const MAX_LISTED: usize = 100_000;

/// The time between two looks at an array that another VU is building.
const POLL: Duration = Duration::from_millis(1);

/// The shared arrays of a test, by name; clones share them.
#[derive(Clone, Debug, Default)]
pub struct SharedArrays {
    slots: Arc<Mutex<HashMap<String, Slot>>>,
}

#[derive(Debug)]
enum Slot {
    Building(Builder),
    Ready(Arc<Elements>),
}

/// The VU that builds an array, by the address of its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Builder(usize);

/// What a VU that wants an array has to do.
enum Claim {
    Take(Arc<Elements>),
    Build(Build),
    /// Another VU builds it; the VU has to ask again later.
    Wait,
}

/// The duty to build an array. If it is dropped without an array, it passes to the next VU that asks.
struct Build {
    arrays: SharedArrays,
    name: String,
    builder: Builder,
}

/// The elements of an array, immutable.
#[derive(Debug, Default)]
pub struct Elements {
    /// Their JSON, one after the other.
    json: String,
    /// Where each ends in `json`.
    ends: Vec<usize>,
}

userdata!(SharedArrays);

impl SharedArrays {
    /// Makes the arrays known to a context.
    pub fn install(&self, ctx: &Ctx<'_>) {
        // This fails only while userdata is being read, and no script runs yet.
        let _ = ctx.store_userdata(self.clone());
    }

    fn claim(&self, name: &str, builder: Builder) -> Claim {
        let mut slots = self.lock();
        // A VU in the middle of building one array must not wait for another: two could wait for each other.
        let is_nested = slots.values().any(|slot| matches!(slot, Slot::Building(by) if *by == builder));
        let build = || Build { arrays: self.clone(), name: name.to_owned(), builder };
        match slots.entry(name.to_owned()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Slot::Building(builder));
                Claim::Build(build())
            }
            Entry::Occupied(slot) => match slot.get() {
                Slot::Ready(elements) => Claim::Take(elements.clone()),
                Slot::Building(_) if is_nested => Claim::Build(build()),
                Slot::Building(_) => Claim::Wait,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Build {
    /// Publishes the elements, unless another VU was faster: the first elements stay.
    fn finish(self, elements: Elements) -> Arc<Elements> {
        let mut slots = self.arrays.lock();
        if let Some(Slot::Ready(first)) = slots.get(&self.name) {
            return first.clone();
        }
        let elements = Arc::new(elements);
        slots.insert(self.name.clone(), Slot::Ready(elements.clone()));
        elements
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let mut slots = self.arrays.lock();
        if matches!(slots.get(&self.name), Some(Slot::Building(by)) if *by == self.builder) {
            slots.remove(&self.name);
        }
    }
}

impl Elements {
    /// Adds an element, as JSON.
    pub fn push(&mut self, json: &str) {
        self.json.push_str(json);
        self.ends.push(self.json.len());
    }

    fn shrink(&mut self) {
        self.json.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    /// The JSON of an element.
    fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.json.get(start..end)
    }
}

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    let constructor = native::function(ctx, construct)?.with_name(SHARED_ARRAY)?.with_constructor(true);
    // Instances are plain arrays, so `instanceof` works with the prototype of arrays.
    let array: Object<'js> = ctx.globals().get("Array")?;
    constructor.prop("prototype", array.get::<_, Object<'js>>("prototype")?)?;
    module.set(SHARED_ARRAY, constructor)?;
    Ok(module)
}

fn construct<'js>(
    ctx: Ctx<'js>,
    name: Opt<Value<'js>>,
    build: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    if script_context::is_vu(&ctx) {
        return Err(errors::throw_go_error(&ctx, "new SharedArray must be called in the init context"));
    }
    let name = match name.0.filter(|name| !name.is_undefined() && !name.is_null()) {
        Some(name) => name.get::<Coerced<String>>()?.0,
        None => String::new(),
    };
    if name.is_empty() {
        return Err(errors::throw_go_error(&ctx, "empty name provided to SharedArray's constructor"));
    }
    let Some(build) = build.0.and_then(|build| build.as_function().cloned()) else {
        let text = "a function is expected as the second argument of SharedArray's constructor";
        return Err(errors::throw_go_error(&ctx, text));
    };
    let elements = elements_of(&ctx, &name, || call(&ctx, &build))?;
    proxy(&ctx, elements)
}

/// An array that native code makes: `build` is called in the first VU that asks for the name.
pub fn shared<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    build: impl FnOnce(&mut Elements) -> rquickjs::Result<()>,
) -> rquickjs::Result<Value<'js>> {
    let elements = elements_of(ctx, name, || {
        let mut elements = Elements::default();
        build(&mut elements)?;
        elements.shrink();
        Ok(elements)
    })?;
    proxy(ctx, elements)
}

fn elements_of(
    ctx: &Ctx<'_>,
    name: &str,
    build: impl FnOnce() -> rquickjs::Result<Elements>,
) -> rquickjs::Result<Arc<Elements>> {
    let Some(arrays) = ctx.userdata::<SharedArrays>().map(|arrays| arrays.clone()) else {
        return Err(errors::throw_error(ctx, "this context has no shared arrays"));
    };
    let builder = Builder(ctx.as_raw().as_ptr() as usize);
    loop {
        match arrays.claim(name, builder) {
            Claim::Take(elements) => return Ok(elements),
            Claim::Build(duty) => return Ok(duty.finish(build()?)),
            Claim::Wait => vu_of(ctx)?.block_until(ctx, Instant::now() + POLL)?,
        }
    }
}

/// Calls the script's function and keeps what it returns as JSON.
fn call<'js>(ctx: &Ctx<'js>, build: &Function<'js>) -> rquickjs::Result<Elements> {
    let refuse_async = || {
        let text = "SharedArray constructor does not support async functions as second argument";
        Err(errors::throw_go_error(ctx, text))
    };
    if is_async(build)? {
        return refuse_async();
    }
    let built: Value<'js> = build.call(())?;
    if built.is_promise() {
        return refuse_async();
    }
    let is_array: Function<'js> = ctx.globals().get::<_, Object<'js>>("Array")?.get("isArray")?;
    let Some(array) = built.as_object().filter(|_| is_array.call((built.clone(),)).unwrap_or(false)) else {
        return Err(errors::throw_go_error(ctx, "only arrays can be made into SharedArray"));
    };
    let mut elements = Elements::default();
    for index in 0..array.get::<_, u32>(LENGTH)? {
        match ctx.json_stringify(array.get::<_, Value<'js>>(index)?)? {
            Some(json) => elements.push(&json.to_string()?),
            // Values that JSON cannot express.
            None => elements.push("null"),
        }
    }
    elements.shrink();
    Ok(elements)
}

fn is_async(function: &Function<'_>) -> rquickjs::Result<bool> {
    let constructor: Option<Object<'_>> = function.get("constructor")?;
    let name: Option<Value<'_>> = constructor.map(|constructor| constructor.get("name")).transpose()?;
    let name = name.and_then(|name| name.into_string()).map(|name| name.to_string()).transpose()?;
    Ok(name.is_some_and(|name| name == "AsyncFunction"))
}

/// The array as script sees it.
///
/// The proxy's target is an empty array of the same length: it makes `Array.isArray` true, and has all properties that
/// are not elements. The handler's traps return elements and refuse changes.
fn proxy<'js>(ctx: &Ctx<'js>, elements: Arc<Elements>) -> rquickjs::Result<Value<'js>> {
    let target = Array::new(ctx.clone())?.into_object();
    target.prop(LENGTH, Property::from(elements.len()))?;
    let handler = Class::instance(ctx.clone(), Handler(elements))?;
    let handler = ProxyHandler::from_object(handler.into_inner())?;
    Ok(Proxy::new(ctx.clone(), target, handler)?.into_value())
}

/// A proxy handler; its prototype has the traps.
struct Handler(Arc<Elements>);

type This_<'js> = This<Class<'js, Handler>>;

impl Handler {
    fn element<'js>(&self, ctx: &Ctx<'js>, index: usize) -> rquickjs::Result<Option<Value<'js>>> {
        let Some(json) = self.0.get(index) else { return Ok(None) };
        frozen::parse(ctx, json).map(Some)
    }
}

fn get<'js>(
    ctx: Ctx<'js>,
    this: This_<'js>,
    target: Object<'js>,
    key: Value<'js>,
) -> rquickjs::Result<Value<'js>> {
    match index_of(&key)? {
        Some(index) => match this.0.borrow().element(&ctx, index)? {
            Some(element) => Ok(element),
            None => Ok(Value::new_undefined(ctx)),
        },
        None => target.get(key),
    }
}

fn has<'js>(this: This_<'js>, target: Object<'js>, key: Value<'js>) -> rquickjs::Result<bool> {
    match index_of(&key)? {
        Some(index) => Ok(index < this.0.borrow().0.len()),
        None => target.contains_key(key),
    }
}

fn own_keys<'js>(ctx: Ctx<'js>, this: This_<'js>) -> rquickjs::Result<Vec<Value<'js>>> {
    let length = this.0.borrow().0.len();
    if length > MAX_LISTED {
        let text = format!(
            "the keys of a SharedArray of {length} elements are too many to list; count to its length"
        );
        return Err(errors::throw_range_error(&ctx, &text));
    }
    let names = (0..length).map(|index| index.to_string()).chain([LENGTH.to_owned()]);
    names.map(|name| Ok(rquickjs::String::from_str(ctx.clone(), &name)?.into_value())).collect()
}

fn own_property<'js>(
    ctx: Ctx<'js>,
    this: This_<'js>,
    target: Object<'js>,
    key: Value<'js>,
) -> rquickjs::Result<Value<'js>> {
    let descriptor = Object::new(ctx.clone())?;
    let index = index_of(&key)?;
    match index {
        Some(index) => match this.0.borrow().element(&ctx, index)? {
            Some(element) => descriptor.set("value", element)?,
            None => return Ok(Value::new_undefined(ctx)),
        },
        None if is_length(&key)? => descriptor.set("value", target.get::<_, Value<'js>>(LENGTH)?)?,
        None => return Ok(Value::new_undefined(ctx)),
    }
    // A proxy must not contradict its target, which has a `length` like any array and no elements.
    descriptor.set("writable", index.is_none())?;
    descriptor.set("enumerable", index.is_some())?;
    descriptor.set("configurable", index.is_some())?;
    Ok(descriptor.into_value())
}

fn is_length(key: &Value<'_>) -> rquickjs::Result<bool> {
    let text = key.as_string().map(rquickjs::String::to_string).transpose()?;
    Ok(text.is_some_and(|text| text == LENGTH))
}

fn refuse(ctx: Ctx<'_>) -> rquickjs::Result<bool> {
    Err(errors::throw_type_error(&ctx, "SharedArray is immutable"))
}

/// The index a property key stands for, in the form in which the language writes indices.
fn index_of(key: &Value<'_>) -> rquickjs::Result<Option<usize>> {
    let Some(key) = key.as_string() else { return Ok(None) };
    Ok(parse_index(key.clone().to_cstring()?.as_bytes()))
}

fn parse_index(text: &[u8]) -> Option<usize> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] => text.iter().try_fold(0usize, |index, digit| {
            let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
            index.checked_mul(10)?.checked_add(digit)
        }),
        _ => None,
    }
}

// Scripts never see a handler.
native_class!(Handler, "SharedArrayHandler", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let proto = Object::new(ctx.clone())?;
    proto.set("get", native::function(ctx, get)?)?;
    proto.set("has", native::function(ctx, has)?)?;
    proto.set("ownKeys", native::function(ctx, own_keys)?)?;
    proto.set("getOwnPropertyDescriptor", native::function(ctx, own_property)?)?;
    let refuse = native::function(ctx, refuse)?;
    for trap in ["set", "defineProperty", "deleteProperty", "preventExtensions", "setPrototypeOf"] {
        proto.set(trap, refuse.clone())?;
    }
    Ok(proto)
}

#[cfg(test)]
mod tests;
