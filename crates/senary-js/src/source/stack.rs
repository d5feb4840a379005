//! Stack traces as users of the reference know them: the error's text, then per line a tab, `at`, the function and
//! where. The engine's own stack traces lack the text, and name places in code that may have been generated.

use std::sync::Arc;

use rquickjs::function::This;
use rquickjs::{Coerced, Ctx, Exception, Function, Object, Persistent, Value, qjs};

use super::ModuleStore;
use super::frames::{self, Frame, Place};
use super::loader::{known_store, store_of};
use crate::value_text::to_text;

/// Frames kept of a stack, innermost first: as many as the engine offers.
pub const FRAMES: usize = 64;

/// The engine's own getter of `Error.prototype.stack`.
struct EngineStack(Persistent<Function<'static>>);

crate::userdata!(EngineStack);

/// Gives errors of this context stacks in the reference's shape.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let error: Object<'_> = ctx.globals().get("Error")?;
    error.set("stackTraceLimit", FRAMES as u32)?;
    // It would store the engine's text. Scripts ask whether it is there before they call it.
    error.remove("captureStackTrace")?;
    let prototype: Object<'_> = error.get("prototype")?;
    let object: Object<'_> = ctx.globals().get("Object")?;
    let describe: Function<'_> = object.get("getOwnPropertyDescriptor")?;
    let property: Object<'_> = describe.call((prototype.clone(), "stack"))?;
    let engine: Function<'_> = property.get("get")?;
    // Fails only while userdata is being read, which nobody does yet.
    let _ = ctx.store_userdata(EngineStack(Persistent::save(ctx, engine)));
    property.set("get", Function::new(ctx.clone(), shaped)?.with_name("stack")?)?;
    let define: Function<'_> = object.get("defineProperty")?;
    define.call::<_, Value<'_>>((prototype, "stack", property)).map(|_| ())
}

/// The engine's text of an error's stack.
pub fn raw<'js>(ctx: &Ctx<'js>, error: &Value<'js>) -> Option<String> {
    let engine = ctx.userdata::<EngineStack>()?.0.clone();
    let stack: rquickjs::Result<Value<'js>> = engine.restore(ctx).ok()?.call((This(error.clone()),));
    match stack {
        Ok(stack) => stack.as_string()?.to_string().ok(),
        Err(_) => {
            ctx.catch();
            None
        }
    }
}

/// The engine's text of the stack as it is now.
pub fn current(ctx: &Ctx<'_>) -> Option<String> {
    let probe = Exception::from_message(ctx.clone(), "").ok()?;
    raw(ctx, &probe.into_object().into_value())
}

/// An error's text with a stack of the engine's, in the reference's shape.
pub fn shape(ctx: &Ctx<'_>, text: &str, stack: &str) -> String {
    with_frames(text, frames::parse(stack), known_store(ctx).as_ref())
}

unsafe extern "C" {
    fn JS_TakeThrowPlace(ctx: *mut qjs::JSContext, thrown: qjs::JSValue) -> qjs::JSValue;
    fn JS_ForgetAwaitPlace(ctx: *mut qjs::JSContext);
    fn JS_TakeAwaitPlace(ctx: *mut qjs::JSContext, promise: qjs::JSValue) -> qjs::JSValue;
}

/// Begins to watch for awaits that are given up, for [`awaiting`].
pub fn watch_awaits(ctx: &Ctx<'_>) {
    // SAFETY: the context is alive; the call only forgets a place that the engine noted.
    unsafe { JS_ForgetAwaitPlace(ctx.as_raw().as_ptr()) }
}

/// Where the script waits for a promise of an async function: the innermost `await`. If nothing can resume that
/// function any more and it is gone, it is the first `await` that was given up since [`watch_awaits`].
pub fn awaiting<'js>(ctx: &Ctx<'js>, promise: &Value<'js>) -> Option<String> {
    // SAFETY: the value is one of this context, and only looked at; what comes back is ours.
    let line =
        unsafe { Value::from_raw(ctx.clone(), JS_TakeAwaitPlace(ctx.as_raw().as_ptr(), promise.as_raw())) };
    let line = line.as_string()?.to_string().ok()?;
    let frame = frames::parse(&line).find(|frame| frame.url().is_some())?;
    Some(place_of(frame, ctx))
}

/// The text of a value that a script threw and that has no stack of its own, and where it threw it. The engine tells
/// that once.
pub fn thrown<'js>(ctx: &Ctx<'js>, value: &Value<'js>, text: String) -> String {
    // SAFETY: the value is one of this context, and only looked at; what comes back is ours.
    let place =
        unsafe { Value::from_raw(ctx.clone(), JS_TakeThrowPlace(ctx.as_raw().as_ptr(), value.as_raw())) };
    match place.as_string().and_then(|place| place.to_string().ok()) {
        Some(place) => with_frames(&text, frames::parse(&place), store_of(ctx).ok().as_ref()),
        None => text,
    }
}

fn shaped<'js>(ctx: Ctx<'js>, this: This<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    use rquickjs::IntoJs;
    let Some(stack) = raw(&ctx, &this.0) else { return Ok(Value::new_undefined(ctx)) };
    let store = store_of(&ctx).ok();
    let text = named(to_text(&ctx, &this.0), frames::parse(&stack).next(), store.as_ref());
    with_frames(&text, frames::parse(&stack), store.as_ref()).into_js(&ctx)
}

