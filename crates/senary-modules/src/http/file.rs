//! `http.file()`: a file of a form.

use std::time::{SystemTime, UNIX_EPOCH};

use rquickjs::function::Opt;
use rquickjs::{Class, Coerced, Ctx, Object, Value};
use senary_js::{bytes, errors, go_type, native_class};

use super::form::Field;

/// The object that scripts get; they may change its properties.
pub struct FileData;

native_class!(FileData, "FileData", |ctx| Object::new(ctx.clone()));

pub fn file<'js>(
    ctx: Ctx<'js>,
    data: Opt<Value<'js>>,
    filename: Opt<Value<'js>>,
    content_type: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let data = data.0.unwrap_or_else(|| Value::new_undefined(ctx.clone()));
    if bytes::of_value(&ctx, &data)?.is_none() {
        let kind = go_type::go_type(&data);
        let text = format!("invalid type {kind}, expected string, []byte or ArrayBuffer");
        return Err(errors::throw_go_error(&ctx, &text));
    }
    let given = |value: Option<Value<'js>>| {
        let value = value.filter(|value| !value.is_undefined() && !value.is_null());
        value.map(|value| value.get::<Coerced<String>>().map(|text| text.0)).transpose()
    };
    let filename = given(filename.0)?.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
    });
    let content_type = given(content_type.0)?.unwrap_or_else(|| "application/octet-stream".to_owned());
    let file = Class::instance(ctx, FileData)?;
    file.set("data", data)?;
    file.set("filename", filename)?;
    file.set("content_type", content_type)?;
    Ok(file.into_value())
}

impl FileData {
    /// The file, as it is at this moment.
    pub fn field<'js>(&self, ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<Field> {
        let data: Value<'js> = object.get("data")?;
        let text = |name| object.get::<_, Coerced<String>>(name).map(|text| text.0);
        Ok(Field::File {
            data: bytes::of_value(ctx, &data)?.unwrap_or_default(),
            filename: text("filename")?,
            content_type: text("content_type")?,
        })
    }
}
