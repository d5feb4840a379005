//! `senary merge`: the states of all instances of a test, made one: its summary, its thresholds, its exit code.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use senary_execution::Shutdown;
use senary_metrics::engine::Crossed;
use senary_metrics::threshold::WatchList;
use senary_metrics::{Engine, Registry, Results, Timestamp};
use senary_output::state::{
    Contribution, Objection, StateReader, TestFacts, Whole, WholeError, belonging, whole,
};
use senary_output::{
    InstanceRow, Instances, OutputContext, OutputError, OutputSpec, Remark, TimeUnit, TrendStat,
};
use serde_json::Value;

use crate::cli::MergeArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::plan::SummarySettings;
use crate::report::{self, Closing};
use crate::settings::{GlobalSettings, RuntimeSettings, SummaryMode};
use crate::{failures, signals, verdict};

/// What the names of states end in, in a folder.
const ENDING: &str = "state";

/// The output that needs results only.
const JUNIT: &str = "junit";

pub fn run(args: &MergeArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    let runtime = RuntimeSettings::new(&args.runtime, env, true)?;
    let mut states = open(&files(&args.file)?)?;
    let (whole, objections) = put_together(&mut states, args.partial.unwrap_or_default())?;
    let merged = Merged::new(args, &runtime, whole, objections)?;
    merged.write_outputs(&args.out, env)?;
    let shutdown = Shutdown::new();
    let runtime = event_loop()?;
    let signalled = signals::watch(shutdown).map_err(CommandError::system("watching for signals"))?;
    let closing = merged.closing(global.no_color);
    let wrong = failures::of_whole(&merged.whole, &merged.results, merged.now());
    verdict::warn_of_missing(&merged.results);
    let reported = runtime.block_on(report::write(&closing, merged.results.clone(), wrong, &signalled));
    merged.verdict(&closing).and(reported)
}

/// The files that were named, and those in the folders that were.
fn files(named: &[String]) -> Result<Vec<PathBuf>, CommandError> {
    let mut files = Vec::new();
    for name in named {
        let path = Path::new(name);
        if !path.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        let failed = CommandError::system("reading a folder of states");
        let entries = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut found: Vec<_> = entries.map_err(failed)?.iter().map(fs::DirEntry::path).collect();
        found.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
        found.sort_unstable();
        if found.is_empty() {
            let hint = format!("{name}: this folder has no states, files that end in .{ENDING}");
            return Err(CommandError::Command(hint));
        }
        files.append(&mut found);
    }
    Ok(files)
}

/// A state, and what messages call it.
struct Opened<R> {
    place: String,
    reader: StateReader<R>,
}

fn open(files: &[PathBuf]) -> Result<Vec<Opened<BufReader<File>>>, CommandError> {
    let open = |path: &PathBuf| {
        let place = path.display().to_string();
        let reader =
            File::open(path).map_err(Into::into).and_then(|file| StateReader::open(BufReader::new(file)));
        match reader {
            Ok(reader) => Ok(Opened { place, reader }),
            Err(error) => Err(CommandError::State { path: place, error }),
        }
    };
    files.iter().map(open).collect()
}

/// Adds the states up, and says why they are not the whole test.
fn put_together<R: Read + Seek>(
    states: &mut [Opened<R>],
    partial: bool,
) -> Result<(Whole, Vec<Objection>), CommandError> {
    let heads: Vec<_> = states.iter().map(|state| (state.place.clone(), &state.reader.head)).collect();
    let parts = belonging(&heads);
    if !parts.objections.is_empty() && !partial {
        return Err(CommandError::NotOneTest(parts.objections));
    }
    let places: Vec<_> = parts.chosen.iter().map(|at| states[*at].place.clone()).collect();
    let mut readers: Vec<_> = states.iter_mut().map(|state| Some(&mut state.reader)).collect();
    let mut chosen: Vec<_> = parts.chosen.iter().filter_map(|at| readers[*at].take()).collect();
    let whole = whole(&mut chosen).map_err(|error| {
        let (WholeError::State { at, .. } | WholeError::Merge { at, .. } | WholeError::Registry { at, .. }) =
            error;
        CommandError::Whole { path: places.get(at).cloned().unwrap_or_default(), error }
    })?;
    Ok((whole, parts.objections))
}

