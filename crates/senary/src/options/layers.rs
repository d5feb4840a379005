//! From layers to one set of options: precedence, the shortcuts that stand for scenarios, and what users are told
//! about it.

use std::collections::BTreeMap;

use senary_execution::{Segment, SegmentSequence};
use senary_net::ConfigError;
use senary_net::resolve::HostPattern;
use senary_words::spelling::nearest;
use serde_json::{Map, Value};

use super::place::line_of;
use super::remarks::{Null, Remarks, UnknownField};
use super::scenarios::{ExecutorOption, ScenarioOption, Scenarios};
use super::types::{SystemTagSet, parse_stages};
use super::value::{ByteSize, Invalid, OptionValue, Raw, split_csv, split_list};
use super::{DnsOption, NOT_IN_JSON, Options};
use crate::cli::{OptionFlags, RunFlags};
use crate::config_file::{ConfigFile, ConfigFileError, ConfigPath};
use crate::environment::Environment;
use crate::features::{FEATURES, FREEZE_ENV, MERGE_RUN_TAGS};

/// Why there are no options to work with; exit code 104 unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A flag's value; exit code 255.
    #[error("{0}")]
    Flag(String),
    /// Something that summaries cannot say of a trend, whoever asks for it; exit code 255.
    #[error("{0}")]
    TrendStat(String),
    /// How long a resolved name holds, wherever it is set; exit code 255.
    #[error("{0}")]
    DnsTtl(Invalid),
    #[error("{0}")]
    Environment(Invalid),
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    #[error("could not initialize '{script}': parsing options from script got error{}: {reason}", place(.line))]
    Script { script: String, line: Option<usize>, reason: Invalid },
    #[error("using `{0}` and `{1}` options simultaneously is not allowed")]
    Conflict(&'static str, &'static str),
    #[error("`duration` option should be more than 0")]
    ZeroDuration,
}

impl OptionsError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Flag(_) | Self::TrendStat(_) | Self::DnsTtl(_) => 255,
            _ => 104,
        }
    }
}

fn place(line: &Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}

/// Something to log about the options, once the log is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub level: log::Level,
    pub text: String,
    pub fields: Vec<(&'static str, String)>,
}

impl Note {
    fn warning(text: impl Into<String>) -> Self {
        Self { level: log::Level::Warn, text: text.into(), fields: Vec::new() }
    }

    /// A field that means nothing where it stands, and which it may have been meant to be.
    fn unknown_field(text: &str, UnknownField { name, known, .. }: &UnknownField) -> Self {
        let note = Self::warning(text).with("error", format!("json: unknown field {name:?}"));
        let known = known.iter().copied().filter(|name| !NOT_IN_JSON.contains(name));
        match nearest(name, known) {
            Some(name) => note.with("hint", format!("did you mean {name:?}?")),
            None => note,
        }
    }

    /// A null that takes something away; `source` is where the options are written.
    fn null(source: &str, Null { path, effect }: &Null) -> Self {
        let place: Vec<&str> = [source].into_iter().chain(path.iter().map(String::as_str)).collect();
        Self::warning(format!("{} is null or undefined: {effect}", place.join(".").trim_start_matches('.')))
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((key, value.into()));
        self
    }

    pub fn log(&self) {
        let fields: Vec<_> = self.fields.iter().map(|(key, value)| (*key, value.as_str())).collect();
        log::logger().log(
            &log::Record::builder()
                .level(self.level)
                .target(module_path!())
                .args(format_args!("{}", self.text))
                .key_values(&fields.as_slice())
                .build(),
        );
    }
}

/// The layers that are known before the script is.
#[derive(Clone, Debug, Default)]
pub struct Given {
    file: Options,
    environment: Options,
    cli: Options,
    out: Vec<String>,
    linger: bool,
    collectors: Map<String, Value>,
    features: Vec<String>,
    fail_on_saturation: bool,
    vu_memory_limit: Option<ByteSize>,
    notes: Vec<Note>,
}

/// What a script says of its test.
#[derive(Clone, Copy, Debug)]
pub struct ScriptOptions<'a> {
    /// As given on the command line.
    pub name: &'a str,
    /// To find the line of an option that is wrong.
    pub text: &'a str,
    /// The export as JSON; null without any.
    pub json: &'a Value,
}

