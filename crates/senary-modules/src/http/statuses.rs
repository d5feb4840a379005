//! `expectedStatuses()`: which responses count as failed.

use rquickjs::function::Rest;
use rquickjs::{Class, Ctx, Object, Value};
use senary_js::{errors, native_class};
use std::rc::Rc;

/// The statuses that are expected by default.
const DEFAULT: (i64, i64) = (200, 399);

/// Ranges of statuses, with both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<(i64, i64)>);

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![DEFAULT])
    }
}

impl Statuses {
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|(min, max)| (*min..=*max).contains(&i64::from(status)))
    }
}

/// What scripts get of `expectedStatuses()`.
pub struct ExpectedStatuses(Rc<Statuses>);

native_class!(ExpectedStatuses, "ExpectedStatuses", |ctx| Object::new(ctx.clone()));

pub fn expected_statuses<'js>(ctx: Ctx<'js>, arguments: Rest<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    if arguments.0.is_empty() {
        return Err(errors::throw_go_error(&ctx, "no arguments"));
    }
    let mut ranges = Vec::new();
    for (at, argument) in arguments.0.iter().enumerate() {
        let Some(range) = range(argument)? else {
            let text = format!(
                "argument number {} to expectedStatuses was neither an integer nor an object like {{min:100, max:329}}",
                at + 1
            );
            return Err(errors::throw_go_error(&ctx, &text));
        };
        ranges.push(range);
    }
    Ok(Class::instance(ctx, ExpectedStatuses(Rc::new(Statuses(ranges))))?.into_value())
}

fn range(value: &Value<'_>) -> rquickjs::Result<Option<(i64, i64)>> {
    if let Some(status) = whole(value) {
        return Ok(Some((status, status)));
    }
    let Some(object) = value.as_object() else { return Ok(None) };
    let (min, max): (Value<'_>, Value<'_>) = (object.get("min")?, object.get("max")?);
    Ok(whole(&min).zip(whole(&max)))
}

fn whole(value: &Value<'_>) -> Option<i64> {
    value.as_number().filter(|number| number.fract() == 0.0).map(|number| number as i64)
}

/// Reads a response callback. `Ok(None)`: the script gave null, so it wants none. An error: the value is not a
/// callback.
pub fn callback_of(value: &Value<'_>) -> Result<Option<Rc<Statuses>>, ()> {
    if value.is_null() {
        return Ok(None);
    }
    let expected = value.as_object().and_then(Class::<ExpectedStatuses>::from_object);
    expected.map(|expected| Some(expected.borrow().0.clone())).ok_or(())
}
