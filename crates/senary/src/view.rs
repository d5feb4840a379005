//! What the user sees of a run: its description, then its progress.

use std::io::{Write, stdout};
use std::sync::Arc;

use senary_execution::{LoadPlan, ScenarioProgress};
use senary_output::Output;

use crate::banner;
use crate::command_error::CommandError;
use crate::logging;
use crate::progress::{Display, Headline, Progress, Running, Snapshot};
use crate::run_phase::RunPhase;
use crate::settings::GlobalSettings;
use crate::terminal::{Terminal, is_terminal};
use crate::test_run::TestRun;

/// How much is shown, and where.
pub struct View {
    quiet: bool,
    color: bool,
    terminal: Option<Arc<Terminal>>,
}

impl View {
    pub fn new(global: &GlobalSettings) -> Self {
        let terminal = if global.quiet { None } else { Terminal::stdout() };
        if let Some(terminal) = terminal.clone().filter(|_| Terminal::shows_stderr()) {
            // Log lines appear above the bars instead of in the middle of them.
            logging::terminal_through(move |text| terminal.print(text));
        }
        Self { quiet: global.quiet, color: is_terminal(&stdout()) && !global.no_color, terminal }
    }

    /// Prints the banner and the plan.
    pub fn describe(
        &self,
        script: &str,
        plan: &LoadPlan,
        outputs: &[Box<dyn Output>],
        dashboard: Option<&str>,
    ) {
        if self.quiet {
            return;
        }
        let outputs: Vec<_> = outputs.iter().map(|output| output.description()).collect();
        let text = banner::text(&banner::Description {
            script,
            dashboard,
            outputs: &outputs,
            plan,
            color: self.color,
        });
        // A reader that closed our output does not want to read about it.
        let _ = stdout().write_all(text.as_bytes());
    }

    /// Whether progress is redrawn in place.
    pub fn has_bars(&self) -> bool {
        self.terminal.is_some()
    }

    /// Shows how far the run is until the result is dropped.
    pub fn follow(&self, run: &TestRun) -> Result<Progress, CommandError> {
        let display = match &self.terminal {
            _ if self.quiet => Display::None,
            Some(terminal) => Display::Bars { terminal: terminal.clone(), color: self.color },
            None => Display::Plain,
        };
        let handle = run.handle.clone();
        let (planned, max_vus, max_duration) =
            (run.plan.load.planned_vus(), run.plan.load.max_vus(), run.plan.load.max_duration());
        let registry = run.handle.lifecycle.bundle.registry().clone();
        let snapshot = move || {
            let progress = handle.progress();
            let name = |of: &ScenarioProgress| Some(registry.metric(of.p95?.1?)?.name.to_string());
            let measured = progress.scenarios.iter().map(name).collect();
            let headline = match progress.phase {
                RunPhase::Created => Headline::Preparing("Starting outputs"),
                RunPhase::InitVus => {
                    Headline::InitializingVus { initialized: progress.initialized_vus, planned }
                }
                RunPhase::InitDone | RunPhase::Started => Headline::Preparing("Init executors"),
                RunPhase::PausedBeforeRun => Headline::Stage("paused"),
                RunPhase::Setup => Headline::Stage("setup()"),
                RunPhase::Teardown => Headline::Teardown,
                RunPhase::Running | RunPhase::Ended | RunPhase::Interrupted => Headline::Running(Running {
                    elapsed: progress.elapsed,
                    max_duration,
                    active_vus: progress.active_vus,
                    initialized_vus: progress.initialized_vus,
                    max_vus,
                    complete_iterations: progress.complete_iterations,
                    interrupted_iterations: progress.interrupted_iterations,
                }),
            };
            Snapshot { headline, scenarios: progress.scenarios, measured }
        };
        Progress::start(display, &run.handle.events, snapshot)
            .map_err(CommandError::system("starting the progress display"))
    }
}
