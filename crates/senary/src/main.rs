//! Senary: load tests with k6 scripts, natively. Which command was asked for, and how it ended.

use std::io::Write;
use std::process::ExitCode;

use senary::cli::{self, Cli, Command};
use senary::command_error::CommandError;
use senary::commands::{archive, collect, completion, deps, echo, inspect, merge, new, tcp};
use senary::environment::Environment;
use senary::settings::GlobalSettings;
use senary::{features, logging, report, run, signals, trust, version};
use senary_js::Allocator;
use senary_net::limits;

/// This allocator ends the process with advice when the system gives no more memory.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    if let Err(failure) = check_stack() {
        // There is no log yet.
        eprintln!("senary: {failure}");
        return ExitCode::from(failure.code());
    }
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
            match logging::is_started() {
                true => {
                    if !(failure.is_of_results() && report::was_written()) {
                        logging::repeat_on_stderr();
                    }
                    failure.log();
                }
                false => eprintln!("senary: {failure}"),
            }
            failure.code()
        }
    };
    signals::is_ending(code);
    logging::flush();
    ExitCode::from(code)
}

/// What this thread needs of its stack, in bytes: for the command line, for the most part.
const MIN_STACK: u64 = 1 << 20;

/// An overflow would end the process without a word of what to do.
fn check_stack() -> Result<(), CommandError> {
    match limits::raise_stack() {
        Some(stack) if stack < MIN_STACK => {
            Err(CommandError::LittleStack { allowed: stack, needed: MIN_STACK })
        }
        _ => Ok(()),
    }
}

fn start_log(global: &GlobalSettings) -> Result<(), CommandError> {
    logging::init(&global.log, &global.web).or_else(|error| {
        logging::init(&logging::Settings::default(), &global.web)?;
        Err(CommandError::from(error))
    })?;
    if global.profiling {
        log::warn!("--profiling-enabled has no effect, there is no profiler to serve");
    }
    Ok(())
}

fn follow(cli: Cli, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    if let Command::Run(_) | Command::Tcp(_) | Command::Inspect(_) | Command::Archive(_) = &cli.command {
        trust::warn_of_nothing_trusted(env);
    }
    match cli.command {
        Command::Run(args) => run::run(&args, global, env),
        Command::Tcp(args) => tcp::run(&args, global, env),
        Command::Inspect(args) => inspect::run(&args, global, env),
        Command::Deps(args) => print(deps::run(&args, global, env)?.as_bytes()),
        Command::Echo(args) => echo::run(&args),
        Command::Help(args) => print(args.text.as_bytes()),
        Command::Archive(args) => archive::run(&args, global, env),
        Command::Merge(args) => merge::run(&args, global, env),
        Command::Collect(args) => collect::run(&args, global, env),
        Command::New(args) => print(new::run(&args).map_err(command)?.as_bytes()),
        Command::Version(args) => print(version::text(args.json.unwrap_or_default()).as_bytes()),
        Command::Features(args) => print(features::list(args.json.unwrap_or_default()).as_bytes()),
        Command::Completion(args) => print(&completion::script(&args.shell[0]).map_err(command)?),
    }
}

fn print(text: &[u8]) -> Result<(), CommandError> {
    let written = std::io::stdout().write_all(text);
    written.map_err(CommandError::system("writing to standard output"))
}

/// The error of a command without a more specific kind.
fn command(error: impl std::fmt::Display) -> CommandError {
    CommandError::Command(error.to_string())
}
