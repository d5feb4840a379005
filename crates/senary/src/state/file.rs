//! `--out state=FILE`: the state of a run on the disk, at any time whole.
//!
//! A thread of its own writes it, with the lowest priority: it takes a look at the sums, which holds nobody up, and does
//! everything else by itself. A state is written beside the file and takes its place when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use senary_metrics::{SampleBatch, Totals};
use senary_output::state::Instance;
use senary_output::{Output, OutputContext, OutputError, OutputSpec, STATE, StateTarget};
use senary_words::remedy::explained;

use super::source::{self, Over, StateSource};
use crate::archive::Archive;
use crate::command_error::CommandError;
use crate::dashboard::ForStates;
use crate::plan::TestPlan;
use crate::rest::WrittenState;
use crate::test_run::{Ended, TestRun};

/// At most one part in so many of the time is spent writing: large states are written less often.
const SHARE: u32 = 10;
/// As low as a thread can be.
const LOWEST_PRIORITY: i32 = 19;

/// Whether an output is a state, which is made in its own way.
pub fn is_meant_by(output: &str) -> bool {
    OutputSpec::parse(output).is_ok_and(|spec| spec.kind() == STATE)
}

/// The states that a run is to write.
pub struct States {
    files: Vec<StateFile>,
    /// How often they are written.
    period: Duration,
    instance: Instance,
    test: Archive,
    /// `None` if nobody wants states.
    watched: Option<ForStates>,
}

impl States {
    /// The files that the outputs of a test name. One that cannot be written is an error at once. Clients of the REST API may
    /// ask for states, too, if it is served.
    pub fn wanted(
        plan: &TestPlan,
        test: Archive,
        context: &OutputContext<'_>,
        is_served: bool,
    ) -> Result<Self, CommandError> {
        let instance = source::instance(plan);
        let specs = plan.outputs.iter().filter_map(|output| OutputSpec::parse(output).ok());
        let (mut files, mut period) = (Vec::new(), None);
        for spec in specs.filter(|spec| spec.kind() == STATE) {
            let target = StateTarget::new(spec.argument(), context);
            let target = target.map_err(|error| not_created(error.to_string()))?;
            period = period.min(Some(target.period)).or(Some(target.period));
            files.push(StateFile::create(&target.path, &instance)?);
        }
        let is_wanted = is_served || !files.is_empty();
        let watched = is_wanted.then(|| ForStates::new(plan, context.registry));
        Ok(Self { files, period: period.unwrap_or_default(), instance, test, watched })
    }

    /// What the banner says of them.
    pub fn outputs(&self) -> impl Iterator<Item = Box<dyn Output>> {
        self.files.iter().map(|file| Box::new(file.clone()) as Box<dyn Output>)
    }

    /// What takes samples for them; the banner says nothing of it.
    pub fn watcher(&self) -> Option<Box<dyn Output>> {
        self.watched.as_ref().map(ForStates::output)
    }

    /// Writes the first states of a run, which say that it has not begun, so that no old state stays in their place; then
    /// further ones, until the end.
    pub fn start(self, run: &TestRun) -> Result<Writing, CommandError> {
        let Self { files, period, instance, test, watched } = self;
        let Some(watched) = watched else { return Ok(Writing(None)) };
        let source = Arc::new(StateSource::new(run, instance, test, watched));
        let thread =
            (!files.is_empty()).then(|| WritingThread::start(&files, &source, period)).transpose()?;
        Ok(Writing(Some(Following { files, source, thread })))
    }
}

fn not_created(reason: String) -> CommandError {
    CommandError::Output(OutputError::NotCreated { kind: STATE, reason })
}

/// A file for states.
#[derive(Clone, Debug)]
struct StateFile {
    path: PathBuf,
    /// Where a state is until it is complete.
    part: PathBuf,
}

