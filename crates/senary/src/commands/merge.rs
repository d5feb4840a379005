//! `senary merge`: the states of all instances of a test, made one: its summary, its thresholds, its exit code.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use senary_execution::Shutdown;
use senary_net::limits;
use senary_output::state::{
    Head, Objection, Parts, StateError, StateReader, Whole, WholeError, add_timelines, belonging, whole,
};
use senary_output::timeline::Timeline;
use tokio_util::sync::CancellationToken;

use crate::cli::{MergeArgs, WholeArgs};
use crate::command_error::CommandError;
use crate::dashboard::{self, Wanted};
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::merged::{self, Merged, Prepared, SummaryHandler, SummaryScript};
use crate::settings::{GlobalSettings, RuntimeSettings};
use crate::{failures, report, signals, vu_memory};

/// What the names of states end in, in a folder.
const ENDING: &str = "state";

pub fn run(args: &MergeArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    // Each state is one, and there may be thousands.
    limits::raise_open_files();
    let states = open(&files(&args.file)?)?;
    let runtime = event_loop()?;
    let shutdown = Shutdown::new();
    let signalled = signals::watch(shutdown.clone()).map_err(CommandError::system("watching for signals"))?;
    let wanted = Wanted::of_many(None, args.whole.report.as_deref(), env)?;
    let wants_timeline = wanted.files().next().is_some();
    let ending = Ending { shutdown, signalled, wants_timeline };
    let concluded = runtime.block_on(async {
        let settings = RuntimeSettings::new(&args.whole.runtime, env, true)?;
        let prepared = Prepared::new(&args.whole, &settings, global, env, &ending.shutdown).await?;
        conclude(states, &args.whole, prepared, global, env, &ending).await
    })?;
    if let Some(timeline) = concluded.timeline {
        let report = concluded.merged.report(timeline, &concluded.verdict);
        wanted.files().for_each(|path| dashboard::write(&report, path));
    }
    concluded.verdict
}

/// A test whose summary was written.
pub(super) struct Concluded {
    pub merged: Merged,
    /// If a report is wanted.
    pub timeline: Option<Timeline>,
    /// The exit code of the whole test.
    pub verdict: Result<(), CommandError>,
}

/// How a command ends: before its time by a signal, and with a report or without.
pub(super) struct Ending {
    /// Ends the loading of the script.
    pub shutdown: Shutdown,
    pub signalled: CancellationToken,
    /// Whether there is to be a report.
    pub wants_timeline: bool,
}

/// Makes one summary of states, and the exit code of the whole test; an error if there is no summary.
pub(super) async fn conclude<R: Read + Seek + Send>(
    mut states: Vec<Opened<R>>,
    args: &WholeArgs,
    prepared: Prepared,
    global: &GlobalSettings,
    env: &Environment,
    ending: &Ending,
) -> Result<Concluded, CommandError> {
    let settings = RuntimeSettings::new(&args.runtime, env, true)?;
    let (whole, objections) = put_together(&mut states, args.partial.unwrap_or_default())?;
    let merged = Merged::new(args, &settings, whole, objections)?;
    let written = merged.write_outputs(prepared.outputs);
    merged.warn_of_nothing_done();
    merged.warn_of_left_out();
    let script = summary_script(args, &merged, &mut states)?;
    let timeline = ending.wants_timeline.then(|| one_timeline(&mut states)).transpose()?;
    drop(states);
    let (handler, loaded) = match script {
        Some(script) => handler(merged::load(script, settings, global, env, &ending.shutdown).await),
        None => (None, Ok(())),
    };
    let closing = merged.closing(handler, global.no_color);
    let wrong = failures::of_whole(&merged.whole, &merged.results, merged.now());
    let reported = report::write(&closing, merged.results.clone(), wrong, &ending.signalled).await;
    let verdict = first_of([merged.verdict(&closing, reported), loaded, written]);
    Ok(Concluded { merged, timeline, verdict })
}

/// A script that cannot be loaded makes no summary, but then there is the usual one.
fn handler(loaded: Result<SummaryHandler, CommandError>) -> (SummaryHandler, Result<(), CommandError>) {
    match loaded {
        Ok(handler) => (handler, Ok(())),
        Err(failure) => (None, Err(failure)),
    }
}

/// The first thing that went wrong is how it all ended; the others are logged.
pub(super) fn first_of<const N: usize>(all: [Result<(), CommandError>; N]) -> Result<(), CommandError> {
    let mut failures = all.into_iter().filter_map(Result::err);
    let Some(first) = failures.next() else { return Ok(()) };
    failures.for_each(|other| other.log());
    Err(first)
}