/// The whole test, judged.
struct Merged {
    whole: Whole,
    objections: Vec<Objection>,
    results: Results,
    crossed: Crossed,
    settings: SummarySettings,
    is_strict: bool,
    fails_on_saturation: bool,
}

impl Merged {
    fn new(
        args: &MergeArgs,
        runtime: &RuntimeSettings,
        whole: Whole,
        objections: Vec<Objection>,
    ) -> Result<Self, CommandError> {
        let Some(test) = whole.instances.first().map(|instance| instance.head.test.clone()) else {
            return Err(CommandError::Command("there is no state to merge".to_owned()));
        };
        let settings = summary_settings(args, runtime, &whole, &test)?;
        let is_full = settings.mode == SummaryMode::Full;
        let evaluate = test.evaluate_thresholds && !runtime.no_thresholds;
        let mut engine = Engine::new(whole.registry.clone(), &test.thresholds, evaluate, is_full)
            .map_err(|error| CommandError::Command(error.to_string()))?;
        engine.merge(&whole.totals).map_err(|error| CommandError::Command(error.to_string()))?;
        let crossed = engine.finish(whole.seconds);
        let mut results = engine.results(whole.seconds);
        if !is_full {
            results.parts.clear();
        }
        let any = |of: fn(&TestFacts) -> bool| whole.instances.iter().any(|instance| of(&instance.head.test));
        let is_strict = args.strict.unwrap_or_else(|| any(|test| test.strict));
        let fails_on_saturation =
            args.fail_on_saturation.unwrap_or_else(|| any(|test| test.fail_on_saturation));
        Ok(Self { whole, objections, results, crossed, settings, is_strict, fails_on_saturation })
    }

    /// When the test was over.
    fn now(&self) -> Timestamp {
        let start = self.whole.started.unwrap_or_default();
        Timestamp(start.0.saturating_add((self.whole.seconds * 1e9) as i64))
    }

    fn closing(&self, no_color: bool) -> Closing {
        let objections = if self.is_strict {
            verdict::objections(&self.results, &verdict::whole_outcomes(&self.whole))
        } else {
            Vec::new()
        };
        let data = |instance: &Contribution| {
            let json = instance.head.progress.setup_data.as_ref()?;
            serde_json::from_str::<Value>(json).ok()
        };
        Closing {
            settings: self.settings.clone(),
            handler: None,
            setup_data: self.whole.instances.iter().find_map(data),
            script: String::new(),
            no_color,
            remarks: self.whole.instances.iter().flat_map(remarks).collect(),
            objections,
            instances: Some(Instances {
                rows: self.whole.instances.iter().map(row).collect(),
                objections: self.objections.iter().map(ToString::to_string).collect(),
            }),
            now: self.now(),
        }
    }

    /// Outputs that need no samples.
    fn write_outputs(&self, outputs: &[String], env: &Environment) -> Result<(), CommandError> {
        let variables = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (registry, watched) = (Registry::new(), WatchList::default());
        let context = OutputContext {
            env: &variables,
            collectors: None,
            features: &[],
            system_tags: &[],
            registry: &registry,
            watched: &watched,
        };
        for text in outputs {
            let spec = OutputSpec::parse(text).map_err(CommandError::Output)?;
            if spec.kind() != JUNIT {
                let reason =
                    "states have no samples any more: of the outputs, merge has junit alone".to_owned();
                return Err(CommandError::Output(OutputError::NotCreated { kind: spec.kind(), reason }));
            }
            let mut output = spec.create(&context).map_err(CommandError::Output)?;
            output.conclude(&self.results);
            output.close().map_err(CommandError::system("writing an output"))?;
        }
        Ok(())
    }

