//! Values of scripts as text, for messages and for natives that take any value.

use rquickjs::{Coerced, Ctx, Value};

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

/// The value as a message shows it: a text in quotation marks, so that it is not taken for a number.
pub fn shown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    match to_text(ctx, value) {
        text if value.is_string() => format!("{text:?}"),
        text => text,
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
}
