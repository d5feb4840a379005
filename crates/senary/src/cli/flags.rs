//! The flags of all commands, as typed. Absent flags are `None`, so that lower layers can speak.

use clap::Args;

use crate::options::{ByteSize, Nanos, parse_bool, parse_go_duration, parse_int_literal, parse_size};

const HTTP: &str = "HTTP options";
const GLOBAL: &str = "Global options";
pub(super) const RUN: &str = "Run options";

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = GLOBAL)]
pub struct GlobalFlags {
    /// Serve the REST API on this address while a test runs
    #[arg(short, long, global = true, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Read options from this JSON file [default: k6/config.json in the configuration folder]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<String>,
    /// Where the log goes: stderr, stdout, none, file=PATH[,level=LEVEL] or loki[=URL,...] [default: stderr]
    #[arg(long, global = true, value_name = "OUTPUT")]
    pub log_output: Option<String>,
    /// How log lines look: text, json or raw [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Write every line of the log; otherwise, after ten equal lines, further ones are only counted
    #[arg(long, global = true, value_parser = parse_bool)]
    pub log_all: Option<bool>,
    /// Print without colours
    #[arg(long, global = true, value_parser = parse_bool)]
    pub no_color: Option<bool>,
    /// Print neither the description of the test nor its progress
    #[arg(short, long, global = true, value_parser = parse_bool)]
    pub quiet: Option<bool>,
    /// Log debug messages too
    #[arg(short, long, global = true, value_parser = parse_bool)]
    pub verbose: Option<bool>,
    /// Accepted, but without effect: there is no profiler to serve
    #[arg(long, global = true, value_parser = parse_bool)]
    pub profiling_enabled: Option<bool>,
    /// Take secrets from a source: file=PATH, mock=KEY=VALUE,... or url=URL (repeatable)
    #[arg(long, global = true, value_name = "SOURCE")]
    pub secret_source: Vec<String>,
    /// Print help
    #[arg(short, long, global = true, value_parser = parse_bool)]
    pub help: Option<bool>,
}