/// The script whose `handleSummary()` makes the summary: the one that was given, or that of the test.
fn summary_script<R: Read + Seek>(
    args: &WholeArgs,
    merged: &Merged,
    states: &mut [Opened<R>],
) -> Result<Option<SummaryScript>, CommandError> {
    if let Some(name) = &args.script {
        return Ok(Some(SummaryScript { name: name.clone(), archive: None }));
    }
    if !merged.handles_summary() {
        return Ok(None);
    }
    for Opened { place, reader } in states {
        let archive = reader.script().map_err(|error| CommandError::State { path: place.clone(), error })?;
        if archive.is_some() {
            return Ok(Some(SummaryScript { name: merged.script().to_owned(), archive }));
        }
    }
    log::warn!(
        "The script has a handleSummary(), which cannot be called: it was too large for the states. Give it with --script"
    );
    Ok(None)
}

/// The files that were named, and those in the folders that were.
fn files(named: &[String]) -> Result<Vec<PathBuf>, CommandError> {
    let mut files = Vec::new();
    for name in named {
        if name.is_empty() {
            let hint = "a state is given without a name: is a variable empty?";
            return Err(CommandError::Command(hint.to_owned()));
        }
        let path = Path::new(name);
        if !path.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        let failed = CommandError::system("reading a folder of states");
        let entries = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut found: Vec<_> = entries.map_err(failed)?.iter().map(fs::DirEntry::path).collect();
        found.retain(|path| path.extension().is_some_and(|ending| ending == ENDING) && !path.is_dir());
        found.sort_unstable();
        if found.is_empty() {
            let hint = format!(
                "{name}: this folder has no states: files that end in .{ENDING}, as `senary run --out state={name}` writes them"
            );
            return Err(CommandError::Command(hint));
        }
        files.append(&mut found);
    }
    // A file may be named, and be in a folder that is named.
    let mut known = HashSet::new();
    files.retain(|path| fs::canonicalize(path).map_or(true, |whole| known.insert(whole)));
    Ok(files)
}

/// A state, and what messages call it.
pub(super) struct Opened<R> {
    pub place: String,
    pub reader: StateReader<R>,
}

fn open(files: &[PathBuf]) -> Result<Vec<Opened<BufReader<File>>>, CommandError> {
    let open = |path: &PathBuf| {
        let place = path.display().to_string();
        let reader = regular(path).and_then(|file| StateReader::open(BufReader::new(file)));
        match reader {
            Ok(reader) => Ok(Opened { place, reader }),
            Err(error) => Err(CommandError::State { path: place, error }),
        }
    };
    files.iter().map(open).collect()
}

/// The values of trends may take half of the memory: the summary is made of them, too.
fn memory_for_values() -> u64 {
    vu_memory::memory().map_or(u64::MAX, |bytes| bytes / 2)
}

/// Opens a file. Nobody may ever write to a pipe, and a state is not read from its start to its end.
fn regular(path: &Path) -> Result<File, StateError> {
    match fs::metadata(path)?.is_file() {
        true => Ok(File::open(path)?),
        false => Err(StateError::NoFile),
    }
}

/// Adds the states up, and says why they are not the whole test.
pub(super) fn put_together<R: Read + Seek + Send>(
    states: &mut [Opened<R>],
    partial: bool,
) -> Result<(Whole, Vec<Objection>), CommandError> {
    let heads: Vec<_> = states.iter().map(|state| (state.place.clone(), &state.reader.head)).collect();
    let parts = belonging(&heads);
    if !parts.objections.is_empty() && !partial {
        return Err(CommandError::NotOneTest(parts.objections));
    }
    let whole = of_chosen(states, &parts, |chosen| whole(chosen, memory_for_values()))?;
    Ok((whole, parts.objections))
}

fn one_timeline<R: Read + Seek>(states: &mut [Opened<R>]) -> Result<Timeline, CommandError> {
    let mut timeline = Timeline::of_many();
    add_up(&mut timeline, states, |_| false)?;
    Ok(timeline)
}

/// Adds the time lines of the same states up.
pub(super) fn add_up<R: Read + Seek>(
    timeline: &mut Timeline,
    states: &mut [Opened<R>],
    may_change: impl Fn(&Head) -> bool,
) -> Result<(), CommandError> {
    let heads: Vec<_> = states.iter().map(|state| (state.place.clone(), &state.reader.head)).collect();
    let parts = belonging(&heads);
    of_chosen(states, &parts, |chosen| add_timelines(timeline, chosen, may_change))
}

/// Does something with the states that may be added up, in their order.
fn of_chosen<R, T>(
    states: &mut [Opened<R>],
    parts: &Parts,
    work: impl FnOnce(&mut [&mut StateReader<R>]) -> Result<T, WholeError>,
) -> Result<T, CommandError> {
    let places: Vec<_> = parts.chosen.iter().map(|at| states[*at].place.clone()).collect();
    let mut readers: Vec<_> = states.iter_mut().map(|state| Some(&mut state.reader)).collect();
    let mut chosen: Vec<_> = parts.chosen.iter().filter_map(|at| readers[*at].take()).collect();
    work(&mut chosen).map_err(|error| {
        let (WholeError::State { at, .. } | WholeError::Merge { at, .. } | WholeError::Registry { at, .. }) =
            error;
        CommandError::Whole { path: places.get(at).cloned().unwrap_or_default(), error }
    })
}
