//! The dashboard of a run, and its report: two states of one page. Both can be of many instances of a test as well.
//!
//! While the run goes on, a thread makes events once per period and records what the system says about the process, and a
//! server answers browsers. At the end the page is written with all data in it. Nothing of this exists unless the user asks
//! for it.
//!
//! `settings` reads what the user asks for. `watching` follows the run of this process, `gathering` instances that are
//! collected. `recorder` makes the events of the reference's dashboard, and `event_log` keeps them. `report` makes the
//! document that the page is drawn from, out of `facts`, `figures` and `wrong`; what it is about is `own_run`, or `many`
//! instances. `for_states` is what the states of an instance tell for the report of all. `page` puts the page together,
//! `site` answers requests, and `serving` has the server and its files.

mod event_log;
mod facts;
mod figures;
mod for_states;
mod gathering;
mod machine;
mod many;
mod own_run;
mod page;
mod recorder;
mod report;
mod serving;
mod settings;
mod site;
mod watching;
mod wrong;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use senary_words::io_text;

use crate::cli::RunArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::plan::TestPlan;
pub use for_states::{ForStates, generator, log_lines};
pub use gathering::{Gathered, Gathering};
pub use many::{Contact, Standing, report_of_whole};
use recorder::Recorder;
pub use report::Report;
use serving::not_created;
use settings::OUTPUT;
pub use settings::{DashboardSettings, Port, SettingError};
pub use watching::{Prepared, Watching};

/// The variable that turns the dashboard on.
const SWITCH: &str = "K6_WEB_DASHBOARD";

/// What the user wants of a run: a dashboard, a report.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub dashboard: Option<DashboardSettings>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

impl Wanted {
    /// What the command line, the plan and the variables ask for.
    pub fn new(args: &RunArgs, plan: &TestPlan, env: &Environment) -> Result<Self, CommandError> {
        let query = plan.outputs.iter().find_map(|output| query_of(output));
        let is_on = plan.dashboard || query.is_some();
        Self::of(is_on, args.config.report.as_deref(), env, query.flatten())
    }

    /// The same of many instances; the variable that turns the dashboard of a run on does that for theirs, too.
    pub fn of_many(
        flag: Option<bool>,
        report: Option<&str>,
        env: &Environment,
    ) -> Result<Self, CommandError> {
        let is_on = match env.get(SWITCH).filter(|text| flag.is_none() && !text.is_empty()) {
            Some(text) => crate::options::parse_bool(text)
                .map_err(|reason| CommandError::Command(format!("{SWITCH}: {reason}")))?,
            None => flag.unwrap_or_default(),
        };
        Self::of(is_on, report, env, None)
    }

    /// Where the page goes at the end.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let export = self.dashboard.as_ref().and_then(|settings| settings.export.as_deref());
        self.report.as_deref().into_iter().chain(export)
    }

    /// A dashboard if it is on, and a report if there is a path for it.
    fn of(
        is_on: bool,
        report: Option<&str>,
        env: &Environment,
        query: Option<&str>,
    ) -> Result<Self, CommandError> {
        let settings = is_on.then(|| DashboardSettings::read(env, query));
        let dashboard = settings.transpose().map_err(|error| not_created(&error))?;
        let report: Option<PathBuf> = report.filter(|path| !path.is_empty()).map(Into::into);
        if let Some(path) = &report {
            check_place(path)?;
        }
        Ok(Self { dashboard, report })
    }
}

/// Refuses the path of a report that cannot be written, before the run, so that the user does not miss the report after it.
fn check_place(path: &Path) -> Result<(), CommandError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        _ if path.is_dir() => Err(format!("{} is a folder: give the name of a file in it", path.display())),
        Some(folder) => {
            Err(format!("{} cannot be written: there is no folder {}", path.display(), folder.display()))
        }
        None => Ok(()),
    }
    .map_err(|reason| CommandError::Command(format!("--report: {reason}")))
}

/// Whether an output is the dashboard, which takes samples in its own way.
pub fn is_meant_by(output: &str) -> bool {
    query_of(output).is_some()
}

/// The settings of the dashboard in an output, if it is the dashboard.
fn query_of(output: &str) -> Option<Option<&str>> {
    match output.strip_prefix(OUTPUT)? {
        "" => Some(None),
        settings => settings.strip_prefix('=').map(Some),
    }
}

/// Writes the page with the data. A report that cannot be written changes nothing about how the run ended.
pub fn write(report: &Report, path: &Path) {
    write_with_events(report, path, None);
}

fn write_with_events(report: &Report, path: &Path, recorder: Option<&Recorder>) {
    let written = report.html(recorder).and_then(|page| save(path, page.as_bytes()));
    if let Err(error) = written {
        log::error!("The report could not be written: open {}: {}", path.display(), io_text(&error));
    }
}

fn save(path: &Path, page: &[u8]) -> io::Result<()> {
    match path.extension().is_some_and(|end| end == "gz") {
        true => fs::write(path, page::compressed(page)?),
        false => fs::write(path, page),
    }
}
