//! `senary inspect`: the options of a script as JSON, and what running it may take.

use std::io::Write;

use senary_execution::Shutdown;
use senary_metrics::Registry;
use senary_words::duration;
use serde_json::{Map, Value};

use crate::cli::InspectArgs;
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::failure::Failure;
use crate::options::{Given, GlobalSettings, Note, RuntimeSettings, ScriptOptions};
use crate::plan::{ScriptFacts, TestPlan, judge_values};
use crate::script;

pub fn run(args: &InspectArgs, global: &GlobalSettings, env: &Environment) -> Result<(), Failure> {
    let json = event_loop()?.block_on(inspect(args, global, env))?;
    // Only keys that are no text could make this fail.
    let text = serde_json::to_string_pretty(&json).unwrap_or_default();
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(Failure::system("writing to standard output"))
}

async fn inspect(
    args: &InspectArgs,
    global: &GlobalSettings,
    env: &Environment,
) -> Result<Map<String, Value>, Failure> {
    let name = &args.script[0];
    let runtime = RuntimeSettings::new(&args.runtime, env, false)?;
    let secrets = script::secrets(global, env)?;
    let test = script::read(name, runtime.source_type.as_deref(), &global.web)?;
    let text = test.source.text.clone();
    let registry = Registry::new();
    let bundle = script::load(test, &runtime, secrets, &registry, &Shutdown::new()).await?;
    let options = ScriptOptions { name, text: &text, json: bundle.options() };
    let facts = ScriptFacts { exports: bundle.exports(), registry: &registry, name, text: &text };
    if !args.execution_requirements.unwrap_or_default() {
        let mut notes = Vec::new();
        let own = options.decode(&mut notes)?;
        let json = own.to_json();
        if args.strict.unwrap_or_default() {
            // As if nothing but the script set anything.
            let consolidated = Given::default().consolidate(&options)?;
            consolidated.notes.iter().for_each(Note::log);
            TestPlan::new(consolidated, &runtime, &facts)?;
        } else {
            notes.iter().for_each(Note::log);
            judge_values(&own)?;
        }
        return Ok(json);
    }
    let given = Given::read(None, None, env, global.config.as_ref())?;
    let consolidated = given.consolidate(&options)?;
    consolidated.notes.iter().for_each(Note::log);
    let mut json = consolidated.options.to_json();
    let load = TestPlan::new(consolidated, &runtime, &facts)?.load;
    json.insert("totalDuration".to_owned(), duration::format_go(load.max_duration()).into());
    json.insert("maxVUs".to_owned(), load.max_vus().into());
    Ok(json)
}
