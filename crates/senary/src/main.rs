//! Senary: load tests with k6 scripts, natively. Which command was asked for, and how it ended.

use std::process::ExitCode;

use senary::cli::{self, Cli, Command};
use senary::environment::Environment;
use senary::exit_code::Failure;
use senary::options::GlobalSettings;
use senary::{echo, inspect, logging, run};

fn main() -> ExitCode {
    let env = Environment::current();
    let args: Vec<_> = std::env::args_os().collect();
    let parsed = cli::parse(args.clone());
    // A command line that cannot be followed may still say how to log that.
    let flags = parsed.as_ref().map_or_else(|_| cli::scan_log_flags(&args), |cli| cli.global.clone());
    let global = GlobalSettings::new(&flags, &env);
    let result = start_log(&global).and_then(|()| follow(parsed?, &global, &env));
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.log();
            ExitCode::from(failure.code())
        }
    };
    logging::flush();
    code
}

fn start_log(global: &GlobalSettings) -> Result<(), Failure> {
    logging::init(&global.log).or_else(|error| {
        logging::init(&logging::Settings::default())?;
        Err(error.into())
    })
}

fn follow(cli: Cli, global: &GlobalSettings, env: &Environment) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => run::run(&args, global, env),
        Command::Inspect(args) => inspect::run(&args, global, env),
        Command::Echo(args) => echo::run(&args).map_err(|e| Failure::Command(e.to_string())),
        Command::Help(text) => {
            print!("{text}");
            Ok(())
        }
        other => Err(Failure::Command(format!("{other:?} is not there yet"))),
    }
}
