//! What a state says besides its figures: which instance it is, of which test, and how far that was.

use senary_metrics::engine::ThresholdPlan;
use senary_metrics::{Metric, MetricType, Registry, RegistryError, Timestamp, ValueType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::summary::Remark;

/// Everything that is known without looking at the figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub instance: Instance,
    pub test: TestFacts,
    pub progress: Progress,
}

/// A process that runs a test, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Each process has its own.
    pub id: String,
    /// What people call it: the name of its machine.
    pub name: String,
    /// `0:1/4`, and `0,1/4,1/2,3/4,1`: what falls to it, and how the test is cut.
    pub segment: String,
    pub sequence: String,
    /// The version of the program.
    pub program: String,
}

/// The test that an instance runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestFacts {
    /// The name of the script's file, and a hash of the script with the modules that it imports.
    pub script: String,
    pub hash: String,
    /// The options of all layers, by their names in scripts.
    pub options: Map<String, Value>,
    pub thresholds: ThresholdPlan,
    /// False with `--no-thresholds`.
    pub evaluate_thresholds: bool,
    pub metrics: Vec<Declared>,
    /// Whether groups and scenarios are added up on their own, for the full summary.
    pub has_parts: bool,
    /// Whether the script makes the summary itself.
    pub handles_summary: bool,
    pub strict: bool,
    pub fail_on_saturation: bool,
    /// What the report says of the test, and of its scenarios.
    #[serde(default)]
    pub facts: Map<String, Value>,
    #[serde(default)]
    pub scenarios: Value,
}

/// A metric that there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    pub name: String,
    pub kind: MetricType,
    pub contains: ValueType,
    #[serde(default)]
    pub custom: bool,
}

/// How far an instance was when it wrote its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Whether this is the last state: the run was over.
    pub is_final: bool,
    pub written: Timestamp,
    /// `None` if the run never started.
    pub started: Option<Timestamp>,
    /// How long it had lasted.
    pub seconds: f64,
    /// Whether scenarios were started: it may have died, or been stopped, before that.
    pub has_run: bool,
    /// Why it ended before its time, or failed, for other reasons than its figures.
    pub end: Option<EarlyEnd>,
    pub full_iterations: u64,
    pub interrupted_iterations: u64,
    /// What `setup()` returned, as JSON.
    pub setup_data: Option<String>,
    /// Whether it was too large for the state.
    #[serde(default)]
    pub is_setup_data_left_out: bool,
    pub outcomes: Vec<ScenarioOutcome>,
    /// Whether what `setup()` tried has failed, though it returned.
    #[serde(default)]
    pub setup_failed: bool,
    pub generator: Generator,
    /// What outputs lost, in words.
    #[serde(default)]
    pub lost: Vec<String>,
    /// The instance as a row of the report's table.
    #[serde(default)]
    pub row: Value,
    /// The last lines of its log.
    #[serde(default)]
    pub log: Vec<LogLine>,
}

/// A line of an instance's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was logged last.
    pub time: Timestamp,
    pub level: String,
    pub text: String,
    /// How many more of the same text there were.
    pub more: u64,
}

/// An end that is not the test's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyEnd {
    /// The exit code that stands for it.
    pub code: u8,
    pub reason: String,
}

/// What the iterations of a scenario prove.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioOutcome {
    pub scenario: String,
    pub succeeded: u64,
    /// As many of them had to do with no peer and no check.
    #[serde(default)]
    pub idle: u64,
    pub failed: u64,
    /// As many of them got only answers that say that the server has failed, and nothing in the script judges that,
    #[serde(default)]
    pub refused: u64,
    /// sent something and listened, and nothing came,
    #[serde(default)]
    pub ignored: u64,
    /// or did nothing, as the connection that they share is lost.
    #[serde(default)]
    pub stranded: u64,
    /// Seconds at its end in which nothing succeeded, if that is remarkable.
    pub silence: Option<f64>,
}

/// Whether the generator held the test back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// What speaks against the figures, in words.
    pub remarks: Vec<Remark>,
    /// The same as the report has it.
    #[serde(default)]
    pub document: Value,
}

/// A hash of a script and the modules that it imports, wherever they were found and in whatever order.
pub fn hash_of_script<'a>(script: &[u8], modules: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hashes: Vec<_> = modules.map(Sha256::digest).collect();
    hashes.sort_unstable();
    let mut all = Sha256::new();
    all.update(Sha256::digest(script));
    hashes.iter().for_each(|hash| all.update(hash));
    all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Declared {
    /// The metrics of a registry.
    pub fn all(registry: &Registry) -> Vec<Self> {
        let declared = |Metric { name, kind, contains, custom, .. }: Metric| Self {
            name: name.to_string(),
            kind,
            contains,
            custom,
        };
        registry.all().into_iter().map(declared).collect()
    }

    /// Registers the metric elsewhere.
    pub fn register(&self, registry: &Registry) -> Result<(), RegistryError> {
        match self.custom {
            true => registry.declare(&self.name, self.kind, self.contains),
            false => registry.get_or_register(&self.name, self.kind, self.contains),
        }
        .map(drop)
    }
}
