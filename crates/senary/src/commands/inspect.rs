//! `senary inspect`: the options of a script as JSON, and what running it may take.

use std::io::Write;

use senary_execution::Shutdown;
use senary_words::duration;
use serde_json::{Map, Value};

use crate::cli::InspectArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::options::{CommandLine, Note, OptionLayers};
use crate::plan::{TestPlan, judge_values};
use crate::script;
use crate::settings::{GlobalSettings, RuntimeSettings};

pub fn run(args: &InspectArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    let json = event_loop()?.block_on(inspect(args, global, env))?;
    // Only keys that are no text could make this fail.
    let text = serde_json::to_string_pretty(&json).unwrap_or_default();
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(CommandError::system("writing to standard output"))
}

async fn inspect(
    args: &InspectArgs,
    global: &GlobalSettings,
    env: &Environment,
) -> Result<Map<String, Value>, CommandError> {
    let runtime = RuntimeSettings::new(&args.script.runtime, env, false)?;
    let test = script::loaded(args.script.name(), &runtime, global, env, &Shutdown::new()).await?;
    if args.execution_requirements.unwrap_or_default() {
        let layers = OptionLayers::read(CommandLine::default(), env, global.config.as_ref())?;
        let (_, TestPlan { mut options, load, .. }) = test.plan(layers, &runtime)?;
        options.insert("totalDuration".to_owned(), duration::format_go(load.max_duration()).into());
        options.insert("maxVUs".to_owned(), load.max_vus().into());
        return Ok(options);
    }
    let mut notes = Vec::new();
    let own = test.options().decode(&mut notes)?;
    if args.strict.unwrap_or_default() {
        // As if nothing but the script set anything.
        test.plan(OptionLayers::default(), &runtime)?;
    } else {
        notes.iter().for_each(Note::log);
        judge_values(&own)?;
    }
    Ok(own.to_json())
}
