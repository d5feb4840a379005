//! What is wrong with a command line, in the reference's words.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use senary_words::spelling::nearest;

use super::PROGRAM;

/// Exit code 255, and one line of log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("unknown flag: {flag}{}", suggestion(.similar))]
    UnknownFlag { flag: String, similar: Option<String> },
    #[error("unknown shorthand flag: {letter:?} in {flag}")]
    UnknownShorthand { letter: char, flag: String },
    #[error("bad flag syntax: {0}")]
    BadSyntax(String),
    #[error("unknown command {command:?} for {PROGRAM:?}{}", suggestion(.similar))]
    UnknownCommand { command: String, similar: Option<String> },
    #[error("unexpected argument {argument:?}: this command takes flags only{}", suggestion(.similar))]
    UnexpectedArgument { argument: String, similar: Option<String> },
    #[error("flag needs an argument: {0}")]
    MissingValue(String),
    #[error("flag needs an argument: {letter:?} in {flag}")]
    MissingShortValue { letter: char, flag: String },
    #[error("invalid argument {value:?} for {flag:?} flag: {reason}")]
    InvalidValue { flag: String, value: String, reason: String },
    #[error("accepts 1 arg(s), received {received}: {hint}")]
    ArgumentCount { received: usize, hint: String },
    #[error("accepts at most 1 arg(s), received {received}")]
    TooManyArguments { received: usize },
    /// The flag of another address.
    #[error("--address is that of the REST API, and `{PROGRAM} echo` has none: use --listen {address}")]
    EchoAddress { address: String },
    #[error("{0}")]
    Other(String),
}

fn suggestion(similar: &Option<String>) -> String {
    similar.as_ref().map_or_else(String::new, |similar| format!(", did you mean {similar}?"))
}

impl UsageError {
    pub(super) fn exactly_one(received: usize, hint: &str) -> Self {
        Self::ArgumentCount { received, hint: hint.to_owned() }
    }

    pub(super) fn at_most_one(received: usize) -> Self {
        Self::TooManyArguments { received }
    }

    pub(super) fn unknown_command(command: &str, known: &clap::Command) -> Self {
        let is_script = [".js", ".ts", ".tar"].iter().any(|end| command.ends_with(end));
        let similar = match nearest(command, known.get_subcommands().map(clap::Command::get_name)) {
            _ if is_script => Some(format!("{PROGRAM} run {command}")),
            similar => similar.map(str::to_owned),
        };
        Self::UnknownCommand { command: command.to_owned(), similar }
    }

    /// The same, of a flag as it stands in `args`: at their end it may be short, `-u`, and it may be no flag at all,
    /// `---vus=2`.
    pub(super) fn typed(self, args: &[OsString]) -> Self {
        if let Self::UnknownFlag { flag, .. } = &self
            && (flag == "--" || flag.starts_with("---"))
        {
            let is_meant = |arg: &&str| arg.len() > 2 && arg.starts_with(flag.as_str());
            let arg = args.iter().filter_map(|arg| arg.to_str()).find(is_meant);
            return Self::BadSyntax(arg.unwrap_or(flag).to_owned());
        }
        let last = args.last().and_then(|arg| arg.to_str()).unwrap_or_default();
        let short = last.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
        match (self, short.and_then(|letters| letters.chars().next_back())) {
            (Self::MissingValue(_), Some(letter)) => {
                Self::MissingShortValue { letter, flag: last.to_owned() }
            }
            (error, _) => error,
        }
    }

    pub(super) fn from_clap(error: &clap::Error, command: &clap::Command) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => texts.first().cloned(),
            _ => None,
        };
        let argument = text(ContextKind::InvalidArg).unwrap_or_default();
        // `--vus <N>`, as the parser calls it.
        let flag = argument.split([' ', '=', '[']).next().unwrap_or_default().to_owned();
        match error.kind() {
            ErrorKind::UnknownArgument if !flag.starts_with('-') => {
                let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
                let is_echo = usage.contains(&format!("{PROGRAM} echo"));
                let similar = is_echo.then(|| format!("--listen {argument}"));
                Self::UnexpectedArgument { argument, similar }
            }
            ErrorKind::UnknownArgument => match flag.strip_prefix('-').filter(|f| !f.starts_with('-')) {
                Some(short) => {
                    Self::UnknownShorthand { letter: short.chars().next().unwrap_or('-'), flag: flag.clone() }
                }
                None => {
                    let similar =
                        text(ContextKind::SuggestedArg).or_else(|| nearest_flag(&flag, error, command));
                    Self::UnknownFlag { flag, similar }
                }
            },
            ErrorKind::InvalidSubcommand => {
                Self::unknown_command(&text(ContextKind::InvalidSubcommand).unwrap_or_default(), command)
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                let value = text(ContextKind::InvalidValue).unwrap_or_default();
                let reason = std::error::Error::source(error).map(ToString::to_string);
                match reason {
                    None if value.is_empty() => Self::MissingValue(flag),
                    reason => Self::InvalidValue {
                        flag: with_short(&flag, command),
                        value,
                        reason: reason.unwrap_or_else(|| "it is none of the possible values".to_owned()),
                    },
                }
            }
            ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
                Self::MissingValue(flag)
            }
            _ => {
                let rendered = error.to_string();
                let first = rendered.lines().next().unwrap_or_default();
                Self::Other(first.strip_prefix("error: ").unwrap_or(first).to_owned())
            }
        }
    }
}

/// The flag that may have been meant, of those of the command in question.
fn nearest_flag(flag: &str, error: &clap::Error, command: &clap::Command) -> Option<String> {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let is_meant = |name: &str| usage.contains(&format!("{PROGRAM} {name}"));
    let of_command = command.get_subcommands().filter(|subcommand| is_meant(subcommand.get_name()));
    let flags = std::iter::once(command).chain(of_command).flat_map(clap::Command::get_arguments);
    let names = flags.filter_map(clap::Arg::get_long);
    nearest(flag.trim_start_matches('-'), names).map(|name| format!("--{name}"))
}

/// `-u, --vus` for `--vus`.
fn with_short(flag: &str, command: &clap::Command) -> String {
    let long = flag.trim_start_matches('-');
    let in_all = std::iter::once(command).chain(command.get_subcommands());
    let found = in_all.flat_map(clap::Command::get_arguments).find(|arg| arg.get_long() == Some(long));
    match found.and_then(clap::Arg::get_short) {
        Some(short) => format!("-{short}, {flag}"),
        None => flag.to_owned(),
    }
}
