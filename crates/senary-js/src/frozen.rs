//! Values that came from JSON and must not change: built frozen, which costs little more than parsing them.

use std::fmt;

use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Error, Object, Value, qjs};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::properties;

/// The value of a JSON text, frozen with all that is in it.
pub fn parse<'js>(ctx: &Ctx<'js>, json: &str) -> rquickjs::Result<Value<'js>> {
    let mut text = serde_json::Deserializer::from_str(json);
    match Frozen(ctx).deserialize(&mut text) {
        Ok(value) => Ok(value),
        Err(_) => {
            // What the engine's own JSON has and this parser refuses: lone surrogates, deep nesting.
            ctx.catch();
            let value = ctx.json_parse(json)?;
            freeze(ctx, &value)?;
            Ok(value)
        }
    }
}

/// Builds a value. Properties are made fixed, so that objects of one form share it; frozen later, each would have
/// to have its own.
#[derive(Clone, Copy)]
struct Frozen<'a, 'js>(&'a Ctx<'js>);

impl<'de, 'js> DeserializeSeed<'de> for Frozen<'_, 'js> {
    type Value = Value<'js>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'js>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'js> Visitor<'de> for Frozen<'_, 'js> {
    type Value = Value<'js>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value<'js>, E> {
        Ok(Value::new_null(self.0.clone()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'js>, E> {
        Ok(Value::new_bool(self.0.clone(), value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'js>, E> {
        Ok(Value::new_number(self.0.clone(), value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'js>, E> {
        Ok(match i32::try_from(value) {
            Ok(value) => Value::new_int(self.0.clone(), value),
            Err(_) => Value::new_number(self.0.clone(), value as f64),
        })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'js>, E> {
        Ok(match i32::try_from(value) {
            Ok(value) => Value::new_int(self.0.clone(), value),
            Err(_) => Value::new_number(self.0.clone(), value as f64),
        })
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value<'js>, E> {
        Ok(rquickjs::String::from_str(self.0.clone(), value).map_err(E::custom)?.into_value())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value<'js>, A::Error> {
        let array = Array::new(self.0.clone()).map_err(A::Error::custom)?.into_object();
        let mut index = 0u32;
        while let Some(element) = elements.next_element_seed(self)? {
            array.prop(index, Property::from(element).enumerable()).map_err(A::Error::custom)?;
            index += 1;
        }
        // The length must be fixed too, which only freezing does.
        freeze_object(self.0, &array).map_err(A::Error::custom)?;
        Ok(array.into_value())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'js>, A::Error> {
        let object = Object::new(self.0.clone()).map_err(A::Error::custom)?;
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            let member = members.next_value_seed(self)?;
            object.prop(&*name, Property::from(member).enumerable()).map_err(A::Error::custom)?;
        }
        // SAFETY: both belong to this context, which is entered; the engine only marks the object.
        if unsafe { qjs::JS_PreventExtensions(self.0.as_raw().as_ptr(), object.as_raw()) } < 0 {
            return Err(A::Error::custom("cannot be frozen"));
        }
        Ok(object.into_value())
    }
}

/// Freezes a value that has no cycles, and all in it.
fn freeze<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<()> {
    let mut left: Vec<Object<'js>> = value.as_object().cloned().into_iter().collect();
    while let Some(object) = left.pop() {
        for member in properties::values(&object) {
            left.extend(member?.into_object());
        }
        freeze_object(ctx, &object)?;
    }
    Ok(())
}

pub fn freeze_object<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<()> {
    // SAFETY: both belong to this context, which is entered; the engine only changes property flags.
    if unsafe { qjs::JS_FreezeObject(ctx.as_raw().as_ptr(), object.as_raw()) } < 0 {
        return Err(Error::Exception);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{run, with_context};

    /// Walks through the value without recursion: how deep a script may call depends on the build.
    const IS_FROZEN: &str = "
        const todo = [value];
        let isFrozen = true;
        while (todo.length > 0) {
            const next = todo.pop();
            if (next === null || typeof next !== 'object') continue;
            isFrozen &&= Object.isFrozen(next);
            todo.push(...Object.values(next));
        }
        return isFrozen + JSON.stringify(value)";

    fn roundtrip(json: &str) -> String {
        let mut result = String::new();
        with_context(|ctx| {
            ctx.globals().set("value", parse(ctx, json).unwrap()).unwrap();
            result = run(ctx, IS_FROZEN);
        });
        result
    }

    #[test]
    fn values_come_back_frozen() {
        for json in [
            "null",
            "true",
            "5",
            "-1.5e-7",
            "4294967296",
            r#""text ☃ \" \u0000""#,
            "[]",
            "{}",
            r#"[1,[2,{"a":[]}],null]"#,
            r#"{"1":1,"b":{"c":[{}]},"a":"x","__proto__":{"y":1}}"#,
            // These take the engine's parser.
            r#"{"a":["\ud800"]}"#,
            &("[".repeat(500) + &"]".repeat(500)),
        ] {
            assert_eq!(roundtrip(json), format!("true{json}"));
        }
    }

    #[test]
    fn what_is_no_json_throws() {
        with_context(|ctx| {
            assert!(parse(ctx, "{a}").is_err());
            assert!(ctx.catch().is_error());
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_and_number_comes_back(text: String, number in prop::num::f64::NORMAL) {
            let json = serde_json::json!({ "text": text, text.clone(): [number] }).to_string();
            with_context(|ctx| {
                ctx.globals().set("value", parse(ctx, &json).unwrap()).unwrap();
                ctx.globals().set("expected", ctx.json_parse(json.clone()).unwrap()).unwrap();
                assert_eq!(run(ctx, IS_FROZEN), run(ctx, "return 'true' + JSON.stringify(expected)"));
            });
        }
    }
}
