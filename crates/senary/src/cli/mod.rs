//! The command line: the tree of commands and flags, and the texts of what is wrong with one.
//!
//! Flags are taken as typed; what they mean for a test is `options`' business. Texts of errors and the notations
//! of flags are the reference's, so that scripts around it keep working: `--paused=false`, `-u5`, flags after the
//! script, the last of several values.

mod flags;
mod options;
mod tcp;
mod usage_error;

pub use flags::{
    ArchiveArgs, CollectArgs, CompletionArgs, DepsArgs, EchoArgs, GlobalFlags, InspectArgs, MergeArgs,
    NewArgs, OptionFlags, RunArgs, RunFlags, RuntimeFlags, ScriptArgs, WholeArgs,
};
pub use tcp::TcpArgs;
pub use usage_error::UsageError;

use clap::builder::{Resettable, ValueParser};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

use crate::options::parse_bool;

/// The name of the program in texts.
pub const PROGRAM: &str = "senary";

/// A command line that can be followed.
#[derive(Debug)]
pub struct Cli {
    pub global: GlobalFlags,
    pub command: Command,
}

/// Prints the version.
#[derive(Debug, Default, clap::Args)]
pub struct VersionArgs {
    /// Print the version as JSON
    #[arg(long, value_parser = parse_bool)]
    pub json: Option<bool>,
    #[arg(hide = true)]
    pub ignored: Vec<String>,
}

/// Lists the experimental features.
#[derive(Debug, Default, clap::Args)]
pub struct FeaturesArgs {
    /// Print the list as JSON
    #[arg(long, value_parser = parse_bool)]
    pub json: Option<bool>,
    #[arg(hide = true)]
    pub ignored: Vec<String>,
}

#[derive(Debug, Parser)]
#[command(
    name = PROGRAM,
    about = "Load testing with k6 scripts, natively",
    long_about = "Senary runs k6 scripts as load tests: raw TCP with k6/x/tcp, many VUs, thresholds, one small program.",
    disable_version_flag = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    args_override_self = true
)]
struct Root {
    #[command(flatten)]
    global: GlobalFlags,
    /// Print the version
    #[arg(long, value_parser = parse_bool)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Run a test
    Run(Box<RunArgs>),
    /// Load-test a TCP service without a script
    Tcp(Box<TcpArgs>),
    /// Print the options of a script as JSON, without running it
    Inspect(InspectArgs),
    /// List what a script imports, and whether this program has all of it
    Deps(DepsArgs),
    /// Pack a script, everything it needs, and its options into one file
    Archive(Box<ArchiveArgs>),
    /// Merge the states of all instances of a test into one summary
    Merge(Box<MergeArgs>),
    /// Follow running instances of a test over their REST APIs, and merge what they measure into one summary
    Collect(Box<CollectArgs>),
    /// Write a new script to start from
    New(NewArgs),
    /// Print the version
    Version(VersionArgs),
    /// List the experimental features
    Features(FeaturesArgs),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Run the echo server that --with-echo starts, on its own
    Echo(EchoArgs),
    /// Explain a command
    Help(HelpArgs),
}

#[derive(Debug, clap::Args)]
pub struct HelpArgs {
    /// The command
    #[arg(id = "file", value_name = "COMMAND")]
    command: Vec<String>,
    /// What there is to print.
    #[arg(skip)]
    pub text: String,
}

impl HelpArgs {
    /// The help of a command, or of the program.
    fn of(command: Option<&str>) -> Result<Self, UsageError> {
        Ok(Self { command: Vec::new(), text: help(command)? })
    }
}

/// Reads a command line, the program's name included.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let named = |name: &str| args.iter().any(|arg| arg == name);
    let mut matches = command(named)
        .try_get_matches_from(&args)
        .map_err(|e| UsageError::from_clap(&e, &command(|_| true)).typed(&args))?;
    let subcommand = matches.subcommand_name().map(str::to_owned);
    let root = Root::from_arg_matches_mut(&mut matches)
        .map_err(|e| UsageError::from_clap(&e, &command(|_| true)))?;
    let global = root.global;
    let command = match root.command {
        _ if global.help == Some(true) => Command::Help(HelpArgs::of(subcommand.as_deref())?),
        None if root.version == Some(true) => Command::Version(VersionArgs::default()),
        None => Command::Help(HelpArgs::of(None)?),
        Some(Command::Run(args)) if args.config.out.iter().any(|output| output == "help") => {
            Command::Help(HelpArgs { command: Vec::new(), text: senary_output::outputs_help() })
        }
        Some(Command::Help(args)) => Command::Help(HelpArgs::of(args.command.first().map(String::as_str))?),
        Some(command) => {
            command.check(&global)?;
            command
        }
    };
    Ok(Cli { global, command })
}

