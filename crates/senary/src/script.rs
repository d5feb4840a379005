//! From the name on the command line to a bundle: reading the script and running its init code.

use senary_execution::Shutdown;
use senary_js::{Bundle, LifecycleError, RuntimeOptions, ScriptFailure, ScriptSource};
use senary_metrics::Registry;

use crate::exit_code::Failure;
use crate::options::RuntimeSettings;

/// Reads the script; `-` is standard input.
pub fn read(name: &str) -> Result<ScriptSource, Failure> {
    let cwd = std::env::current_dir()
        .map_err(|e| Failure::System { doing: "finding the working directory", reason: e.to_string() })?;
    ScriptSource::read(name, &cwd).map_err(Failure::Unreadable)
}

/// Runs the script's init code for the first time, on a thread of its own: it takes as long as the script likes.
pub async fn load(
    source: ScriptSource,
    runtime: &RuntimeSettings,
    registry: &Registry,
    shutdown: &Shutdown,
) -> Result<Bundle, Failure> {
    let options =
        RuntimeOptions { env: runtime.env.as_slice().into(), base_compatibility: runtime.base_compatibility };
    let name = source.url.rsplit('/').next().unwrap_or_default().to_owned();
    let (registry, stop) = (registry.clone(), shutdown.clone());
    let loading = tokio::task::spawn_blocking(move || Bundle::load(source, options, registry, &stop));
    let loaded =
        loading.await.map_err(|e| Failure::System { doing: "loading the script", reason: e.to_string() })?;
    let bundle = loaded.map_err(|error| match or_stopped(error, shutdown) {
        Failure::Lifecycle(error) => Failure::Init { script: name, error },
        failure => failure,
    })?;
    if bundle.exports().is_empty() {
        return Err(Failure::NoExports);
    }
    Ok(bundle)
}

/// What ended a script that was interrupted is the shutdown, not the script.
pub fn or_stopped(error: LifecycleError, shutdown: &Shutdown) -> Failure {
    match (error, shutdown.reason()) {
        (LifecycleError::Script(ScriptFailure::Interrupted), Some(reason)) => {
            Failure::Stopped(reason.clone())
        }
        (error, _) => Failure::Lifecycle(error),
    }
}
