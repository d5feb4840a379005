//! `console`: what scripts log, as text in the reference's form.
//!
//! Lines go through the `log` crate under [`TARGET`], with `source = "console"`; the binary decides where they go.
//! Formatting ends for every value: getters that throw, proxies, cycles, endless nesting. Only an interruption of the
//! VU is passed on as an error.

use log::Level;
use rquickjs::function::Rest;
use rquickjs::{Coerced, Ctx, Function, Object, Type, Value, qjs};
use rustc_hash::FxHashSet;

use crate::bytes;
use crate::lazy::{self, Lazy};
use crate::{properties, script_context};

/// The `log` target of lines scripts write.
pub const TARGET: &str = "console";

/// The target of lines from init code. They stay in the log even if all other lines go to a file.
pub const INIT_TARGET: &str = module_path!();

/// The value of the field `source` of these lines.
pub const SOURCE: &str = "console";

const METHODS: [(&str, Level); 5] = [
    ("log", Level::Info),
    ("debug", Level::Debug),
    ("info", Level::Info),
    ("warn", Level::Warn),
    ("error", Level::Error),
];

/// Containers inside each other; deeper ones are shown as [`CUT`].
const MAX_DEPTH: usize = 1000;

/// Containers are cut after this many bytes of text; a single string never is.
const MAX_TEXT: usize = 8 << 20;

/// Stands for what is left out.
const CUT: &str = "...";

/// At most this many nested proxies are followed.
const MAX_PROXIES: usize = 100;

/// Defines the `console` global.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    static CONSOLE: Lazy = Lazy::of(make);
    lazy::global(ctx, "console", &CONSOLE)
}

fn make<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
    let console = Object::new(ctx.clone())?;
    for (name, level) in METHODS {
        let write = move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| {
            let is_init = script_context::is_init(&ctx);
            let target = if is_init { INIT_TARGET } else { TARGET };
            if log::log_enabled!(target: target, level) {
                let text = format(&ctx, &arguments.0)?;
                log::log!(target: target, level, source = SOURCE; "{text}");
            }
            Ok::<_, rquickjs::Error>(())
        };
        console.set(name, Function::new(ctx.clone(), write)?.with_name(name)?)?;
    }
    Ok(console.into_value())
}

/// The line `console.log(...arguments)` writes.
pub fn format<'js>(ctx: &Ctx<'js>, arguments: &[Value<'js>]) -> rquickjs::Result<String> {
    let mut formatter = Formatter { ctx, text: String::new(), open: Vec::new(), path: FxHashSet::default() };
    for (i, argument) in arguments.iter().enumerate() {
        if i > 0 {
            formatter.text.push(' ');
        }
        formatter.argument(argument)?;
    }
    Ok(formatter.text)
}

/// Writes values without recursion, because scripts can nest them to any depth and the stack is small.
struct Formatter<'a, 'js> {
    ctx: &'a Ctx<'js>,
    text: String,
    open: Vec<Container<'js>>,
    /// The open containers' identities.
    path: FxHashSet<usize>,
}

/// A container whose members are being written.
struct Container<'js> {
    object: Object<'js>,
    members: Members<'js>,
    any_written: bool,
}

enum Members<'js> {
    Keys(std::vec::IntoIter<rquickjs::String<'js>>),
    Elements { next: u32, length: u32 },
}

/// How a value is shown.
enum Shape<'js> {
    Text(String),
    Container { head: String, object: Object<'js>, members: Members<'js> },
}