impl Command {
    /// Counts the arguments, and looks for flags that another command has.
    fn check(&self, global: &GlobalFlags) -> Result<(), UsageError> {
        let script = match self {
            Self::Run(args) => &args.script,
            Self::Inspect(args) => &args.script,
            Self::Deps(args) => &args.script,
            Self::Archive(args) => &args.script,
            Self::New(args) if args.file.len() > 1 => return Err(UsageError::at_most_one(args.file.len())),
            // The echo server of the test has an address of its own.
            Self::Tcp(args) if args.config.with_echo == Some(true) && args.target.is_empty() => return Ok(()),
            Self::Tcp(args) => {
                return exactly_one(&args.target, "the address of the server, e.g. localhost:6379");
            }
            Self::Merge(args) if args.file.is_empty() => {
                return exactly_one(&args.file, "the states that `run --out state=FILE` has written");
            }
            Self::Collect(args) if args.address.is_empty() => {
                return exactly_one(
                    &args.address,
                    "the addresses of instances, e.g. host-1:6565 host-2:6565",
                );
            }
            Self::Merge(_) | Self::Collect(_) => return Ok(()),
            Self::Completion(args) => return exactly_one(&args.shell, "the name of a shell, e.g. bash"),
            Self::Echo(_) => {
                let address = global.address.clone();
                return address.map_or(Ok(()), |address| Err(UsageError::EchoAddress { address }));
            }
            Self::New(_) | Self::Version(_) | Self::Features(_) | Self::Help(_) => return Ok(()),
        };
        exactly_one(&script.script, SCRIPT_HINT)
    }
}

/// The log settings of an invalid command line, so that its error is logged in the right place.
pub fn scan_log_flags(args: &[OsString]) -> GlobalFlags {
    let mut flags = GlobalFlags::default();
    let mut args = args.iter().filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        let (name, attached) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        let mut value = || attached.or_else(|| args.next()).map(str::to_owned);
        match name {
            "--log-format" => flags.log_format = value(),
            "--log-output" => flags.log_output = value(),
            "--no-color" => flags.no_color = Some(attached != Some("false")),
            "--" => break,
            _ => {}
        }
    }
    flags
}

const SCRIPT_HINT: &str = "the path of a script, or - to read it from standard input";

fn exactly_one(args: &[String], hint: &str) -> Result<(), UsageError> {
    if args.len() == 1 { Ok(()) } else { Err(UsageError::exactly_one(args.len(), hint)) }
}

/// The command tree as it is parsed: switches may be given `=false`, values may begin with a hyphen. All commands together
/// have hundreds of flags, so only those commands get theirs that may be meant: the ones that are `named`.
fn command(named: impl Fn(&str) -> bool) -> clap::Command {
    let root = with_arguments(Root::command(), named);
    for_each_argument(root, &|arg| match (is_switch(&arg), arg.is_positional()) {
        (true, _) => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        (false, true) => arg,
        (false, false) if arg.get_action().takes_values() => arg.allow_hyphen_values(true),
        (false, false) => arg,
    })
}

/// The command tree as help shows it: users need not know that a switch can take a value, or that arguments are counted
/// later.
pub fn shown_command() -> clap::Command {
    let root = with_arguments(Root::command(), |_| true).mut_subcommand("archive", without_flags_of_run);
    for_each_argument(root, &|arg| match (is_switch(&arg), arg.is_positional()) {
        (true, _) => arg.num_args(0).action(ArgAction::SetTrue),
        (false, true) => {
            let is_required = arg.get_id() != "file" && !arg.is_hide_set();
            arg.num_args(1).action(ArgAction::Set).required(is_required)
        }
        (false, false) => arg,
    })
}

/// What adds its arguments to a command.
const ARGUMENTS: [(&str, fn(clap::Command) -> clap::Command); 13] = [
    ("run", RunArgs::augment_args),
    ("tcp", TcpArgs::augment_args),
    ("inspect", InspectArgs::augment_args),
    ("deps", DepsArgs::augment_args),
    ("archive", ArchiveArgs::augment_args),
    ("merge", MergeArgs::augment_args),
    ("collect", CollectArgs::augment_args),
    ("new", NewArgs::augment_args),
    ("version", VersionArgs::augment_args),
    ("features", FeaturesArgs::augment_args),
    ("completion", CompletionArgs::augment_args),
    ("echo", EchoArgs::augment_args),
    ("help", HelpArgs::augment_args),
];