/// Flags that set an option of the test.
#[derive(Clone, Debug, Default, Args)]
pub struct OptionFlags {
    /// Number of VUs [default: 1]
    #[arg(short = 'u', long, value_name = "N", value_parser = parse_int_literal)]
    pub vus: Option<i64>,
    /// How long to run, e.g. 1m30s
    #[arg(short, long, value_name = "DURATION", value_parser = parse_go_duration)]
    pub duration: Option<Nanos>,
    /// Number of iterations, shared by all VUs
    #[arg(short, long, value_name = "N", value_parser = parse_int_literal)]
    pub iterations: Option<i64>,
    /// Ramp to a number of VUs, as DURATION:TARGET (repeatable)
    #[arg(short, long, value_name = "STAGE")]
    pub stage: Vec<String>,
    /// Wait until a client of the REST API starts the test
    #[arg(short, long, value_parser = parse_bool)]
    pub paused: Option<bool>,
    /// Throw exceptions where there would be warnings
    #[arg(short = 'w', long, value_parser = parse_bool)]
    pub throw: Option<bool>,
    /// Exit with 121 if the run proves nothing: thresholds had no data, every iteration failed, or nothing worked at the end
    #[arg(long, value_parser = parse_bool)]
    pub strict: Option<bool>,
    /// Don't run setup()
    #[arg(long, value_parser = parse_bool)]
    pub no_setup: Option<bool>,
    /// Don't run teardown()
    #[arg(long, value_parser = parse_bool)]
    pub no_teardown: Option<bool>,
    /// Put a tag on every sample, as NAME=VALUE (repeatable)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    #[command(flatten)]
    pub execution: ExecutionFlags,
    #[command(flatten)]
    pub network: NetworkFlags,
    #[command(flatten)]
    pub results: ResultFlags,
    #[command(flatten)]
    pub http: HttpFlags,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Execution options")]
pub struct ExecutionFlags {
    /// Let each iteration take at least this long
    #[arg(long, value_name = "DURATION", value_parser = parse_go_duration)]
    pub min_iteration_duration: Option<Nanos>,
    /// The share of the test to run, e.g. 1/4:1/2
    #[arg(long, value_name = "FROM:TO")]
    pub execution_segment: Option<String>,
    /// All points that divide the test, e.g. 0,1/4,1/2,1
    #[arg(long, value_name = "POINTS")]
    pub execution_segment_sequence: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Network options")]
pub struct NetworkFlags {
    /// Don't verify TLS certificates
    #[arg(long, value_parser = parse_bool)]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Refuse to connect to addresses in this range (repeatable)
    #[arg(long, value_name = "CIDR")]
    pub blacklist_ip: Vec<String>,
    /// Refuse to connect to this name; * at its start stands for anything (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub block_hostnames: Vec<String>,
    /// Connect from these addresses in turn: addresses, ranges and CIDRs, separated by commas
    #[arg(long, value_name = "ADDRESSES")]
    pub local_ips: Option<String>,
    /// How names are resolved [default: ttl=5m,select=random,policy=preferIPv4]
    #[arg(long, value_name = "SETTINGS")]
    pub dns: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Result options")]
pub struct ResultFlags {
    /// The statistics of trends in the summary [default: avg,min,med,max,p(90),p(95)]
    #[arg(long, value_name = "STATS")]
    pub summary_trend_stats: Vec<String>,
    /// The unit of all durations in the summary: s, ms or us [default: whatever fits]
    #[arg(long, value_name = "UNIT")]
    pub summary_time_unit: Option<String>,
    /// Which built-in tags samples carry, separated by commas
    #[arg(long, value_name = "TAGS")]
    pub system_tags: Vec<String>,
    /// Write what the script logs with console to this file
    #[arg(long, value_name = "FILE")]
    pub console_output: Option<String>,
}

/// Flags about HTTP requests.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = HTTP)]
pub struct HttpFlags {
    /// Follow at most this many redirects
    #[arg(long, value_name = "N", value_parser = parse_int_literal)]
    pub max_redirects: Option<i64>,
    /// Send at most this many requests of a batch at once
    #[arg(long, value_name = "N", value_parser = parse_int_literal)]
    pub batch: Option<i64>,
    /// Send at most this many requests of a batch to one host at once
    #[arg(long, value_name = "N", value_parser = parse_int_literal)]
    pub batch_per_host: Option<i64>,
    /// Send at most this many requests per second
    #[arg(long, value_name = "N", value_parser = parse_int_literal)]
    pub rps: Option<i64>,
    /// The User-Agent header
    #[arg(long, value_name = "TEXT")]
    pub user_agent: Option<String>,
    /// Log requests and responses
    #[arg(long, value_name = "full", num_args = 0..=1, require_equals = true, default_missing_value = "headers")]
    pub http_debug: Option<String>,
    /// Don't keep connections open
    #[arg(long, value_parser = parse_bool)]
    pub no_connection_reuse: Option<bool>,
    /// Don't keep connections from one iteration to the next
    #[arg(long, value_parser = parse_bool)]
    pub no_vu_connection_reuse: Option<bool>,
    /// Don't keep the bodies of responses
    #[arg(long, value_parser = parse_bool)]
    pub discard_response_bodies: Option<bool>,
}

/// Flags that decide how a script is loaded and what becomes of its results.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Runtime options")]
pub struct RuntimeFlags {
    /// Put the environment's variables into __ENV [default: true for run, false elsewhere]
    #[arg(long, value_parser = parse_bool)]
    pub include_system_env_vars: Option<bool>,
    /// How to read scripts: extended or base [default: extended]
    #[arg(long, value_name = "MODE")]
    pub compatibility_mode: Option<String>,
    /// The type of the file: js or archive [default: detected]
    #[arg(short, long, value_name = "TYPE")]
    pub r#type: Option<String>,
    /// Set a variable of __ENV, as NAME=VALUE (repeatable)
    #[arg(short, long, value_name = "VAR")]
    pub env: Vec<String>,
    /// Don't evaluate thresholds
    #[arg(long, value_parser = parse_bool)]
    pub no_thresholds: Option<bool>,
    /// How much the summary says: compact, full or disabled [default: compact]
    #[arg(long, value_name = "MODE")]
    pub summary_mode: Option<String>,
    /// Write the summary to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub summary_export: Option<String>,
    /// Use the newer form of the summary's JSON, for the file and for handleSummary()
    #[arg(long, value_parser = parse_bool)]
    pub new_machine_readable_summary: Option<bool>,
    /// Accepted, but without effect yet: traces are not collected
    #[arg(long, value_name = "OUTPUT")]
    pub traces_output: Option<String>,
}

/// The script of a command, and how it is loaded.
#[derive(Clone, Debug, Default, Args)]
pub struct ScriptArgs {
    /// The script, an archive, or - for standard input
    // Not under the heading of the flags before it.
    #[arg(value_name = "SCRIPT", help_heading = None)]
    pub script: Vec<String>,
    /// The script's text, where a command has written it.
    #[arg(skip)]
    pub generated: Option<String>,
    #[command(flatten)]
    pub runtime: RuntimeFlags,
}

impl ScriptArgs {
    /// The script's name, as given. That there is exactly one was checked with the command line.
    pub fn name(&self) -> &str {
        self.script.first().map(String::as_str).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub options: OptionFlags,
    #[command(flatten)]
    pub script: ScriptArgs,
    #[command(flatten)]
    pub config: RunFlags,
}

/// Flags of `run` alone.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = RUN)]
pub struct RunFlags {
    /// Send samples to an output, as TYPE[=ARGUMENT], e.g. json=samples.json.gz (repeatable); `help` lists all outputs
    #[arg(short, long, value_name = "OUTPUT")]
    pub out: Vec<String>,
    /// Show the run in a browser; a line at the start says where
    #[arg(long, value_parser = parse_bool)]
    pub dashboard: Option<bool>,
    /// Write a report to this file at the end: one page of HTML with everything in it
    #[arg(long, value_name = "FILE")]
    pub report: Option<String>,
    /// Keep the REST API running after the test, until Ctrl+C
    #[arg(short, long, value_parser = parse_bool)]
    pub linger: Option<bool>,
    /// Accepted, but without effect: no usage is ever reported
    #[arg(long, value_parser = parse_bool)]
    pub no_usage_report: Option<bool>,
    /// Turn on experimental features: freeze-env, merge-run-tags (separated by commas, repeatable)
    #[arg(long, value_name = "FEATURES")]
    pub features: Vec<String>,
    /// Start an echo server for the test; scripts find it in __ENV.TCP_HOST and __ENV.TCP_PORT
    #[arg(long, value_parser = parse_bool)]
    pub with_echo: Option<bool>,
    /// Number of threads that run VUs [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    pub workers: Option<usize>,
    /// Exit with 120 if the generator itself was the bottleneck
    #[arg(long, value_parser = parse_bool)]
    pub fail_on_saturation: Option<bool>,
    /// How much memory the script of one VU may take, e.g. 256MB [default: 1GB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub vu_memory_limit: Option<ByteSize>,
    /// Which of the instances of --instance-count this one is, counted from 0
    #[arg(long, value_name = "I", value_parser = parse_int_literal)]
    pub instance_index: Option<i64>,
    /// Split the test into this many equal parts and run one; other instances run the others
    #[arg(long, value_name = "N", value_parser = parse_int_literal)]
    pub instance_count: Option<i64>,
    /// Run setup() and teardown() in the first instance alone; it leaves its data in this file, on storage that all share
    #[arg(long, value_name = "FILE")]
    pub setup_data: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct InspectArgs {
    /// Judge everything that a run would judge, above all thresholds: whether their metrics are there
    #[arg(long, value_parser = parse_bool)]
    pub strict: Option<bool>,
    /// Add how long the test may take and how many VUs it may need
    #[arg(long, value_parser = parse_bool)]
    pub execution_requirements: Option<bool>,
    #[command(flatten)]
    pub script: ScriptArgs,
}

#[derive(Clone, Debug, Default, Args)]
pub struct DepsArgs {
    /// Print the list as JSON
    #[arg(long, value_parser = parse_bool)]
    pub json: Option<bool>,
    #[command(flatten)]
    pub script: ScriptArgs,
}

#[derive(Clone, Debug, Default, Args)]
pub struct ArchiveArgs {
    #[command(flatten)]
    pub options: OptionFlags,
    #[command(flatten)]
    pub script: ScriptArgs,
    /// Where the archive goes; - is standard output [default: archive.tar]
    #[arg(short = 'O', long, value_name = "FILE", help_heading = "Archive options")]
    pub archive_out: Option<String>,
    /// Don't keep variables of __ENV in the archive
    #[arg(long, value_parser = parse_bool, help_heading = "Archive options")]
    pub exclude_env_vars: Option<bool>,
    /// Accepted, because operators give the same arguments to `archive` and to `run`; an archive does not say how it runs.
    #[command(flatten)]
    pub ignored: RunFlags,
}

#[derive(Clone, Debug, Default, Args)]
pub struct MergeArgs {
    /// The states, or folders with states (files that end in .state)
    #[arg(value_name = "STATE", help_heading = None)]
    pub file: Vec<String>,
    #[command(flatten)]
    pub whole: WholeArgs,
}

#[derive(Clone, Debug, Args)]
pub struct CollectArgs {
    /// The REST APIs of the instances, HOST:PORT each; the port is 6565 if it is left out
    #[arg(value_name = "ADDRESS", help_heading = None)]
    pub address: Vec<String>,
    /// Start the test: instances wait for it (--paused); setup() and teardown() run in the first one alone (--no-setup, --no-teardown)
    #[arg(long, value_parser = parse_bool)]
    pub start: Option<bool>,
    /// End the instances that linger once their summary is there; with Ctrl+C, end those that run, too
    #[arg(long, value_parser = parse_bool)]
    pub stop: Option<bool>,
    /// Show all instances in one dashboard while they run; a line at the start says where
    #[arg(long, value_parser = parse_bool)]
    pub dashboard: Option<bool>,
    /// How long an instance is asked again that does not answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_go_duration)]
    pub retry_for: Nanos,
    #[command(flatten)]
    pub whole: WholeArgs,
}

/// What becomes of the states of all instances.
#[derive(Clone, Debug, Default, Args)]
pub struct WholeArgs {
    /// Merge states that are not a whole test, too: the summary says what is missing
    #[arg(long, value_parser = parse_bool)]
    pub partial: Option<bool>,
    /// Take handleSummary() from this script or archive [default: the test's own, which is in the states]
    #[arg(long, value_name = "SCRIPT")]
    pub script: Option<String>,
    /// Write the results to an output that needs no samples: junit=FILE (repeatable)
    #[arg(short, long, value_name = "OUTPUT")]
    pub out: Vec<String>,
    /// Write a report of the whole test to this file: one page of HTML with everything in it
    #[arg(long, value_name = "FILE")]
    pub report: Option<String>,
    /// Exit with 121 if the test proves nothing: thresholds had no data, every iteration failed, or nothing worked at the end
    #[arg(long, value_parser = parse_bool)]
    pub strict: Option<bool>,
    /// Exit with 120 if a generator was the bottleneck
    #[arg(long, value_parser = parse_bool)]
    pub fail_on_saturation: Option<bool>,
    /// What the summary says of trends [default: as the test has it]
    #[arg(long, value_name = "STATS")]
    pub summary_trend_stats: Vec<String>,
    /// The unit of all durations in the summary: s, ms or us [default: as the test has it]
    #[arg(long, value_name = "UNIT")]
    pub summary_time_unit: Option<String>,
    #[command(flatten)]
    pub runtime: RuntimeFlags,
}

#[derive(Clone, Debug, Default, Args)]
pub struct NewArgs {
    /// The file to write [default: script.js]
    #[arg(value_name = "FILE")]
    pub file: Vec<String>,
    /// Overwrite the file if there is one
    #[arg(short, long, value_parser = parse_bool)]
    pub force: Option<bool>,
    /// minimal, protocol, or the path of a template [default: minimal]
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// Write the types of the modules for your editor, too; in an empty folder that is done anyway
    #[arg(long, value_parser = parse_bool)]
    pub types: Option<bool>,
    /// The project of the cloud service the script is for
    #[arg(long, value_name = "ID")]
    pub project_id: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct CompletionArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL")]
    pub shell: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct EchoArgs {
    /// The address to listen on; port 0 takes any that is free
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Speak TLS under a certificate made on the spot, which is printed
    #[arg(long, value_parser = parse_bool)]
    pub tls: Option<bool>,
}

/// More workers than this on each core only get in each other's way.
const WORKERS_PER_CORE: usize = 16;

/// At least one, and not many more than there are cores.
fn parse_workers(text: &str) -> Result<usize, String> {
    let most = WORKERS_PER_CORE * std::thread::available_parallelism().map_or(1, usize::from);
    match parse_int_literal(text)?.try_into() {
        Ok(workers) if (1..=most).contains(&workers) => Ok(workers),
        Ok(1..) => Err(format!(
            "a worker is a thread that keeps a core busy: give at most {most} here, or leave the flag out for one worker per core"
        )),
        _ => Err("give a number from 1, or leave the flag out for one worker per core".to_owned()),
    }
}