/// The options of all layers, made one.
#[derive(Clone, Debug, Default)]
pub struct Consolidated {
    /// With scenarios, whatever they were derived from.
    pub options: Options,
    /// The same as it was given, with the shortcuts and without the scenarios they stand for.
    pub as_given: Options,
    pub out: Vec<String>,
    pub linger: bool,
    /// A generator that was the bottleneck is a failure.
    pub fail_on_saturation: bool,
    /// The config file's settings of outputs, by the outputs' names.
    pub collectors: Map<String, Value>,
    pub notes: Vec<Note>,
}

impl Given {
    /// Reads the config file, the environment and the flags. `inspect` has no flags for options, `archive` none
    /// for the run.
    pub fn read(
        flags: Option<&OptionFlags>,
        run: Option<&RunFlags>,
        env: &Environment,
        path: Option<&ConfigPath>,
    ) -> Result<Self, OptionsError> {
        let cli = flags.map(OptionFlags::to_options).transpose()?.unwrap_or_default();
        let mut remarks = Remarks::default();
        let environment = Options::from_environment(env, &mut remarks).map_err(OptionsError::Environment)?;
        let file = path.map(ConfigFile::read).transpose()?.unwrap_or_default();
        let mut given = Self {
            cli,
            environment,
            out: file.out.unwrap_or_default(),
            linger: file.linger.unwrap_or_default(),
            features: file.features.unwrap_or_default(),
            fail_on_saturation: file.fail_on_saturation.unwrap_or_default(),
            vu_memory_limit: file.vu_memory_limit,
            collectors: file.collectors,
            file: file.options,
            notes: Vec::new(),
        };
        let file_name = || path.map(ConfigPath::to_string).unwrap_or_default();
        for field in &file.remarks.unknown {
            let note = Note::unknown_field("There were unknown fields in the configuration file", field);
            given.notes.push(note.with("file", file_name()));
        }
        let nulls = file.remarks.nulls.iter().map(|null| Note::null("", null).with("file", file_name()));
        given.notes.extend(nulls);
        for field in &remarks.unknown {
            let note = Note::unknown_field("There were unknown fields in an environment variable", field);
            given.notes.push(note.with("variable", field.path.first().cloned().unwrap_or_default()));
        }
        given.notes.extend(remarks.nulls.iter().map(|null| Note::null("", null)));
        let without_effect = flags.map(OptionFlags::without_effect).unwrap_or_default();
        if !without_effect.is_empty() {
            let flags = without_effect.join(", ");
            given.notes.push(Note::warning(format!(
                "these flags have no effect yet, HTTP is not supported: {flags}"
            )));
        }
        let mut switch =
            |name| super::parse_variable::<bool>(env, name, &mut remarks).map_err(OptionsError::Environment);
        if switch("K6_WEB_DASHBOARD")?.or(file.web_dashboard) == Some(true) {
            given.notes.push(Note::warning(
                "webDashboard (K6_WEB_DASHBOARD) has no effect yet, there is no web dashboard",
            ));
        }
        // Nothing is ever reported, but what is no answer is none here either.
        switch("K6_NO_USAGE_REPORT")?;
        if let Some(out) = env.get("K6_OUT") {
            given.out = out.split(',').map(|out| out.trim().to_owned()).collect();
        }
        given.linger = switch("K6_LINGER")?.unwrap_or(given.linger);
        if let Some(features) = env.get("K6_FEATURES") {
            given.features = split_list(features);
        }
        given.fail_on_saturation = switch("K6_FAIL_ON_SATURATION")?.unwrap_or(given.fail_on_saturation);
        let limit = super::parse_variable(env, "K6_VU_MEMORY_LIMIT", &mut remarks)
            .map_err(OptionsError::Environment)?;
        given.vu_memory_limit = limit.or(given.vu_memory_limit);
        if let Some(run) = run {
            if !run.out.is_empty() {
                given.out = run.out.clone();
            }
            given.linger = run.linger.unwrap_or(given.linger);
            given.fail_on_saturation = run.fail_on_saturation.unwrap_or(given.fail_on_saturation);
            given.vu_memory_limit = run.vu_memory_limit.or(given.vu_memory_limit);
            if !run.features.is_empty() {
                given.features = run.features.iter().flat_map(|list| split_list(list)).collect();
            }
        }
        Ok(given)
    }

