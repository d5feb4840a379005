//! What the arguments ask for besides the summary. All that can be wrong with it is found before a test is followed: after
//! it, the figures of the test would be lost over a word that is spelt wrong.

use senary_execution::Shutdown;
use senary_metrics::Registry;
use senary_metrics::threshold::WatchList;
use senary_output::{Output, OutputContext, OutputError, OutputSpec};

use super::handler::{SummaryScript, load};
use super::{given_stats, time_unit, trend_stats};
use crate::cli::WholeArgs;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::settings::{GlobalSettings, RuntimeSettings};

/// The output that needs results only.
const JUNIT: &str = "junit";

/// What is written besides the summary, once there are results.
pub struct Prepared {
    pub outputs: Vec<Box<dyn Output>>,
}

impl Prepared {
    /// Checks what was given, and opens the files of outputs.
    pub async fn new(
        args: &WholeArgs,
        settings: &RuntimeSettings,
        global: &GlobalSettings,
        env: &Environment,
        shutdown: &Shutdown,
    ) -> Result<Self, CommandError> {
        trend_stats(&given_stats(args))?;
        time_unit(args.summary_time_unit.as_deref().unwrap_or_default())?;
        if let Some(name) = &args.script {
            // The loaded script is not kept: the test may take hours, and the script is loaded again after it.
            let script = SummaryScript { name: name.clone(), archive: None };
            if load(script, settings.clone(), global, env, shutdown).await?.is_none() {
                log::warn!("{name} has no handleSummary(): the summary will be the usual one");
            }
        }
        Ok(Self { outputs: outputs(&args.out, env)? })
    }
}

/// Outputs that need no samples.
fn outputs(texts: &[String], env: &Environment) -> Result<Vec<Box<dyn Output>>, CommandError> {
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
    let create = |text: &String| {
        let spec = OutputSpec::parse(text).map_err(CommandError::Output)?;
        if spec.kind() != JUNIT {
            let reason = "states have no samples any more: of the outputs, merge has junit alone".to_owned();
            return Err(CommandError::Output(OutputError::NotCreated { kind: spec.kind(), reason }));
        }
        spec.create(&context).map_err(CommandError::Output)
    };
    texts.iter().map(create).collect()
}
