//! `--start`: what happens once for all instances, before and after they run.

use std::time::Duration;

use senary_words::duration::parse_extended;
use serde_json::Value;

use super::all::All;
use super::instance::{Instance, Known};
use crate::ask_error::AskError;
use crate::command_error::{CommandError, LifecycleFunction};

/// How long setup and teardown may take, if the options do not say; twice as long for the summary.
const LIMIT: Duration = Duration::from_secs(60);
/// The instance itself ends what takes too long; this is for its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Calls `setup()` in the first instance, gives what it returns to the others, and lets all go at once.
pub async fn start(all: &All) -> Result<(), CommandError> {
    for instance in all.iter() {
        if !instance.api.is_paused().await.map_err(|error| of(instance, error))? {
            return Err(of(instance, AskError::NotPaused));
        }
        let is_set = |known: &Value, name: &str| known[name] == true;
        let known = instance.last().map(|known| Value::Object(known.head.test.options)).unwrap_or_default();
        if !(is_set(&known, "noSetup") && is_set(&known, "noTeardown")) {
            return Err(of(instance, AskError::OwnSetup));
        }
    }
    let mut instances = all.iter();
    let Some(first) = instances.next() else { return Ok(()) };
    log::debug!("{} runs setup()", first.api.address);
    let limit = limit(first, LifecycleFunction::Setup);
    let data =
        first.api.run_setup(limit).await.map_err(|error| failed(first, LifecycleFunction::Setup, error))?;
    for instance in instances {
        instance.api.put_setup_data(data.as_ref()).await.map_err(|error| of(instance, error))?;
    }
    all.set("paused", false).await
}

/// Calls `teardown()` in the first instance that is still there.
pub async fn end(all: &All) -> Result<(), CommandError> {
    let Some(first) = all.iter().find(|instance| !instance.is_lost()) else {
        let text = "no instance is left that could run teardown(): what setup() did is not undone";
        return Err(CommandError::Command(text.to_owned()));
    };
    let limit = limit(first, LifecycleFunction::Teardown);
    let done = first.api.run_teardown(limit).await;
    done.map_err(|error| failed(first, LifecycleFunction::Teardown, error))
}

fn of(instance: &Instance, error: AskError) -> CommandError {
    CommandError::Instance { address: instance.api.address.to_string(), error }
}

/// A function that failed is an error of the script, wherever it ran.
fn failed(instance: &Instance, function: LifecycleFunction, error: AskError) -> CommandError {
    let timeout = CommandError::Timeout { function, limit: own_limit(instance.last().as_ref(), function) };
    let of_instance = |code, reason| {
        let instance = instance.api.address.to_string();
        CommandError::OfInstance { instance, code, reason }
    };
    match error {
        AskError::Refused { detail, .. } if detail.ends_with(&timeout.to_string()) => timeout,
        AskError::Refused { detail, .. } => of_instance(SCRIPT_FAILED, detail),
        AskError::Silent(reason) => {
            let text = format!("it is not known what became of {}(): {reason}", function.name());
            of_instance(timeout.code(), text)
        }
        error => of(instance, error),
    }
}

/// The exit code of a script that throws.
const SCRIPT_FAILED: u8 = 107;

/// How long an answer may take.
fn limit(instance: &Instance, function: LifecycleFunction) -> Duration {
    own_limit(instance.last().as_ref(), function) + ANSWER
}

/// How long the instance lets the function run.
pub(super) fn own_limit(known: Option<&Known>, function: LifecycleFunction) -> Duration {
    let limit = match known.and_then(|known| known.head.test.options.get(function.timeout_option())) {
        Some(Value::String(text)) => {
            parse_extended(text).ok().map(|nanos| Duration::from_nanos(nanos.max(0) as u64))
        }
        Some(Value::Number(millis)) => millis.as_u64().map(Duration::from_millis),
        _ => None,
    };
    limit.unwrap_or(if matches!(function, LifecycleFunction::HandleSummary) { 2 * LIMIT } else { LIMIT })
}