    /// The file scripts' consoles write to. Scripts have no say in it, so it is known before they run.
    pub fn console_output(&self) -> Option<&str> {
        let [below, above] = [&self.environment.console_output, &self.cli.console_output];
        above.as_deref().or(below.as_deref()).filter(|path| !path.is_empty())
    }

    /// How much memory the script of one VU may take, if somebody says so.
    pub fn vu_memory_limit(&self) -> Option<ByteSize> {
        self.vu_memory_limit
    }

    /// Whether scripts may not write to `__ENV`.
    pub fn freezes_env(&self) -> bool {
        self.features.iter().any(|feature| feature == FREEZE_ENV.name)
    }

    /// Adds the script's layer, and turns shortcuts into scenarios.
    pub fn consolidate(self, script: &ScriptOptions<'_>) -> Result<Consolidated, OptionsError> {
        let mut notes = self.notes;
        let script = script.decode(&mut notes)?;
        let is_on = |feature: &str| self.features.iter().any(|f| f == feature);
        for feature in self.features.iter().filter(|f| FEATURES.iter().all(|known| known.name != *f)) {
            let note = Note { level: log::Level::Error, ..Note::warning("Unknown feature flag") };
            notes.push(note.with("feature", feature));
        }
        let mut options = Options::default();
        let layers =
            [("config", self.file), ("script", script), ("env", self.environment), ("cli", self.cli)];
        for (name, layer) in layers {
            lay(&mut options, layer, name, is_on(MERGE_RUN_TAGS.name), &mut notes);
        }
        for feature in FEATURES.iter().map(|f| f.name).filter(|f| is_on(f)) {
            let tag = format!("k6_feature_{}", feature.replace('-', "_"));
            options.tags.get_or_insert_default().insert(tag, "true".to_owned());
        }
        let default_stats = || ["avg", "min", "med", "max", "p(90)", "p(95)"].map(str::to_owned).to_vec();
        for stat in options.summary_trend_stats.get_or_insert_with(default_stats) {
            crate::plan::check_trend_stat(stat).map_err(OptionsError::TrendStat)?;
        }
        if let Some(dns) = &options.dns {
            dns.ttl().map_err(OptionsError::DnsTtl)?;
        }
        options.system_tags.get_or_insert_default();
        let as_given = options.clone();
        derive_scenarios(&mut options, &mut notes)?;
        log::debug!("the options of all layers: {}", Value::from(options.to_json()));
        Ok(Consolidated {
            options,
            as_given,
            out: self.out,
            linger: self.linger,
            fail_on_saturation: self.fail_on_saturation,
            collectors: self.collectors,
            notes,
        })
    }
}

/// Lays a layer over lower ones. Whoever says anything about execution says all of it; stages without a duration and
/// no tags at all say nothing.
fn lay(options: &mut Options, mut layer: Options, name: &str, merge_tags: bool, notes: &mut Vec<Note>) {
    if let Some(stages) = &mut layer.stages {
        for (n, _) in (1..).zip(stages.iter()).filter(|(_, stage)| stage.duration.is_none()) {
            let text = format!("stage {n} of the {name:?} level has no duration and is left out");
            notes.push(Note::warning(text));
        }
        stages.retain(|stage| stage.duration.is_some());
    }
    layer.tags.take_if(|tags| tags.is_empty());
    let shortcuts = layer.duration.is_some() || layer.iterations.is_some() || layer.stages.is_some();
    if shortcuts || layer.scenarios.is_some() {
        if options.scenarios.take().is_some() {
            notes.push(Note::warning(format!(
                "{name:?} level configuration overrode scenarios configuration entirely"
            )));
        }
        options.duration = None;
        options.iterations = None;
        options.stages = None;
    }
    let lower_tags = options.tags.take().filter(|_| merge_tags || layer.tags.is_none());
    options.overlay(layer);
    if let Some(mut tags) = lower_tags {
        tags.extend(options.tags.take().unwrap_or_default());
        options.tags = Some(tags);
    }
}

