//! Warnings about arguments that have no effect: a misspelt option, a text where a number belongs. The call
//! goes on as it does in k6, so only the warning shows the mistake. Each warning is logged once per run, for all VUs together.

use std::sync::{Arc, Mutex, PoisonError};

use rquickjs::{Coerced, Ctx, Object, Value};
use rustc_hash::FxHashSet;
use senary_words::spelling::nearest;

use crate::properties;
use crate::value_text::to_text;

/// At most this many different warnings are logged in a run, because scripts can make up any number of names.
const MAX_WARNINGS: usize = 100;

/// What has been warned about; shared by all VUs of a test.
#[derive(Clone, Debug, Default)]
pub struct Hints(Arc<Mutex<FxHashSet<String>>>);

crate::userdata!(Hints);

impl Hints {
    pub fn install(&self, ctx: &Ctx<'_>) {
        // This fails only while userdata is being read, and no script runs yet.
        let _ = ctx.store_userdata(self.clone());
    }

    fn is_new(&self, about: &str) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.len() < MAX_WARNINGS && !given.contains(about) && given.insert(about.to_owned())
    }
}

/// Whether a warning is to be logged: only the first time in a run.
pub fn is_due(ctx: &Ctx<'_>, about: &str) -> bool {
    ctx.userdata::<Hints>().is_some_and(|hints| hints.is_new(about))
}

/// Warns about fields of an options object that the call does not know.
pub fn unknown_fields(call: &str, options: &Object<'_>, known: &[&str]) -> rquickjs::Result<()> {
    for name in properties::names(options) {
        let name = name?;
        if !known.contains(&name.as_str()) {
            unknown_field(options.ctx(), call, &name, known);
        }
    }
    Ok(())
}

/// Warns about one such field.
pub fn unknown_field(ctx: &Ctx<'_>, call: &str, name: &str, known: &[&str]) {
    if is_due(ctx, &format!("{call} {name}")) {
        let hint = known_instead(name, known);
        log::warn!(hint = hint.as_str(); "{call} has no option {name:?}, and ignores it");
    }
}

/// What may have been meant by a name that is not known.
pub fn known_instead(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("its options are {}", known.join(", ")),
    }
}

/// Warns about a value of an option that the call does not take. `instead` shows one that it takes.
pub fn unusable_value<'js>(ctx: &Ctx<'js>, call: &str, name: &str, value: &Value<'js>, instead: &str) {
    if is_due(ctx, &format!("{call} {name}: value")) {
        let shown = match value.is_string() {
            true => format!("{:?}", to_text(ctx, value)),
            false => to_text(ctx, value),
        };
        let hint = format!("write {instead}");
        log::warn!(hint = hint.as_str(); "{call} was given {shown} for {name}, and ignores it");
    }
}

/// Warns about a time that is not a number. `instead` shows the correct call.
pub fn no_number<'js>(ctx: &Ctx<'js>, call: &str, value: &Value<'js>, effect: &str, instead: &str) {
    let is_number = match value.get::<Coerced<f64>>() {
        Ok(number) => !number.0.is_nan(),
        Err(_) => {
            ctx.catch();
            false
        }
    };
    if value.is_undefined() || value.is_null() || is_number {
        return;
    }
    let shown = match value.is_string() {
        true => format!("{:?}", to_text(ctx, value)),
        false => to_text(ctx, value),
    };
    if is_due(ctx, &format!("{call} {shown}")) {
        let hint = format!("write {instead}");
        log::warn!(hint = hint.as_str(); "{call} was given {shown}, which is not a number: {effect}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_context;

    #[test]
    fn each_warning_is_given_once_in_a_run() {
        let hints = Hints::default();
        for expected in [true, false] {
            with_context(|ctx| {
                hints.install(ctx);
                assert_eq!(is_due(ctx, "connect() hots"), expected);
                assert!(!is_due(ctx, "connect() hots"));
            });
        }
        with_context(|ctx| {
            hints.install(ctx);
            let due = (0..200).filter(|n| is_due(ctx, &format!("write() {n}"))).count();
            assert_eq!(due, MAX_WARNINGS - 1);
        });
    }
}
