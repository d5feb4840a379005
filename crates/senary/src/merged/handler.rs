//! The script's `handleSummary()`, for the summary of a whole test: called once, with a script from the states or from a file.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use senary_execution::{RunContext, Shutdown};
use senary_js::Lifecycle;
use senary_js::bundle::HANDLE_SUMMARY;

use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::options::OptionLayers;
use crate::script::{self, Planned};
use crate::settings::{GivenTest, GlobalSettings, RuntimeSettings};
use crate::test_run::vu_settings;

/// A script to be loaded, and how.
pub struct SummaryScript {
    /// What messages call it, or the path of a file.
    pub name: String,
    /// The script that a state holds; `None` if the name is a file's.
    pub archive: Option<Vec<u8>>,
}

/// What calls the function, and how long it may take. `None` if the script has no such function.
pub type SummaryHandler = Option<(Arc<Lifecycle>, Duration)>;

/// Loads the script. Its options are those of the test: nothing else has a say in them.
pub async fn load(
    script: SummaryScript,
    mut runtime: RuntimeSettings,
    global: &GlobalSettings,
    env: &Environment,
    shutdown: &Shutdown,
) -> Result<SummaryHandler, CommandError> {
    runtime.given = script.archive.map(GivenTest::Archive);
    // They were judged already, and may name metrics that only the instances know.
    runtime.no_thresholds = true;
    let layers = OptionLayers::default();
    let planned = script::planned(&script.name, layers, &runtime, global, env, shutdown).await?;
    let Planned { test, plan, .. } = planned;
    if !test.bundle.exports_anything_as(HANDLE_SUMMARY) {
        return Ok(None);
    }
    let limit = plan.lifecycle.handle_summary_timeout;
    let settings = Arc::new(vu_settings(&plan, &test.bundle));
    let run = RunContext::new(shutdown.clone(), Arc::new(|_| {}));
    let lifecycle =
        Lifecycle { bundle: Arc::new(test.bundle), settings, run, next_producer: AtomicU32::new(0) };
    Ok(Some((Arc::new(lifecycle), limit)))
}