/// Turns the shortcuts `iterations`, `duration`, `stages` and `vus` into the scenario they stand for. Beside them no
/// scenarios are allowed, not even none; without any stages, stages are.
fn derive_scenarios(options: &mut Options, notes: &mut Vec<Note>) -> Result<(), OptionsError> {
    let has_stages = options.stages.as_ref().is_some_and(|stages| !stages.is_empty());
    let set_scenarios = options.scenarios.is_some();
    let has_scenarios = options.scenarios.as_ref().is_some_and(|scenarios| !scenarios.is_empty());
    let refuse = |is_set: bool, a, b| if is_set { Err(OptionsError::Conflict(a, b)) } else { Ok(()) };
    let vus = options.vus;
    let executor = if let Some(iterations) = options.iterations {
        refuse(has_stages, "iterations", "stages")?;
        refuse(set_scenarios, "iterations", "scenarios")?;
        let max_duration = options.duration;
        ExecutorOption::SharedIterations { vus, iterations: Some(iterations), max_duration }
    } else if let Some(duration) = options.duration {
        refuse(has_stages, "duration", "stages")?;
        refuse(set_scenarios, "duration", "scenarios")?;
        if duration.0 <= 0 {
            return Err(OptionsError::ZeroDuration);
        }
        ExecutorOption::ConstantVus { vus, duration: Some(duration) }
    } else if has_stages {
        refuse(set_scenarios, "stages", "scenarios")?;
        let stages = options.stages.clone();
        ExecutorOption::RampingVus { start_vus: vus, stages, graceful_ramp_down: None }
    } else if let Some(vus) = vus {
        if has_scenarios {
            notes.push(Note::warning(format!("`vus={vus}` overrides scenarios configuration")));
        }
        ExecutorOption::SharedIterations { vus: Some(vus), iterations: Some(vus), max_duration: None }
    } else if has_scenarios {
        return Ok(());
    } else {
        for (name, is_set) in
            [("stages", options.stages.is_some()), ("scenarios", options.scenarios.is_some())]
        {
            if is_set {
                notes.push(Note::warning(format!(
                    "`{name}` was explicitly set to an empty value, running the script with 1 iteration in 1 VU"
                )));
            }
        }
        ExecutorOption::PerVuIterations { vus: None, iterations: None, max_duration: None }
    };
    let name = senary_execution::plan::DEFAULT.to_owned();
    options.scenarios = Some(Scenarios::from([(name, ScenarioOption::of(executor))]));
    Ok(())
}

impl ScriptOptions<'_> {
    /// The script's options, with a warning for fields that are none.
    pub fn decode(&self, notes: &mut Vec<Note>) -> Result<Options, OptionsError> {
        let mut remarks = Remarks::default();
        log::debug!("the script's options: {}", self.json);
        let mut options = Options::decode(self.json, &mut remarks).map_err(|reason| {
            let path = format!("options.{}", reason.path);
            let line = line_of(self.text, path.trim_end_matches('.').split('.'));
            OptionsError::Script { script: self.name.to_owned(), line, reason: reason.within("options") }
        })?;
        for field in &remarks.unknown {
            let text = "There were unknown fields in the options exported in the script";
            let path = field.path.iter().chain([&field.name]);
            notes.push(self.with_line(Note::unknown_field(text, field), path));
        }
        notes
            .extend(remarks.nulls.iter().map(|null| self.with_line(Note::null("options", null), &null.path)));
        if options.features.take().is_some_and(|Raw(features)| !features.is_null()) {
            notes.push(Note::warning(
                "`features` has no effect in a script's options: use --features, K6_FEATURES or the config file",
            ));
        }
        Ok(options)
    }

    /// The note, with the line of the option in the script, if it can be found.
    fn with_line<'b>(&self, note: Note, path: impl IntoIterator<Item = &'b String>) -> Note {
        let keys = ["options"].into_iter().chain(path.into_iter().map(String::as_str));
        match line_of(self.text, keys) {
            Some(line) => note.with("line", format!("{}:{line}", self.name)),
            None => note,
        }
    }
}

