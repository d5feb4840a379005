//! Senary: load tests with k6 scripts, natively. Which command was asked for, and how it ended.

use std::io::Write;
use std::process::ExitCode;

use senary::cli::{self, Cli, Command};
use senary::commands::{archive, completion, deps, echo, inspect, new};
use senary::environment::Environment;
use senary::failure::Failure;
use senary::settings::GlobalSettings;
use senary::{features, logging, run, signals, trust, version};

fn main() -> ExitCode {
    let env = Environment::current();
    let args: Vec<_> = std::env::args_os().collect();
    let parsed = cli::parse(args.clone());
    // A command line that cannot be followed may still say how to log that.
    let flags = parsed.as_ref().map_or_else(|_| cli::scan_log_flags(&args), |cli| cli.global.clone());
    let global = GlobalSettings::new(&flags, &env);
    let result = start_log(&global).and_then(|()| follow(parsed?, &global, &env));
    let code = match result {
        Ok(()) => 0,
        Err(failure) => {
            failure.log();
            failure.code()
        }
    };
    signals::is_ending(code);
    logging::flush();
    ExitCode::from(code)
}

fn start_log(global: &GlobalSettings) -> Result<(), Failure> {
    logging::init(&global.log, &global.web).or_else(|error| {
        logging::init(&logging::Settings::default(), &global.web)?;
        Err(Failure::from(error))
    })?;
    if global.profiling {
        log::warn!("--profiling-enabled has no effect, there is no profiler to serve");
    }
    Ok(())
}

fn follow(cli: Cli, global: &GlobalSettings, env: &Environment) -> Result<(), Failure> {
    if let Command::Run(_) | Command::Inspect(_) | Command::Archive(_) = &cli.command {
        trust::warn_of_nothing_trusted(env);
    }
    match cli.command {
        Command::Run(args) => run::run(&args, global, env),
        Command::Inspect(args) => inspect::run(&args, global, env),
        Command::Deps(args) => print(deps::run(&args, global, env)?.as_bytes()),
        Command::Echo(args) => echo::run(&args).map_err(command),
        Command::Help(args) => print(args.text.as_bytes()),
        Command::Archive(args) => archive::run(&args, global, env),
        Command::New(args) => print(new::run(&args).map_err(command)?.as_bytes()),
        Command::Version(args) => print(version::text(args.json.unwrap_or_default()).as_bytes()),
        Command::Features(args) => print(features::list(args.json.unwrap_or_default()).as_bytes()),
        Command::Completion(args) => print(&completion::script(&args.shell[0]).map_err(command)?),
    }
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let written = std::io::stdout().write_all(text);
    written.map_err(Failure::system("writing to standard output"))
}

/// What went wrong with a command that has no more to say than that.
fn command(error: impl std::fmt::Display) -> Failure {
    Failure::Command(error.to_string())
}