/// The engine's words for calls of what cannot be called.
const NOT_CALLABLE: &str = "TypeError: not a function";

/// Says what is not a function.
fn named(text: String, innermost: Option<Frame>, store: Option<&Arc<ModuleStore>>) -> String {
    if text != NOT_CALLABLE {
        return text;
    }
    let callee = innermost.zip(store).and_then(|(frame, store)| match frame.place {
        Place::Script { url, line, column } => store.callee(&url, line, column),
        Place::Native | Place::Internal => None,
    });
    callee.map_or(text, |callee| format!("TypeError: {callee} is not a function"))
}

/// The text of a thrown or rejected value: with its stack if it has one.
pub fn describe<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if let Some(object) = value.as_object() {
        let stack: Option<String> = object.get("stack").ok();
        let text = to_text(ctx, value);
        if let Some(stack) = stack {
            return render(&text, &stack);
        }
        ctx.catch();
        return text;
    }
    to_text(ctx, value)
}

/// The text of the reason of a rejection: what it says of its own stack comes before what it is.
pub fn describe_rejected<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    let text = describe(ctx, value);
    if text.contains("\n\tat ") {
        return text;
    }
    let stack = value.as_object().and_then(|object| object.get::<_, Option<Coerced<String>>>("stack").ok());
    ctx.catch();
    match stack.flatten() {
        Some(stack) if !stack.0.is_empty() => stack.0,
        _ => text,
    }
}

/// Joins an error's text with its stack, unless the stack begins with the text already:
/// `Error: x\n\tat fn (file:///p/s.js:1:34)\n`.
pub fn render(text: &str, stack: &str) -> String {
    let begins_with = |text| stack.strip_prefix(text).is_some_and(|rest: &str| rest.starts_with("\n\tat "));
    let first = stack.split("\n\tat ").next().unwrap_or_default();
    let is_named = text == NOT_CALLABLE && first.ends_with(" is not a function") && begins_with(first);
    if begins_with(text) || is_named {
        return stack.to_owned();
    }
    with_frames(text, frames::parse(stack), None)
}

fn with_frames(text: &str, frames: impl Iterator<Item = Frame>, store: Option<&Arc<ModuleStore>>) -> String {
    let mut out = text.to_owned();
    // The inside of our own modules says nothing to anybody.
    for frame in frames.filter(|frame| frame.place != Place::Internal) {
        out.push_str("\n\tat ");
        out.push_str(&place(&frame, store));
    }
    if out.len() > text.len() {
        out.push('\n');
    }
    out
}

/// The innermost place of the script that is running: `file:///p/s.js:1:34`.
pub fn here(ctx: &Ctx<'_>) -> Option<String> {
    let frame = frames::current(ctx).into_iter().find(|frame| frame.url().is_some())?;
    Some(place_of(frame, ctx))
}

/// Where a frame is, without its function.
fn place_of(frame: Frame, ctx: &Ctx<'_>) -> String {
    place(&Frame { function: String::new(), place: frame.place }, store_of(ctx).ok().as_ref())
}

/// Where a frame is, in the script as it was written: `fn (file:///p/s.js:1:34)`.
pub fn place(frame: &Frame, store: Option<&Arc<ModuleStore>>) -> String {
    let place = match (&frame.place, store) {
        (Place::Script { url, line, column }, Some(store)) => {
            let (url, line, column) = store.original_place(url, *line, *column);
            format!("{url}:{line}:{column}")
        }
        (Place::Script { url, line, column }, None) => format!("{url}:{line}:{column}"),
        (Place::Native | Place::Internal, _) if frame.function.is_empty() => return "native".to_owned(),
        (Place::Native | Place::Internal, _) => return format!("{} (native)", frame.function),
    };
    match frame.function.as_str() {
        "" => place,
        function => format!("{function} ({place})"),
    }
}

#[cfg(test)]
mod tests {
    use rquickjs::Value;

    use crate::testing::with_context;

    #[test]
    fn errors_keep_their_names_and_messages() {
        with_context(|ctx| {
            for (code, expected) in [
                (r"new Error('at 17: \ud83d')", "Error: at 17: \u{fffd}"),
                (r"Object.assign(new Error('m'), { name: 'E\udc00' })", "E\u{fffd}: m"),
                (r"({ toString: () => 't\ud800' })", "t\u{fffd}"),
                (r"Symbol('s\ud800')", "Symbol(s\u{fffd})"),
            ] {
                let value: Value<'_> = ctx.eval(code).unwrap();
                assert!(super::describe(ctx, &value).starts_with(expected), "{code}");
            }
        });
    }

    #[test]
    fn frames_take_the_reference_shape() {
        let stack = "    at boom (file:///p/s.js:3:9)\n    at facade (eval_script:1:1)\n    at map (native)\n    at <anonymous> (file:///p/s.js:9:1)\n";
        let shaped = "Error: x\n\tat boom (file:///p/s.js:3:9)\n\tat map (native)\n\tat file:///p/s.js:9:1\n";
        assert_eq!(super::render("Error: x", stack), shaped);
        assert_eq!(super::render("Error: x", shaped), shaped);
        assert_eq!(super::render("plain", ""), "plain");
        let named = "TypeError: a.b is not a function\n\tat file:///p/s.js:9:1\n";
        assert_eq!(super::render("TypeError: not a function", named), named);
    }
}