impl StateFile {
    fn create(argument: &str, instance: &Instance) -> Result<Self, CommandError> {
        let mut path = PathBuf::from(argument);
        if path.is_dir() || argument.ends_with('/') {
            path.push(StateSource::file_name(instance));
        }
        // What takes the place of a link would be found by nobody who looks where it points.
        if path.is_symlink() {
            path = fs::canonicalize(&path).unwrap_or(path);
        }
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            let hint = "it is a pipe or a device, and a state takes the place of a file";
            return Err(not_created(format!("open {}: {hint}", path.display())));
        }
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let file = Self { path, part: part.into() };
        let created = File::create(&file.part);
        created
            .map_err(|error| not_created(format!("open {}: {}", file.path.display(), explained(&error))))?;
        Ok(file)
    }

    fn write(&self, source: &StateSource) -> io::Result<()> {
        let Some(state) = source.state() else { return Ok(()) };
        let out = state.write(BufWriter::new(File::create(&self.part)?))?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        // Else a machine that dies could leave the name without the content.
        file.sync_data()?;
        fs::rename(&self.part, &self.path)
    }
}

/// For the banner: samples are nothing to a state.
impl Output for StateFile {
    fn description(&self) -> String {
        format!("{STATE} ({})", self.path.display())
    }

    fn add(&mut self, _: &SampleBatch) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// States that are written while a run goes on, if any are wanted.
pub struct Writing(Option<Following>);

struct Following {
    files: Vec<StateFile>,
    source: Arc<StateSource>,
    /// There is none if nothing but the REST API asks for states.
    thread: Option<WritingThread>,
}

struct WritingThread {
    /// What is sent asks for a state at once; the thread ends when it is closed.
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl WritingThread {
    fn start(files: &[StateFile], source: &Arc<StateSource>, period: Duration) -> Result<Self, CommandError> {
        let (end, ended) = channel();
        let (files, source) = (files.to_vec(), source.clone());
        let thread = thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || follow(&files, &source, period, &ended))
            .map_err(CommandError::system("starting to write states"))?;
        Ok(Self { end, thread })
    }

    fn end(self) {
        drop(self.end);
        // A thread that has panicked has said so.
        let _ = self.thread.join();
    }
}

impl Writing {
    /// Makes states for the REST API.
    pub fn for_clients(&self) -> WrittenState {
        let source = self.0.as_ref().map(|following| following.source.clone());
        // Writing to memory does not fail.
        Box::new(move || source.as_ref()?.state()?.write(Vec::new()).ok())
    }

    /// Nothing is measured any more. If the script makes the summary, a state is written before: nobody knows how long that takes,
    /// or whether the process outlives it.
    pub fn keep(&self, totals: &Arc<Totals>) {
        let Some(Following { source, thread, .. }) = &self.0 else { return };
        source.keep(totals.clone());
        if let Some(WritingThread { end, .. }) = thread.as_ref().filter(|_| source.makes_summary()) {
            // A thread that has panicked has said so.
            let _ = end.send(());
        }
    }

    /// Writes the last states.
    pub fn finish(
        self,
        verdict: &Result<(), CommandError>,
        ended: &Ended,
        totals: Arc<Totals>,
        lost: &[String],
    ) {
        let Some(Following { files, source, thread }) = self.0 else { return };
        thread.into_iter().for_each(WritingThread::end);
        source.finish(Over::new(verdict, ended, totals, lost));
        for file in &files {
            if let Err(error) = file.write(&source) {
                log::error!(
                    "The output {} is incomplete: open {}: {}; `senary merge` will miss what came after its last state",
                    file.description(),
                    file.path.display(),
                    explained(&error)
                );
            }
        }
    }
}

fn follow(files: &[StateFile], source: &StateSource, period: Duration, end: &Receiver<()>) {
    // Without it, states are written all the same.
    let _ = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
    let mut has_failed = false;
    loop {
        let from = Instant::now();
        for file in files {
            if let Err(error) = file.write(source)
                && !std::mem::replace(&mut has_failed, true)
            {
                log::warn!(
                    "The state could not be written, which is tried again: open {}: {}",
                    file.path.display(),
                    explained(&error)
                );
            }
        }
        let pause = period.max(from.elapsed() * SHARE);
        if end.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}
