//! A dashboard's server and files, whatever the dashboard is about.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use senary_output::OutputError;
use senary_words::io_text;
use tokio_util::sync::CancellationToken;

use super::event_log::Clients;
use super::recorder::{Record, Recorder, TestFacts};
use super::report::Report;
use super::settings::{self, DashboardSettings, OUTPUT, Port};
use super::site::Dashboard;
use super::write_with_events;
use crate::command_error::CommandError;
use crate::http_server::{BindError, Bound, Server};

/// A dashboard that has its port and its files, and nothing to show yet.
pub struct Opened {
    pub settings: DashboardSettings,
    bound: Option<Bound>,
    record: Option<Record>,
}

impl Opened {
    pub fn new(settings: &DashboardSettings) -> Result<Self, CommandError> {
        let bound = bind(settings)?;
        let record = settings.record.as_ref().map(|path| create(path));
        let record = record.transpose().map_err(|reason| not_created(&reason))?;
        Ok(Self { settings: settings.clone(), bound, record })
    }

    /// Where the dashboard will be.
    pub fn url(&self) -> Option<String> {
        let bound = self.bound.as_ref()?;
        let host = match self.settings.host.as_str() {
            "" | "0.0.0.0" | "::" | "[::]" => "127.0.0.1",
            host => host,
        };
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        Some(format!("http://{host}:{}", bound.address().port()))
    }

    /// Whether clients may end the test: only if they are on this machine.
    pub fn can_stop(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.address().ip().is_loopback())
    }

    /// Begins to answer browsers.
    pub fn serve(self, report: &Arc<Report>, facts: TestFacts) -> Result<Served, CommandError> {
        let (url, can_stop) = (self.url(), self.can_stop());
        let Self { settings, bound, record } = self;
        let (recorder, clients) = (Arc::new(Recorder::new(facts, record)), Clients::default());
        let site = Dashboard {
            report: report.clone(),
            recorder: recorder.clone(),
            clients: clients.clone(),
            can_stop,
            origins: settings.origins.clone(),
        };
        let server = bound.map(|bound| bound.serve("dashboard-http", Arc::new(site)));
        let server = server.transpose().map_err(|error| not_created(&error))?;
        if let Some(url) = url.filter(|_| settings.open) {
            open_browser(&url);
        }
        Ok(Served { settings, recorder, clients, server })
    }
}

/// A dashboard that answers browsers, and tells events.
pub struct Served {
    settings: DashboardSettings,
    pub recorder: Arc<Recorder>,
    clients: Clients,
    server: Option<Server>,
}

impl Served {
    /// Writes the page, if that is wanted.
    pub fn write_file(&self, report: &Report) {
        let (settings, recorder) = (&self.settings, &self.recorder);
        let Some(path) = &settings.export else { return };
        // Somebody who has chosen a period has a reason to want some of them.
        match settings.period.is_some() && recorder.periods() < 2 {
            true => log::warn!(
                "The test run was short, report generation was skipped (not enough data): it had fewer than two periods of {:?}",
                recorder.period()
            ),
            false => write_with_events(report, path, Some(recorder)),
        }
    }

    /// Waits for those who still watch, unless the test was ended early.
    pub async fn close(self, verdict: &Result<(), CommandError>, signalled: &CancellationToken) {
        if self.server.is_some() && !matches!(verdict, Err(CommandError::Stopped(_))) {
            tokio::select! {
                () = self.clients.all_gone() => {}
                () = signalled.cancelled() => {}
            }
        }
    }
}

/// Opens the port. If the default port is taken, another one is used.
fn bind(settings: &DashboardSettings) -> Result<Option<Bound>, CommandError> {
    let host = &settings.host;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
    let at = |port: u16| Bound::new(&format!("{host}:{port}"));
    match settings.port {
        Port::None => Ok(None),
        Port::Chosen(port) => at(port).map(Some).map_err(|error| not_created(&error)),
        Port::Default => match at(settings::PORT) {
            Ok(bound) => Ok(Some(bound)),
            Err(error @ BindError::Bind { .. }) => {
                let bound = at(0).map_err(|error| not_created(&error))?;
                log::warn!(
                    "The dashboard is at port {} instead of {}: {error}",
                    bound.address().port(),
                    settings::PORT
                );
                Ok(Some(bound))
            }
            Err(error) => Err(not_created(&error)),
        },
    }
}

fn create(path: &Path) -> Result<Record, String> {
    Record::create(path).map_err(|error| format!("open {}: {}", path.display(), io_text(&error)))
}

/// The error of an output, because users name the dashboard as one.
pub fn not_created(reason: &impl ToString) -> CommandError {
    CommandError::Output(OutputError::NotCreated { kind: OUTPUT, reason: reason.to_string() })
}

fn open_browser(url: &str) {
    let opened = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = opened {
        log::warn!("No browser could be opened ({}); the dashboard is at {url}", io_text(&error));
    }
}