/// Gives the commands that are `wanted` their arguments now, which clap would do later, when they cannot be changed any more.
fn with_arguments(root: clap::Command, wanted: impl Fn(&str) -> bool) -> clap::Command {
    root.mut_subcommands(|command| {
        let known = ARGUMENTS.iter().find(|(name, _)| *name == command.get_name());
        let Some((_, add)) = known.filter(|(name, _)| wanted(name)) else { return command };
        let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
        // The arguments have an explanation of their own, which is not that of the command.
        let (about, long_about) = (Resettable::from(about), Resettable::from(long_about));
        add(command.defer(|command| command)).about(about).long_about(long_about)
    })
}

/// Flags without an effect are not shown.
fn without_flags_of_run(archive: clap::Command) -> clap::Command {
    archive.mut_args(|arg| {
        let is_ignored = arg.get_help_heading() == Some(flags::RUN);
        arg.hide(is_ignored)
    })
}

fn for_each_argument(command: clap::Command, change: &dyn Fn(clap::Arg) -> clap::Arg) -> clap::Command {
    let command = command.mut_args(change);
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |subcommand| for_each_argument(subcommand, change))
    })
}

/// Whether an argument is there or not, and says nothing else.
fn is_switch(arg: &clap::Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set)
        && arg.get_value_parser().type_id() == ValueParser::bool().type_id()
}

