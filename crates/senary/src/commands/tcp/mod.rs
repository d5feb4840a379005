//! `senary tcp`: a load test of a TCP service in one line. It writes a script and runs it, so that everything else is as
//! in `senary run`, and `--print-script` shows what to go on from.

mod escapes;
mod script;

use std::io::{self, Write};

use senary_wire::framing::{DescriptionError, EncodeError};

use self::escapes::MessageError;
use crate::cli::TcpArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::run;
use crate::settings::GlobalSettings;

/// What is wrong with the flags.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    #[error("{0:?} is not an address: give HOST:PORT, [IPV6]:PORT or the path of a Unix socket")]
    Target(String),
    #[error("there is nothing to send: give --message 'TEXT' or --message-file FILE")]
    NoMessage,
    #[error("the message {text:?} cannot be read: {error}")]
    Message { text: String, error: MessageError },
    #[error("--framing takes a name such as lines, or a description in JSON, which this is not: {0}")]
    Framing(String),
    #[error("--framing: {error}{}", meant.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    FramingName { error: DescriptionError, meant: Option<&'static str> },
    #[error("--framing: {0}")]
    FramingDescription(String),
    #[error("the message {what} cannot be sent with --framing {framing}: {error}")]
    DoesNotFit { what: String, framing: String, error: EncodeError },
    #[error("{0:?} is not a threshold: give METRIC: EXPRESSION, e.g. 'tcp_req_duration: p(99)<5'")]
    Threshold(String),
    #[error("--churn with --rate takes a --duration, not a --count")]
    CountedChurn,
    #[error("--churn takes a --duration of 1s or more")]
    ShortChurn,
    #[error("--churn makes one request per connection: leave --window out, or --churn")]
    WindowedChurn,
    #[error("the options of TLS need --tls, too")]
    TlsOff,
    #[error("--tls-cert and --tls-key belong together: give the certificate, and its key")]
    HalfCertificate,
}

pub fn run(args: &TcpArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    // What other flags say of the test is part of the script, too: printed, it has to do the same.
    let options = args.to_run(String::new()).layer()?.options.to_given_json();
    let script = script::script(args, options).map_err(|error| CommandError::Command(error.to_string()))?;
    if args.print_script == Some(true) {
        let written = io::stdout().write_all(script.as_bytes());
        return written.map_err(CommandError::system("writing to standard output"));
    }
    run::run(&args.to_run(script), global, env)
}