    /// How the test ended: as a run's end, with the ends of all instances in the place of its own.
    fn verdict(&self, closing: &Closing) -> Result<(), CommandError> {
        let mut ends = self.whole.instances.iter().filter_map(|instance| {
            let end = instance.head.progress.end.as_ref()?;
            let (code, reason) = (end.code, end.reason.clone());
            Some(CommandError::OfInstance { instance: name(instance), code, reason })
        });
        if let Some(first) = ends.next() {
            ends.for_each(|other| other.log());
            return Err(first);
        }
        let crossed = match self.crossed.metrics.is_empty() {
            true => Ok(()),
            false => Err(CommandError::ThresholdsCrossed(self.crossed.metrics.clone())),
        };
        if self.fails_on_saturation && !closing.remarks.is_empty() {
            if let Err(failure) = &crossed {
                failure.log();
            }
            return Err(CommandError::Saturated(
                closing.remarks.iter().map(|remark| remark.text.clone()).collect(),
            ));
        }
        crossed?;
        match closing.objections.is_empty() {
            true => Ok(()),
            false => Err(CommandError::ProvesNothing(closing.objections.clone())),
        }
    }
}

/// What the summary shows: as the flags say, or as the test itself was run.
fn summary_settings(
    args: &MergeArgs,
    runtime: &RuntimeSettings,
    whole: &Whole,
    test: &TestFacts,
) -> Result<SummarySettings, CommandError> {
    let has_parts = whole.instances.iter().all(|instance| instance.head.test.has_parts);
    let is_given = args.runtime.summary_mode.is_some();
    let mode = match runtime.summary_mode {
        SummaryMode::Compact if !is_given && has_parts => SummaryMode::Full,
        SummaryMode::Full if !has_parts => {
            log::warn!(
                "The states do not tell groups and scenarios apart: for a full summary, run the test with --summary-mode=full"
            );
            SummaryMode::Full
        }
        mode => mode,
    };
    let texts = |option: &str| {
        let stats = test.options.get(option).and_then(Value::as_array).into_iter().flatten();
        stats.filter_map(|stat| stat.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let stats = match args.summary_trend_stats.is_empty() {
        true => texts("summaryTrendStats"),
        false => {
            args.summary_trend_stats.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
        }
    };
    let trend_stats = stats.iter().map(|stat| TrendStat::parse(stat)).collect::<Result<Vec<_>, _>>();
    let trend_stats = trend_stats.map_err(|error| CommandError::Command(error.to_string()))?;
    let own_unit = test.options.get("summaryTimeUnit").and_then(Value::as_str);
    let unit = args.summary_time_unit.as_deref().or(own_unit).unwrap_or_default();
    Ok(SummarySettings {
        mode,
        trend_stats,
        time_unit: TimeUnit::parse(unit).map_err(|error| CommandError::Command(error.to_string()))?,
        export: runtime.summary_export.clone(),
        new_machine_readable: runtime.new_machine_readable_summary,
    })
}

fn name(instance: &Contribution) -> String {
    format!("{} ({})", instance.head.instance.name, instance.head.instance.segment)
}

/// What speaks against the figures of an instance.
fn remarks(instance: &Contribution) -> Vec<Remark> {
    let of_instance = |remark: &Remark| Remark {
        text: format!("{}: {}", name(instance), remark.text),
        advice: remark.advice.clone(),
    };
    instance.head.progress.generator.remarks.iter().map(of_instance).collect()
}

fn row(instance: &Contribution) -> InstanceRow {
    let (head, progress) = (&instance.head, &instance.head.progress);
    let verdict = match (&progress.end, progress.is_final) {
        (_, false) => "has written no last state".to_owned(),
        (Some(end), _) => end.reason.lines().next().unwrap_or_default().to_owned(),
        (None, _) if !progress.generator.remarks.is_empty() => "was the bottleneck".to_owned(),
        (None, _) => "ok".to_owned(),
    };
    InstanceRow {
        name: head.instance.name.clone(),
        segment: head.instance.segment.clone(),
        iterations: instance.iterations,
        failures: instance.failures,
        seconds: progress.seconds,
        is_good: verdict == "ok",
        verdict,
    }
}