fn help(of: Option<&str>) -> Result<String, UsageError> {
    let mut command = shown_command();
    command.build();
    let Some(name) = of else { return Ok(command.render_help().to_string()) };
    match command.find_subcommand_mut(name) {
        Some(shown) => Ok(shown.render_help().to_string()),
        None => Err(UsageError::unknown_command(name, &command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<RunArgs, String> {
        let args = ["senary", "run"].iter().chain(args).map(OsString::from);
        match parse(args).map_err(|e| e.to_string())?.command {
            Command::Run(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_tree_is_sound() {
        command(|_| true).debug_assert();
        shown_command().debug_assert();
        // A command that is missing in the table would have arguments all the same, but not all notations of them.
        let names: Vec<_> = Root::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        assert_eq!(names, ARGUMENTS.map(|(name, _)| name));
    }

    #[test]
    fn flags_are_taken_in_all_notations() {
        let args = run(&[
            "s.js",
            "-u5",
            "-d=10s",
            "--iterations",
            "7",
            "-s",
            "1s:2",
            "--stage=3s:4",
            "-pl",
            "-w=false",
            "--out",
            "json=x",
            "-o",
            "csv",
            "-e",
            "A=-1",
            "--http-debug",
            "--batch",
            "-1",
            "-u",
            "6",
        ]);
        let args = args.unwrap();
        assert_eq!(args.script.name(), "s.js");
        assert_eq!((args.options.vus, args.options.iterations), (Some(6), Some(7)));
        assert_eq!(args.options.duration.unwrap().to_string(), "10s");
        assert_eq!(args.options.stage, ["1s:2", "3s:4"]);
        assert_eq!((args.options.paused, args.config.linger), (Some(true), Some(true)));
        assert_eq!(args.options.throw, Some(false));
        assert_eq!(args.config.out, ["json=x", "csv"]);
        assert_eq!(args.script.runtime.env, ["A=-1"]);
        assert_eq!(args.options.http.http_debug.as_deref(), Some("headers"));
        assert_eq!(args.options.http.batch, Some(-1));
        assert_eq!(run(&["-"]).unwrap().script.name(), "-");
        let global =
            parse(["senary", "-q", "run", "x", "-v", "--address", ":1"].map(OsString::from)).unwrap().global;
        assert_eq!((global.quiet, global.verbose), (Some(true), Some(true)));
        assert_eq!(global.address.as_deref(), Some(":1"));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_reference() {
        for (args, text) in [
            (&["s.js", "--warp", "9"][..], "unknown flag: --warp"),
            (&["s.js", "--iteration", "9"], "unknown flag: --iteration, did you mean --iterations?"),
            (&["s.js", "--vsu", "9"], "unknown flag: --vsu, did you mean --vus?"),
            (&["s.js", "--log-formta", "raw"], "unknown flag: --log-formta, did you mean --log-format?"),
            (&["s.js", "--dns-ttl", "9"], "unknown flag: --dns-ttl, did you mean --dns?"),
            (&["s.js", "---vus", "9"], "bad flag syntax: ---vus"),
            (&["s.js", "---vus=9"], "bad flag syntax: ---vus=9"),
            (&["s.js", "--=9"], "bad flag syntax: --=9"),
            (&["s.js", "-x"], "unknown shorthand flag: 'x' in -x"),
            (&["s.js", "--vus"], "flag needs an argument: --vus"),
            (&["s.js", "-u"], "flag needs an argument: 'u' in -u"),
            (&["s.js", "-pu"], "flag needs an argument: 'u' in -pu"),
            (
                &["s.js", "-u", "lots"],
                "invalid argument \"lots\" for \"-u, --vus\" flag: \"lots\" is not a whole number",
            ),
            (
                &["s.js", "--no-setup=perhaps"],
                "invalid argument \"perhaps\" for \"--no-setup\" flag: \"perhaps\" is neither true nor false",
            ),
            (
                &["s.js", "-u", "08"],
                "invalid argument \"08\" for \"-u, --vus\" flag: \"08\" is not a whole number",
            ),
            (
                &["s.js", "--workers", "many"],
                "invalid argument \"many\" for \"--workers\" flag: \"many\" is not a whole number",
            ),
            (
                &["s.js", "--workers", "0"],
                "invalid argument \"0\" for \"--workers\" flag: give a number from 1, or leave the flag out for one worker per core",
            ),
            (
                &["s.js", "--duration", "5"],
                "invalid argument \"5\" for \"-d, --duration\" flag: time: missing unit in duration \"5\"",
            ),
            (&[], "accepts 1 arg(s), received 0: the path of a script, or - to read it from standard input"),
            (
                &["a", "b"],
                "accepts 1 arg(s), received 2: the path of a script, or - to read it from standard input",
            ),
        ] {
            assert_eq!(run(args).unwrap_err(), text, "{args:?}");
        }
        for (command, text) in [
            ("fly", "unknown command \"fly\" for \"senary\""),
            ("rnu", "unknown command \"rnu\" for \"senary\", did you mean run?"),
            ("s.js", "unknown command \"s.js\" for \"senary\", did you mean senary run s.js?"),
        ] {
            assert_eq!(parse(["senary", command].map(OsString::from)).unwrap_err().to_string(), text);
            assert_eq!(parse(["senary", "help", command].map(OsString::from)).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn numbers_of_flags_may_be_written_as_in_programs() {
        for (text, number) in
            [("0x3", 3), ("1_0", 10), ("0b11", 3), ("0o17", 15), ("010", 8), ("-0x3", -3), ("0", 0)]
        {
            let args = run(&["s.js", "-u", text, "--batch", text, &format!("--rps={text}")]).unwrap();
            let http = &args.options.http;
            assert_eq!(
                (args.options.vus, http.batch, http.rps),
                (Some(number), Some(number), Some(number)),
                "{text}"
            );
        }
        assert_eq!(run(&["s.js", "--workers", "0x2"]).unwrap().config.workers, Some(2));
    }

    #[test]
    fn what_is_too_much_is_passed_over_or_refused() {
        let command = |args: &[&str]| parse(args.iter().map(OsString::from)).map(|cli| cli.command);
        assert!(matches!(command(&["senary", "version", "x"]), Ok(Command::Version(_))));
        assert!(matches!(command(&["senary", "features", "x", "--json=false"]), Ok(Command::Features(_))));
        assert!(matches!(command(&["senary", "run", "--help=false", "x"]), Ok(Command::Run(_))));
        assert!(matches!(command(&["senary", "--help=true", "run"]), Ok(Command::Help(_))));
        let refused = command(&["senary", "echo", "--address", ":1"]).unwrap_err().to_string();
        assert_eq!(refused, "--address is that of the REST API, and `senary echo` has none: use --listen :1");
    }

    #[test]
    fn help_is_text_to_print() {
        let help = |args: &[&str]| match parse(args.iter().map(OsString::from)).unwrap().command {
            Command::Help(args) => args.text,
            other => panic!("{other:?}"),
        };
        let run = help(&["senary", "run", "--help", "s.js"]);
        assert!(run.contains("-p, --paused "), "{run}");
        assert_eq!(run, help(&["senary", "help", "run"]));
        assert_eq!(help(&["senary"]), help(&["senary", "-h"]));
        let outputs = help(&["senary", "run", "-o", "help"]);
        assert!(outputs.contains("K6_PROMETHEUS_RW_SERVER_URL"), "{outputs}");
        assert_eq!(outputs, help(&["senary", "run", "--out=help", "s.js"]));
    }

    #[test]
    fn the_log_is_found_in_what_cannot_be_followed() {
        let flags = scan_log_flags(
            &["senary", "run", "--wrong", "--log-format=json", "--log-output", "none"].map(OsString::from),
        );
        assert_eq!((flags.log_format.as_deref(), flags.log_output.as_deref()), (Some("json"), Some("none")));
    }
}
