//! The options of the run that differ from those the script exported. They are written back into its `options`, so that
//! a script that reads them in iterations sees the values that are in effect.
//! (<https://grafana.com/docs/k6/latest/using-k6/k6-options/how-to/#order-of-precedence>)
//!
//! A value is parsed when a script first reads it: thousands of VUs have these options, and few scripts read them.

use std::sync::Arc;

use rquickjs::function::This;
use rquickjs::object::{Accessor, Property};
use rquickjs::{Ctx, Object, Value};

/// Names and JSON of options that differ from what the script exported.
#[derive(Debug, Default)]
pub struct DerivedOptions(Vec<(String, String)>);

impl DerivedOptions {
    /// `consolidated`: all options with their names in scripts, `null` for those that nobody has set.
    pub fn new(
        consolidated: &serde_json::Map<String, serde_json::Value>,
        exported: &serde_json::Value,
    ) -> Self {
        let differs = |(name, value): &(&String, &serde_json::Value)| {
            is_set(value) && exported.get(name.as_str()) != Some(*value)
        };
        let derived = consolidated.iter().filter(differs);
        Self(derived.map(|(name, value)| (name.clone(), value.to_string())).collect())
    }

    /// Puts them onto the script's `options`, if it has exported an object of that name that can be extended.
    pub(crate) fn write_back<'js>(
        self: &Arc<Self>,
        ctx: &Ctx<'js>,
        options: &Value<'js>,
    ) -> rquickjs::Result<()> {
        let Some(options) = options.as_object() else { return Ok(()) };
        for (at, (name, _)) in self.0.iter().enumerate() {
            let (derived, own_name) = (self.clone(), name.clone());
            let read = move |this: This<Object<'js>>| {
                let value = this.ctx().json_parse(derived.0[at].1.as_str())?;
                fix(&this.0, &own_name, &value)?;
                Ok::<_, rquickjs::Error>(value)
            };
            let own_name = name.clone();
            let replace = move |this: This<Object<'js>>, value: Value<'js>| fix(&this.0, &own_name, &value);
            let property = Accessor::new(read, replace).enumerable().configurable();
            if options.prop(name.as_str(), property).is_err() {
                // A frozen object stays as it is.
                ctx.catch();
            }
        }
        Ok(())
    }
}

/// Turns the accessor into an ordinary property of the script's own.
fn fix<'js>(options: &Object<'js>, name: &str, value: &Value<'js>) -> rquickjs::Result<()> {
    options.prop(name, Property::from(value.clone()).writable().enumerable().configurable())
}

fn is_set(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => false,
        serde_json::Value::Object(members) => members.is_empty() || members.values().any(is_set),
        _ => true,
    }
}
