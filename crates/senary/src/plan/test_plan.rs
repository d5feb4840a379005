//! The plan of a test: everything decided before the first VU starts, with nothing left that could be wrong.

use std::sync::Arc;
use std::time::Duration;

use senary_execution::{LoadPlan, Scenario, SegmentError, SegmentTuple};
use senary_js::settings::SystemTags;
use senary_metrics::engine::{Engine, ThresholdPlan};
use senary_metrics::{Registry, TagSet};
use senary_net::{ClientCertificate, Dialer, LocalIps, Resolver, Tls, TlsOptions};
use serde_json::{Map, Value};

use super::scenario;
use super::summary::{check_time_unit, check_trend_stat};
use crate::options::{Consolidated, Nanos, Options, RuntimeSettings, SummaryMode};

/// What the options of a test are wrong about; exit code 104.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("There were problems with the specified script configuration:{}", list(.problems))]
pub struct PlanError {
    pub problems: Vec<String>,
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n\t- {problem}")).collect()
}

/// What a plan has to know of the script.
#[derive(Clone, Copy, Debug)]
pub struct ScriptFacts<'a> {
    /// Names of the exported functions.
    pub exports: &'a [String],
    /// The metrics there are after the init code has run.
    pub registry: &'a Registry,
}

/// A test, ready to run.
#[derive(Debug)]
pub struct TestPlan {
    /// The scenarios, and the segment of them that falls to this instance.
    pub load: LoadPlan,
    /// The consolidated options as JSON, as `exec.test.options` shows them.
    pub options_json: String,
    pub thresholds: ThresholdPlan,
    /// False with `--no-thresholds`: then sub-metrics are all they make.
    pub evaluate_thresholds: bool,
    pub run_tags: TagSet,
    pub system_tags: SystemTags,
    /// Names of the system tags that are on, sorted, without those that go to the metadata.
    pub indexed_system_tags: Vec<String>,
    pub setup_timeout: Duration,
    pub teardown_timeout: Duration,
    pub handle_summary_timeout: Duration,
    pub no_setup: bool,
    pub no_teardown: bool,
    pub paused: bool,
    pub linger: bool,
    pub min_iteration_duration: Duration,
    pub throw: bool,
    pub dialer: Arc<Dialer>,
    pub local_ips: Option<LocalIps>,
    pub summary: SummarySettings,
    /// `type[=argument]`, in the order given.
    pub outputs: Vec<String>,
    /// The config file's settings of outputs, by the outputs' names.
    pub output_settings: Map<String, Value>,
    /// The file the script's console writes to, instead of the log.
    pub console_output: Option<String>,
    /// `__ENV` must not be written to.
    pub freeze_env: bool,
}

/// What the summary shows, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummarySettings {
    pub mode: SummaryMode,
    pub trend_stats: Vec<String>,
    /// `s`, `ms`, `us`, or nothing for whatever fits.
    pub time_unit: String,
    pub export: Option<String>,
    pub new_machine_readable: bool,
}

impl TestPlan {
    pub fn new(
        consolidated: Consolidated,
        runtime: &RuntimeSettings,
        script: &ScriptFacts<'_>,
    ) -> Result<Self, PlanError> {
        let options_json = Value::from(consolidated.options.to_script_json()).to_string();
        let options = &consolidated.options;
        let mut problems = Vec::new();
        let scenarios = scenarios(options, script.exports, &mut problems);
        let segment = keep(segment(options), &mut problems);
        let setup_timeout = timeout(options.setup_timeout, "setupTimeout", 60, &mut problems);
        let teardown_timeout = timeout(options.teardown_timeout, "teardownTimeout", 60, &mut problems);
        let handle_summary_timeout =
            timeout(options.handle_summary_timeout, "handleSummaryTimeout", 120, &mut problems);
        for stat in options.summary_trend_stats.iter().flatten() {
            problems.extend(check_trend_stat(stat).err());
        }
        let mut time_unit = options.summary_time_unit.clone().unwrap_or_default();
        if let Err(problem) = check_time_unit(&time_unit) {
            // Scripts that say something else have always been run.
            log::warn!("{problem}");
            time_unit.clear();
        }
        let thresholds: ThresholdPlan = options.thresholds.clone().unwrap_or_default().into_iter().collect();
        if !runtime.no_thresholds {
            check_thresholds(&thresholds, script.registry, &mut problems);
        }
        let resolver = keep(resolver(options), &mut problems);
        let tls = keep(Tls::new(tls_options(options)).map_err(|e| e.to_string()), &mut problems);
        let local_ips =
            options.local_ips.as_deref().map(|ips| LocalIps::parse(ips).map_err(|e| e.to_string()));
        let local_ips = local_ips.and_then(|ips| keep(ips, &mut problems));
        let (Some(segment), Some(resolver), Some(tls), true) = (segment, resolver, tls, problems.is_empty())
        else {
            return Err(PlanError { problems });
        };
        let system_tags = options.system_tags.clone().unwrap_or_default();
        Ok(Self {
            load: LoadPlan::new(scenarios, segment),
            options_json,
            thresholds,
            evaluate_thresholds: !runtime.no_thresholds,
            run_tags: TagSet::new(options.tags.clone().unwrap_or_default()),
            system_tags: SystemTags {
                group: system_tags.has("group"),
                check: system_tags.has("check"),
                scenario: system_tags.has("scenario"),
                vu: system_tags.has("vu"),
                iter: system_tags.has("iter"),
            },
            indexed_system_tags: system_tags
                .iter()
                .filter(|name| !matches!(*name, "vu" | "iter"))
                .map(str::to_owned)
                .collect(),
            setup_timeout,
            teardown_timeout,
            handle_summary_timeout,
            no_setup: options.no_setup.unwrap_or_default(),
            no_teardown: options.no_teardown.unwrap_or_default(),
            paused: options.paused.unwrap_or_default(),
            linger: consolidated.linger,
            min_iteration_duration: options.min_iteration_duration.unwrap_or_default().duration(),
            throw: options.throw.unwrap_or_default(),
            dialer: Arc::new(Dialer { resolver: Arc::new(resolver), tls }),
            local_ips,
            summary: SummarySettings {
                mode: runtime.summary_mode,
                trend_stats: options.summary_trend_stats.clone().unwrap_or_default(),
                time_unit,
                export: runtime.summary_export.clone(),
                new_machine_readable: runtime.new_machine_readable_summary,
            },
            outputs: consolidated.out,
            output_settings: consolidated.collectors,
            console_output: consolidated.options.console_output,
            freeze_env: consolidated.freeze_env,
        })
    }
}

