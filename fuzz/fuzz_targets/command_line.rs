//! The command line and the environment: an argument per line, or a variable after `$`. Everything up to the plan of
//! a test, with the settings of the log and of secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary::cli::{self, Command};
use senary::environment::Environment;
use senary::logging::LogDestination;
use senary::options::{OptionLayers, ScriptOptions};
use senary::settings::{GlobalSettings, RuntimeSettings};
use senary::plan::{ScriptFacts, TestPlan};
use senary_metrics::Registry;
use senary_output::OutputSpec;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let variables = text.lines().filter_map(|line| line.strip_prefix('$')?.split_once('='));
    let env: Environment = variables.collect();
    let given = text.lines().filter(|line| !line.starts_with('$'));
    let args: Vec<_> = ["senary", "run", "script.js"].into_iter().chain(given).map(Into::into).collect();
    cli::scan_log_flags(&args);
    let Ok(cli) = cli::parse(args) else { return };
    let global = GlobalSettings::new(&cli.global, &env);
    let _ = LogDestination::parse(global.log.output.as_deref().unwrap_or_default());
    for source in &global.secret_sources {
        senary_modules::fuzzing::secret_source(source, text);
    }
    let Command::Run(args) = cli.command else { return };
    let Ok(runtime) = RuntimeSettings::new(&args.script.runtime, &env, true) else { return };
    let Ok(layer) = args.layer() else { return };
    let Ok(layers) = OptionLayers::read(layer, &env, None) else { return };
    layers.console_output();
    let script = ScriptOptions { name: "script.js", text: "", json: &Value::Null };
    let Ok(consolidated) = layers.consolidate(&script) else { return };
    for output in consolidated.run.out.iter().flat_map(|out| &out.0) {
        let _ = OutputSpec::parse(output);
    }
    let facts = ScriptFacts {
        exports: &["default".to_owned()],
        registry: &Registry::new(),
        name: "script.js",
        text: "",
    };
    if let Ok(plan) = TestPlan::new(consolidated, &runtime, &facts) {
        plan.load.max_vus();
        plan.load.max_duration();
    }
});
