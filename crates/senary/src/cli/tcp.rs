//! The flags of `senary tcp`.

use clap::Args;

use super::flags::{NetworkFlags, OptionFlags, ResultFlags, RunArgs, RunFlags, RuntimeFlags, ScriptArgs};
use crate::options::{Nanos, parse_bool, parse_go_duration};

/// What the script of `senary tcp` is called in messages.
const SCRIPT: &str = "tcp.js";

const TLS: &str = "TLS options";

#[derive(Clone, Debug, Default, Args)]
pub struct TcpArgs {
    /// The server, or the path of its Unix socket
    #[arg(value_name = "HOST:PORT")]
    pub target: Vec<String>,
    /// A message to send, with the escapes of C, e.g. 'caf\u00e9\t1' (repeatable; they are sent in turn); what ends it is the
    /// framing's to add
    #[arg(short, long, value_name = "TEXT")]
    pub message: Vec<String>,
    /// Send the content of this file (repeatable)
    #[arg(long, value_name = "FILE")]
    pub message_file: Vec<String>,
    /// Read --message as hexadecimal digits
    #[arg(long, value_parser = parse_bool)]
    pub hex: Option<bool>,
    /// Where a message ends: a name such as lines, u32 or resp, or a description in JSON [default: lines]
    #[arg(short, long, value_name = "FRAMING")]
    pub framing: Option<String>,
    /// How many connections to hold open
    #[arg(short = 'C', long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub connections: u64,
    /// Open at most this many connections per second
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub connect_rate: Option<f64>,
    /// Send this many requests per second over all connections, however slow the replies are
    #[arg(short, long, value_name = "N", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// How many requests of a connection may be under way at once [default: 1 without --rate, no limit with it]
    #[arg(short, long, value_name = "N", value_parser = parse_count)]
    pub window: Option<u64>,
    /// How long to send [default: 10s without --count]
    #[arg(short, long, value_name = "DURATION", value_parser = parse_time)]
    pub duration: Option<Nanos>,
    /// How many requests to send over all connections
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_count)]
    pub count: Option<u64>,
    /// Count replies without this text as failed; the escapes are those of --message
    #[arg(long, value_name = "TEXT")]
    pub expect: Option<String>,
    /// Open a connection for each request
    #[arg(long, value_parser = parse_bool)]
    pub churn: Option<bool>,
    /// How long to wait for a connection and for each reply
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_time)]
    pub timeout: Nanos,
    /// Fail the run with exit code 99 unless this holds, e.g. 'tcp_req_duration: p(99)<5' (repeatable)
    #[arg(long, value_name = "THRESHOLD")]
    pub threshold: Vec<String>,
    /// Put a tag on every sample, as NAME=VALUE (repeatable)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Print the script that does the same, instead of running it
    #[arg(long, value_parser = parse_bool)]
    pub print_script: Option<bool>,
    #[command(flatten)]
    pub tls: TlsFlags,
    #[command(flatten)]
    pub network: NetworkFlags,
    #[command(flatten)]
    pub results: ResultFlags,
    #[command(flatten)]
    pub summary: SummaryFlags,
    #[command(flatten)]
    pub config: RunFlags,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = TLS)]
pub struct TlsFlags {
    /// Encrypt the connections
    #[arg(long, value_parser = parse_bool)]
    pub tls: Option<bool>,
    /// The server's name, for SNI and the certificate [default: the host]
    #[arg(long, value_name = "NAME")]
    pub tls_servername: Option<String>,
    /// Trust the certificates of this PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<String>,
    /// Show the server this certificate, a PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// The key of --tls-cert, a PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Protocols to offer (ALPN), separated by commas
    #[arg(long, value_name = "NAMES")]
    pub tls_alpn: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Summary options")]
pub struct SummaryFlags {
    /// Don't evaluate thresholds
    #[arg(long, value_parser = parse_bool)]
    pub no_thresholds: Option<bool>,
    /// How much the summary says: compact, full or disabled [default: compact]
    #[arg(long, value_name = "MODE")]
    pub summary_mode: Option<String>,
    /// Write the summary to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub summary_export: Option<String>,
}

impl TcpArgs {
    /// What `senary run` would be given for the script.
    pub fn to_run(&self, script: String) -> RunArgs {
        RunArgs {
            options: OptionFlags {
                tag: self.tag.clone(),
                network: self.network.clone(),
                results: self.results.clone(),
                ..OptionFlags::default()
            },
            script: ScriptArgs {
                script: vec![SCRIPT.to_owned()],
                generated: Some(script),
                runtime: RuntimeFlags {
                    no_thresholds: self.summary.no_thresholds,
                    summary_mode: self.summary.summary_mode.clone(),
                    summary_export: self.summary.summary_export.clone(),
                    ..RuntimeFlags::default()
                },
            },
            config: self.config.clone(),
        }
    }
}

fn parse_count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("give a whole number from 1".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<Nanos, String> {
    match parse_go_duration(text)? {
        time if time.0 > 0 => Ok(time),
        _ => Err("give a time above 0, such as 10s or 500ms".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("give a number per second above 0".to_owned()),
    }
}