fn keep<T>(result: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn scenarios(options: &Options, exports: &[String], problems: &mut Vec<String>) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (name, option) in options.scenarios.iter().flatten() {
        match scenario::judge(name, option) {
            Ok(scenario) if exports.contains(&scenario.exec) => scenarios.push(scenario),
            Ok(scenario) => {
                let exec = scenario.exec;
                problems.push(format!("executor {name}: function '{exec}' not found in exports"));
            }
            Err(faults) => {
                problems.push(format!("scenario {name} has configuration errors: {}", faults.join(", ")));
            }
        }
    }
    scenarios
}

fn segment(options: &Options) -> Result<SegmentTuple, String> {
    // Nothing is not set, and stands for the whole.
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let segment = set(&options.execution_segment).map(|text| text.parse()).transpose();
    let sequence = set(&options.execution_segment_sequence).map(|text| text.parse()).transpose();
    let text = |e: SegmentError| e.to_string();
    SegmentTuple::new(segment.map_err(text)?, sequence.map_err(text)?).map_err(text)
}

fn timeout(option: Option<Nanos>, name: &str, default: i64, problems: &mut Vec<String>) -> Duration {
    let timeout = option.unwrap_or(Nanos::from_secs(default));
    if timeout.0 <= 0 {
        problems.push(format!("{name} must be positive"));
    }
    timeout.duration()
}

/// One at a time, so that users hear of all that is wrong.
fn check_thresholds(thresholds: &ThresholdPlan, registry: &Registry, problems: &mut Vec<String>) {
    for (selector, specs) in thresholds {
        let before = problems.len();
        let each = specs.iter().map(|spec| vec![spec.clone()]);
        // Without any expression there still is a selector.
        let none = specs.is_empty().then(Vec::new);
        for specs in each.chain(none) {
            let plan = vec![(selector.clone(), specs)];
            if let Err(error) = Engine::new(registry.clone(), &plan, true, false) {
                let problem = error.to_string();
                if !problems[before..].contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
}

fn resolver(options: &Options) -> Result<Resolver, String> {
    let dns = options.dns.clone().unwrap_or_default().config().map_err(|e| e.to_string())?;
    let hosts: Vec<_> = options.hosts.clone().unwrap_or_default().0.into_iter().collect();
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    Resolver::new(&hosts, &list(&options.block_hostnames), &list(&options.blacklist_ips), dns)
        .map_err(|e| e.to_string())
}

fn tls_options(options: &Options) -> TlsOptions {
    let versions = options.tls_version.clone().unwrap_or_default();
    let certificates = options.tls_auth.clone().unwrap_or_default();
    TlsOptions {
        insecure_skip_verify: options.insecure_skip_tls_verify.unwrap_or_default(),
        min_version: Some(versions.min).filter(|version| !version.is_empty()),
        max_version: Some(versions.max).filter(|version| !version.is_empty()),
        cipher_suites: options.tls_cipher_suites.clone().unwrap_or_default(),
        client_certificates: certificates
            .into_iter()
            .map(|auth| ClientCertificate { cert: auth.cert, key: auth.key, password: auth.password })
            .collect(),
    }
}