impl<'js> Formatter<'_, 'js> {
    fn argument(&mut self, value: &Value<'js>) -> rquickjs::Result<()> {
        match value.type_of() {
            Type::String | Type::Symbol => {
                let text = self.plain(value)?;
                self.text.push_str(&text);
            }
            Type::Undefined => self.text.push_str("undefined"),
            _ => self.nested(value)?,
        }
        Ok(())
    }

    fn nested(&mut self, value: &Value<'js>) -> rquickjs::Result<()> {
        self.open_or_write(value)?;
        while let Some(container) = self.open.last_mut() {
            let is_list = matches!(container.members, Members::Elements { .. });
            let member = if self.text.len() > MAX_TEXT { Some(Next::Cut) } else { container.members.next() };
            let Some(member) = member else {
                let any_written = container.any_written;
                self.close(is_list, any_written);
                continue;
            };
            self.text.push_str(if container.any_written { ", " } else { " " });
            container.any_written = true;
            let value = match member {
                Next::Cut => {
                    self.text.push_str(CUT);
                    self.close(is_list, true);
                    continue;
                }
                Next::Key(key) => {
                    let name = key.to_string()?;
                    self.text.push_str(&name);
                    self.text.push_str(": ");
                    container.object.get::<_, Value<'js>>(key)
                }
                Next::Index(index) => container.object.get::<_, Value<'js>>(index),
            };
            match value {
                Ok(value) => self.open_or_write(&value)?,
                Err(error) => {
                    let text = self.thrown(error)?;
                    self.text.push_str(&text);
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, is_list: bool, any_written: bool) {
        if any_written {
            self.text.push(' ');
        }
        self.text.push(if is_list { ']' } else { '}' });
        if let Some(container) = self.open.pop() {
            self.path.remove(&identity(&container.object));
        }
    }

    /// Writes a value, or the beginning of a container that is then on top of the open ones.
    fn open_or_write(&mut self, value: &Value<'js>) -> rquickjs::Result<()> {
        let shape = match self.shape(value) {
            Ok(shape) => shape,
            Err(error) => Shape::Text(self.thrown(error)?),
        };
        match shape {
            Shape::Text(text) => self.text.push_str(&text),
            Shape::Container { object, .. } if self.path.contains(&identity(&object)) => {
                self.text.push_str("[Circular]");
            }
            Shape::Container { .. } if self.open.len() >= MAX_DEPTH => self.text.push_str(CUT),
            Shape::Container { head, object, members } => {
                self.text.push_str(&head);
                self.path.insert(identity(&object));
                self.open.push(Container { object, members, any_written: false });
            }
        }
        Ok(())
    }

    fn shape(&self, value: &Value<'js>) -> rquickjs::Result<Shape<'js>> {
        Ok(match value.type_of() {
            Type::Undefined | Type::Null | Type::Uninitialized => Shape::Text("null".to_owned()),
            Type::String | Type::Symbol => Shape::Text(format!("\"{}\"", self.plain(value)?)),
            _ => match value.as_object() {
                None => Shape::Text(self.plain(value)?),
                Some(object) => self.shape_of_object(value, object)?,
            },
        })
    }

    fn shape_of_object(&self, value: &Value<'js>, object: &Object<'js>) -> rquickjs::Result<Shape<'js>> {
        if value.is_function() {
            return Ok(Shape::Text("[object Function]".to_owned()));
        }
        if value.is_error() {
            return Ok(Shape::Text(self.plain(value)?));
        }
        // SAFETY: it only looks at the tag and the class of a live value.
        if unsafe { qjs::JS_IsDate(value.as_raw()) } {
            let to_json: Function<'js> = object.get("toJSON")?;
            let iso: Value<'js> = to_json.call((rquickjs::function::This(value.clone()),))?;
            return Ok(Shape::Text(if iso.is_string() {
                format!("\"{}\"", self.plain(&iso)?)
            } else {
                "null".to_owned()
            }));
        }
        if let Some(name) = typed_array_name(value) {
            let length: u32 = object.get("length")?;
            let head = format!("{name}({length}) [");
            return Ok(Shape::Container {
                head,
                object: object.clone(),
                members: Members::Elements { next: 0, length },
            });
        }
        if object.is_array_buffer()
            && let Some(view) = bytes::of_object(self.ctx, object)?
        {
            return Ok(Shape::Text(array_buffer_text(view.as_slice())));
        }
        if is_array(value)? {
            let length = object.get::<_, Coerced<f64>>("length")?.0 as u32;
            let members = Members::Elements { next: 0, length };
            return Ok(Shape::Container { head: "[".to_owned(), object: object.clone(), members });
        }
        let keys = properties::keys(object).collect::<rquickjs::Result<Vec<_>>>()?;
        Ok(Shape::Container {
            head: "{".to_owned(),
            object: object.clone(),
            members: Members::Keys(keys.into_iter()),
        })
    }

    /// The value as a script's `String()` gives it; of a symbol, its description.
    fn plain(&self, value: &Value<'js>) -> rquickjs::Result<String> {
        if let Some(symbol) = value.as_symbol() {
            let description = symbol.description()?;
            return match description.as_string() {
                Some(text) => text.to_string(),
                None => Ok(String::new()),
            };
        }
        Ok(value.get::<Coerced<String>>()?.0)
    }

    /// The text for a value whose getter or trap threw. Only an interruption is passed on.
    fn thrown(&self, error: rquickjs::Error) -> rquickjs::Result<String> {
        if !error.is_exception() {
            return Ok(format!("[threw {error}]"));
        }
        let reason = self.ctx.catch();
        if reason.is_uncatchable_error() {
            return Err(self.ctx.throw(reason));
        }
        match self.plain(&reason) {
            Ok(text) => Ok(format!("[threw {text}]")),
            Err(error) if error.is_exception() => {
                let reason = self.ctx.catch();
                if reason.is_uncatchable_error() {
                    Err(self.ctx.throw(reason))
                } else {
                    Ok("[threw]".to_owned())
                }
            }
            Err(_) => Ok("[threw]".to_owned()),
        }
    }
}

enum Next<'js> {
    Key(rquickjs::String<'js>),
    Index(u32),
    /// The text is long enough.
    Cut,
}

impl<'js> Members<'js> {
    fn next(&mut self) -> Option<Next<'js>> {
        match self {
            Self::Keys(keys) => keys.next().map(Next::Key),
            Self::Elements { next, length } if *next < *length => {
                *next += 1;
                Some(Next::Index(*next - 1))
            }
            Self::Elements { .. } => None,
        }
    }
}

/// Equal for two values exactly if they are the same object.
fn identity(object: &Object<'_>) -> usize {
    // SAFETY: an `Object` holds a value with an object tag, whose payload is a pointer.
    unsafe { qjs::JS_VALUE_GET_PTR(object.as_value().as_raw()) as usize }
}

fn typed_array_name(value: &Value<'_>) -> Option<&'static str> {
    const NAMES: [&str; 12] = [
        "Uint8ClampedArray",
        "Int8Array",
        "Uint8Array",
        "Int16Array",
        "Uint16Array",
        "Int32Array",
        "Uint32Array",
        "BigInt64Array",
        "BigUint64Array",
        "Float16Array",
        "Float32Array",
        "Float64Array",
    ];
    // SAFETY: it only looks at the tag and the class of a live value.
    let kind = unsafe { qjs::JS_GetTypedArrayType(value.as_raw()) };
    usize::try_from(kind).ok().and_then(|kind| NAMES.get(kind).copied())
}

/// `Array.isArray(value)`: proxies of arrays are arrays too.
fn is_array(value: &Value<'_>) -> rquickjs::Result<bool> {
    let mut value = value.clone();
    for _ in 0..MAX_PROXIES {
        match value.as_proxy() {
            Some(proxy) => value = proxy.target()?.into_value(),
            None => break,
        }
    }
    Ok(value.is_array())
}

fn array_buffer_text(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(MAX_TEXT / 3)];
    let mut text = String::with_capacity(shown.len() * 3 + 64);
    text.push_str("ArrayBuffer { [Uint8Contents]: <");
    for (i, byte) in shown.iter().enumerate() {
        if i > 0 {
            text.push(' ');
        }
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    if shown.len() < bytes.len() {
        text.push_str(CUT);
    }
    text.push_str(&format!(">, byteLength: {} }}", bytes.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_context;

    /// The line `console.log(code)` would write.
    fn line(arguments: &str) -> String {
        let mut text = String::new();
        with_context(|ctx| {
            let arguments: Vec<Value<'_>> = ctx.eval(format!("[{arguments}]")).unwrap();
            text = format(ctx, &arguments).unwrap();
        });
        text
    }

    #[test]
    fn primitives() {
        assert_eq!(line("'text', 'two words', ''"), "text two words ");
        assert_eq!(
            line("1, -0, 1.5, 1e21, 1e-7, NaN, -Infinity, 12n"),
            "1 0 1.5 1e+21 1e-7 NaN -Infinity 12"
        );
        assert_eq!(
            line("true, false, null, undefined, Symbol('sym'), Symbol()"),
            "true false null undefined sym "
        );
        assert_eq!(line("'%s', '\\ud800x'"), "%s \u{fffd}x");
        assert_eq!(line(""), "");
    }

    #[test]
    fn containers() {
        assert_eq!(line("{}, [], Object.create(null)"), "{} [] {}");
        assert_eq!(
            line("{ a: { b: [1, { x: 'q\"' }] }, s: '' }"),
            "{ a: { b: [ 1, { x: \"q\"\" } ] }, s: \"\" }"
        );
        assert_eq!(line("{ u: undefined, f() {}, n: null }"), "{ u: null, f: [object Function], n: null }");
        assert_eq!(
            line("[undefined, () => 1, Symbol('x'), 1n], Array(2)"),
            "[ null, [object Function], \"x\", 1 ] [ null, null ]"
        );
        assert_eq!(line("{ 'two words': 1, 3: 4, [Symbol('k')]: 5 }"), "{ 3: 4, two words: 1 }");
        assert_eq!(line("(() => { const a = {}; return [a, a] })()"), "[ {}, {} ]");
    }

    #[test]
    fn special_objects() {
        assert_eq!(
            line("class K {}, new Error('boom'), [new RangeError('x')]"),
            "[object Function] Error: boom [ RangeError: x ]"
        );
        assert_eq!(line("new Date(0), { at: new Date(NaN) }"), "\"1970-01-01T00:00:00.000Z\" { at: null }");
        assert_eq!(
            line("/re/g, new Map([[1, 2]]), new Set([1]), Promise.resolve(1), new Number(4)"),
            "{} {} {} {} {}"
        );
        assert_eq!(
            line("new Uint8Array([1, 255]), new Float64Array(0), new BigInt64Array(1)"),
            "Uint8Array(2) [ 1, 255 ] Float64Array(0) [] BigInt64Array(1) [ 0 ]"
        );
        assert_eq!(
            line("new Uint8Array([0, 171]).buffer, new ArrayBuffer(0)"),
            "ArrayBuffer { [Uint8Contents]: <00 ab>, byteLength: 2 } ArrayBuffer { [Uint8Contents]: <>, byteLength: 0 }"
        );
        assert_eq!(line("new Proxy({ p: 1 }, {}), new Proxy([1], {})"), "{ p: 1 } [ 1 ]");
    }

    #[test]
    fn cycles_and_bottomless_values_end() {
        assert_eq!(line("(() => { const a = { n: 1 }; a.me = a; return a })()"), "{ n: 1, me: [Circular] }");
        let deep = line("(() => { let a = []; for (let i = 0; i < 100000; i++) a = [a]; return a })()");
        assert!(deep.contains("[ ... ]"), "{} bytes", deep.len());
        let endless = "(() => { const make = () => ({ get a() { return make() }, get b() { return make() } }); return make() })()";
        assert!(line(endless).len() < MAX_TEXT * 2);
    }

    #[test]
    fn what_throws_is_named() {
        assert_eq!(
            line("{ get a() { throw new TypeError('no') }, b: 1 }"),
            "{ a: [threw TypeError: no], b: 1 }"
        );
        assert_eq!(line("new Proxy({}, { ownKeys() { throw 7 } })"), "[threw 7]");
        assert_eq!(
            line("(() => { const { proxy, revoke } = Proxy.revocable([], {}); revoke(); return [proxy] })()")
                .split(' ')
                .nth(1),
            Some("[threw")
        );
        assert_eq!(line("{ get a() { throw { toString() { throw 1 } } } }"), "{ a: [threw] }");
    }

    #[test]
    fn has_five_methods() {
        with_context(|ctx| {
            install(ctx).unwrap();
            assert_eq!(
                crate::testing::run(ctx, "return Object.keys(console).sort()"),
                "debug,error,info,log,warn"
            );
        });
    }
}
