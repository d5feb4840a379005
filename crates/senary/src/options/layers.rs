//! From layers to one set of options: precedence, the shortcuts that stand for scenarios, and what users are told
//! about it.

use senary_output::{TrendStat, TrendStatError};
use senary_words::spelling::nearest;
use serde_json::{Map, Value};

use super::config_file::{ConfigFile, ConfigFileError, ConfigPath};
use super::instance::{Instance, InstanceError};
use super::place::line_of;
use super::remarks::{Null, Remarks, UnknownField};
use super::run_options::RunOptions;
use super::scenarios::{ExecutorOption, ScenarioOption, Scenarios};
use super::value::{Invalid, Raw};
use super::{NOT_IN_JSON, Options};
use crate::environment::Environment;
use crate::features::{FEATURES, FREEZE_ENV, MERGE_RUN_TAGS};

/// Why there are no options to work with; exit code 104 unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A flag's value; exit code 255.
    #[error("{0}")]
    Flag(String),
    /// A statistic of trends that does not exist, in any layer; exit code 255.
    #[error(transparent)]
    TrendStat(#[from] TrendStatError),
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
    #[error(transparent)]
    Instance(#[from] InstanceError),
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

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    pub options: Options,
    pub run: RunOptions,
}

/// The layers that are known before the script is.
#[derive(Clone, Debug, Default)]
pub struct OptionLayers {
    file: Options,
    environment: Options,
    command_line: Options,
    /// From all layers except the script, which cannot set it.
    run: RunOptions,
    collectors: Map<String, Value>,
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
    /// The statistics of `summaryTrendStats`.
    pub trend_stats: Vec<TrendStat>,
    pub run: RunOptions,
    /// Which instance of the test this one is, if there are several.
    pub instance: Option<Instance>,
    /// The config file's settings of outputs, by the outputs' names.
    pub collectors: Map<String, Value>,
    pub notes: Vec<Note>,
}

impl OptionLayers {
    /// Reads the config file and the environment, below what the command line says.
    pub fn read(
        command_line: CommandLine,
        env: &Environment,
        path: Option<&ConfigPath>,
    ) -> Result<Self, OptionsError> {
        let mut remarks = Remarks::default();
        let environment = Options::from_environment(env, &mut remarks).map_err(OptionsError::Environment)?;
        let file = path.map(ConfigFile::read).transpose()?.unwrap_or_default();
        let mut run = file.run;
        run.overlay(RunOptions::from_environment(env, &mut remarks).map_err(OptionsError::Environment)?);
        let mut notes = notes_on_file(&file.remarks, path);
        notes.extend(notes_on_environment(&remarks));
        run.overlay(command_line.run);
        Ok(Self {
            file: file.options,
            environment,
            command_line: command_line.options,
            run,
            collectors: file.collectors,
            notes,
        })
    }

    /// The file scripts' consoles write to. Scripts have no say in it, so it is known before they run.
    pub fn console_output(&self) -> Option<&str> {
        let [below, above] = [&self.environment.console_output, &self.command_line.console_output];
        above.as_deref().or(below.as_deref()).filter(|path| !path.is_empty())
    }

    /// How many bytes the script of one VU may take, if a layer sets it.
    pub fn vu_memory_limit(&self) -> Option<usize> {
        self.run.vu_memory_limit.map(|size| size.0)
    }

    /// Whether scripts may not write to `__ENV`.
    pub fn freezes_env(&self) -> bool {
        self.run.features.iter().flat_map(|features| &features.0).any(|name| name == FREEZE_ENV.name)
    }

    /// Adds the script's layer, and turns shortcuts into scenarios.
    pub fn consolidate(self, script: &ScriptOptions<'_>) -> Result<Consolidated, OptionsError> {
        let mut notes = self.notes;
        let script = script.decode(&mut notes)?;
        let features = self.run.features.as_ref().map(|features| &features.0[..]).unwrap_or_default();
        let is_on = |feature: &str| features.iter().any(|f| f == feature);
        for feature in features.iter().filter(|f| FEATURES.iter().all(|known| known.name != *f)) {
            let note = Note { level: log::Level::Error, ..Note::warning("Unknown feature flag") };
            notes.push(note.with("feature", feature));
        }
        let mut options = Options::default();
        let layers = [
            ("config", self.file),
            ("script", script),
            ("env", self.environment),
            ("cli", self.command_line),
        ];
        for (name, layer) in layers {
            lay(&mut options, layer, name, is_on(MERGE_RUN_TAGS.name), &mut notes);
        }
        for feature in FEATURES.iter().map(|f| f.name).filter(|f| is_on(f)) {
            let tag = format!("k6_feature_{}", feature.replace('-', "_"));
            options.tags.get_or_insert_default().insert(tag, "true".to_owned());
        }
        let default_stats = || TrendStat::defaults().iter().map(TrendStat::to_string).collect();
        let stats = options.summary_trend_stats.get_or_insert_with(default_stats);
        let trend_stats = stats.iter().map(|stat| TrendStat::parse(stat)).collect::<Result<_, _>>()?;
        if let Some(dns) = &options.dns {
            dns.ttl().map_err(OptionsError::DnsTtl)?;
        }
        notes.extend(options.system_tags.get_or_insert_default().complaints().map(Note::warning));
        // Without the instance: an archive contains the whole test, whichever instance makes it.
        let as_given = options.clone();
        let (run, collectors) = (self.run, self.collectors);
        let instance = Instance::new(run.instance_index, run.instance_count)?;
        if let Some(instance) = instance {
            instance.take_part(&mut options)?;
        }
        derive_scenarios(&mut options, &mut notes)?;
        log::debug!("the options of all layers: {}", Value::from(options.to_json()));
        Ok(Consolidated { options, as_given, trend_stats, run, instance, collectors, notes })
    }
}

fn notes_on_file(remarks: &Remarks, path: Option<&ConfigPath>) -> Vec<Note> {
    let file = path.map(ConfigPath::to_string).unwrap_or_default();
    let text = "There were unknown fields in the configuration file";
    let unknown = remarks.unknown.iter().map(|field| Note::unknown_field(text, field));
    let nulls = remarks.nulls.iter().map(|null| Note::null("", null));
    unknown.chain(nulls).map(|note| note.with("file", file.clone())).collect()
}

fn notes_on_environment(remarks: &Remarks) -> Vec<Note> {
    let text = "There were unknown fields in an environment variable";
    let unknown = remarks.unknown.iter().map(|field| {
        let variable = field.path.first().cloned().unwrap_or_default();
        Note::unknown_field(text, field).with("variable", variable)
    });
    unknown.chain(remarks.nulls.iter().map(|null| Note::null("", null))).collect()
}

/// Lays a layer over lower ones. A layer that sets any option of execution replaces all of them; stages without a duration and
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
