//! The command line and the environment: an argument per line, or a variable after `$`. Everything up to the plan of
//! a test, with the settings of the log and of secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary::cli::{self, Command};
use senary::environment::Environment;
use senary::logging::Target;
use senary::options::{Given, GlobalSettings, RuntimeSettings, ScriptOptions};
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
    let _ = Target::parse(global.log.output.as_deref().unwrap_or_default());
    for source in &global.secret_sources {
        senary_modules::fuzzing::secret_source(source, text);
    }
    let Command::Run(args) = cli.command else { return };
    let Ok(runtime) = RuntimeSettings::new(&args.runtime, &env, true) else { return };
    let Ok(given) = Given::read(Some(&args.options), Some(&args.config), &env, None) else { return };
    given.console_output();
    let script = ScriptOptions { name: "script.js", text: "", json: &Value::Null };
    let Ok(consolidated) = given.consolidate(&script) else { return };
    for output in &consolidated.out {
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
