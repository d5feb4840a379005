//! How running script can fail, and what of it users read.
//!
//! Text shapes follow the reference: `Error: x\n\tat fn (file:///p/s.js:1:34)\n`. Turning engine stacks into that
//! shape is `source::stack`'s; where the text goes is the caller's.

use rquickjs::{Coerced, Ctx, Error, Value};

use crate::memory::Size;
use crate::source::stack;

/// Why a function of the script did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFailure {
    /// It threw; the text has the stack.
    #[error("{0}")]
    Exception(String),
    /// A promise was rejected and nobody handled it.
    #[error("Uncaught (in promise) {0}")]
    Rejection(String),
    /// A top-level `await` is left with nothing that could end it.
    #[error(
        "a top-level await of the script waits for a promise that nothing settles any more: no timer, socket or file is left that could"
    )]
    NeverEvaluated,
    /// The iteration or the run was ended from outside, or by `exec.test.abort()`.
    #[error("the script was interrupted")]
    Interrupted,
    /// It holds more than it may; what it held is gone.
    #[error(
        "the script passed the memory limit of {limit} per VU: let it keep less, or raise --vu-memory-limit"
    )]
    OutOfMemory { limit: Size },
    /// The machine gave no stack to run on.
    #[error(
        "cannot allocate a stack to run the script on ({reason}); use fewer VUs or raise vm.max_map_count"
    )]
    NoStack {
        reason: String,
        /// Whether the script was on its way already.
        has_begun: bool,
    },
}

impl ScriptFailure {
    /// Turns the error of a native call into what happened, taking the pending exception.
    pub fn from_error(ctx: &Ctx<'_>, error: Error) -> Self {
        match error {
            Error::Exception => Self::thrown(ctx, &ctx.catch()),
            other => Self::Exception(other.to_string()),
        }
    }

    /// That a script threw a value, wherever it did.
    pub fn thrown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Self {
        let text = describe(ctx, value);
        Self::Exception(if value.is_error() { text } else { stack::thrown(ctx, value, text) })
    }
}

/// The text of a thrown or rejected value: with its stack if it has one.
pub fn describe<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if let Some(object) = value.as_object() {
        let stack: Option<String> = object.get("stack").ok();
        let text = to_text(ctx, value);
        if let Some(stack) = stack {
            return stack::render(&text, &stack);
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

/// `String(value)`, whatever the value does about it.
pub fn to_text<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if let Some(symbol) = value.as_symbol() {
        let description = symbol.description().ok().filter(|text| !text.is_undefined());
        return format!("Symbol({})", description.map(|text| to_text(ctx, &text)).unwrap_or_default());
    }
    match value.get::<Coerced<String>>() {
        Ok(text) => text.0,
        Err(_) => {
            ctx.catch();
            "(a value that cannot be turned into text)".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use rquickjs::CString;

    use super::*;
    use crate::testing::with_context;

    #[test]
    fn every_way_to_a_text_replaces_lone_surrogates_and_keeps_the_rest() {
        with_context(|ctx| {
            for (code, expected) in [
                (r"'a\ud83d'", "a\u{fffd}"),
                (r"'\udc00\ud800'", "\u{fffd}\u{fffd}"),
                (r"'\ud800\ud83d\ude00\udfff'", "\u{fffd}\u{1f600}\u{fffd}"),
                (r"'x'.repeat(3) + '\ud83d'", "xxx\u{fffd}"),
                (r"'a\0b\ud83d\0'", "a\0b\u{fffd}\0"),
                ("'é\u{2603}'", "é\u{2603}"),
            ] {
                let value: Value<'_> = ctx.eval(code).unwrap();
                assert_eq!(to_text(ctx, &value), expected, "{code}");
                assert_eq!(value.get::<String>().unwrap(), expected, "{code}");
                assert_eq!(value.get::<Option<String>>().unwrap().unwrap(), expected, "{code}");
                assert_eq!(value.get::<Coerced<String>>().unwrap().0, expected, "{code}");
                assert_eq!(value.as_string().unwrap().to_string().unwrap(), expected, "{code}");
                assert_eq!(value.get::<CString<'_>>().unwrap().as_str(), expected, "{code}");
                let array: Value<'_> = ctx.eval(format!("[{code}]")).unwrap();
                assert_eq!(array.get::<Vec<String>>().unwrap(), [expected], "{code}");
            }
        });
    }

    #[test]
    fn the_language_keeps_lone_surrogates() {
        with_context(|ctx| {
            for code in [
                r"'\ud83d'.length === 1 && '\ud83d' !== '\ufffd'",
                r#"JSON.parse('"\ud83d"') === '\ud83d'"#,
                r#"JSON.parse('{"\ud83d":1}')['\ud83d'] === 1"#,
                r"new RegExp('\ud83d').test('\ud83d') && !new RegExp('\ud83d').test('\ufffd')",
                r#"eval('"\ud83d"') === '\ud83d'"#,
                r"Object.keys({ 'a\ud83d': 1 })[0] === 'a\ud83d'",
                r"new Function('return \'\ud83d\'')() === '\ud83d'",
            ] {
                assert!(ctx.eval::<bool, _>(code).unwrap(), "{code}");
            }
        });
    }

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
                assert!(describe(ctx, &value).starts_with(expected), "{code}");
            }
        });
    }
}