impl OptionFlags {
    /// The layer of the command line.
    fn to_options(&self) -> Result<Options, OptionsError> {
        let Self { execution, network, results, http, .. } = self;
        let flag = |e: Invalid| OptionsError::Flag(e.to_string());
        let net = |e: ConfigError| OptionsError::Flag(e.to_string());
        fn parse<T: OptionValue>(text: &str) -> Result<Option<T>, Invalid> {
            T::parse(text, &mut Remarks::default())
        }
        let segment = execution.execution_segment.as_deref().map(parse::<Segment>);
        let sequence = execution.execution_segment_sequence.as_deref().map(parse::<SegmentSequence>);
        // A list that was given may be empty, and then wins over others.
        let list = |values: &[String]| (!values.is_empty()).then(|| split_csv(values));
        let stages = list(&self.stage).map(|texts| parse_stages(&texts)).transpose().map_err(flag)?;
        if let Some(at) = stages.iter().flatten().position(|stage| stage.duration.is_none()) {
            return Err(OptionsError::Flag(format!("stage {at} doesn't have a specified duration")));
        }
        let blacklist_ips = list(&network.blacklist_ip);
        for range in blacklist_ips.iter().flatten() {
            senary_net::resolve::Cidr::parse(range).map_err(|_| {
                OptionsError::Flag(format!(
                    "error parsing blacklist-ip '{range}': invalid CIDR address: {range}"
                ))
            })?;
        }
        let block_hostnames = list(&network.block_hostnames);
        for pattern in block_hostnames.iter().flatten() {
            if HostPattern::parse(pattern).is_none() {
                return Err(net(ConfigError::HostnamePattern(pattern.clone())));
            }
        }
        let summary_trend_stats = list(&results.summary_trend_stats);
        for stat in summary_trend_stats.iter().flatten() {
            crate::plan::check_trend_stat(stat).map_err(OptionsError::Flag)?;
        }
        if let Some(unit) = &results.summary_time_unit {
            crate::plan::check_time_unit(unit).map_err(OptionsError::Flag)?;
        }
        let local_ips = network.local_ips.clone().filter(|ips| !ips.is_empty());
        if let Some(ips) = &local_ips {
            senary_net::LocalIps::parse(ips).map_err(net)?;
        }
        let tags = self.tag.iter().map(|tag| parse_tag(tag)).collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(Options {
            vus: self.vus,
            duration: self.duration,
            iterations: self.iterations,
            stages,
            execution_segment: segment.transpose().map_err(flag)?.flatten(),
            execution_segment_sequence: sequence.transpose().map_err(flag)?.flatten(),
            paused: self.paused,
            no_setup: self.no_setup,
            no_teardown: self.no_teardown,
            insecure_skip_tls_verify: network.insecure_skip_tls_verify,
            min_iteration_duration: execution.min_iteration_duration,
            throw: self.throw,
            strict: self.strict,
            blacklist_ips,
            block_hostnames,
            summary_trend_stats,
            summary_time_unit: results.summary_time_unit.clone(),
            system_tags: list(&results.system_tags).as_deref().map(SystemTagSet::of),
            tags: (!tags.is_empty()).then_some(tags),
            console_output: results.console_output.clone(),
            local_ips,
            dns: network.dns.as_deref().map(DnsOption::parse_list).transpose().map_err(flag)?,
            max_redirects: http.max_redirects,
            batch: http.batch,
            batch_per_host: http.batch_per_host,
            rps: http.rps,
            user_agent: http.user_agent.clone(),
            http_debug: http.http_debug.clone(),
            no_connection_reuse: http.no_connection_reuse,
            no_vu_connection_reuse: http.no_vu_connection_reuse,
            discard_response_bodies: http.discard_response_bodies,
            ..Options::default()
        })
    }
}

/// `name=value`, both of them there.
fn parse_tag(text: &str) -> Result<(String, String), OptionsError> {
    let missing = match text.split_once('=').unwrap_or((text, "")) {
        ("", "") if text.is_empty() => "string",
        ("", _) => "name",
        (_, "") => "value",
        (name, value) => return Ok((name.to_owned(), value.to_owned())),
    };
    Err(OptionsError::Flag(format!(
        "error parsing tag '{text}': invalid tag, empty {missing}; tags are written name=value"
    )))
}
