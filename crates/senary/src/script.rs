//! From the name on the command line to a plan: reading a script or an archive, running its init code, judging its options.

use std::collections::BTreeMap;
use std::sync::Arc;

use senary_execution::Shutdown;
use senary_js::source::{ModuleStore, file_url, read_file};
use senary_js::{Bundle, LifecycleError, RuntimeOptions, ScriptFailure, ScriptSource};
use senary_metrics::Registry;
use senary_modules::secrets::Secrets;
use senary_modules::{MODULES, natives};
use senary_web::Client;
use senary_words::percent;
use serde_json::Value;

use crate::archive::Archive;
use crate::background::Background;
use crate::command_error::CommandError;
use crate::environment::Environment;
use crate::logging;
use crate::options::{Note, OptionLayers, Options, ScriptOptions};
use crate::plan::{ScriptFacts, TestPlan};
use crate::settings::{GivenTest, GlobalSettings, RuntimeSettings};

/// A test as it was found.
#[derive(Debug)]
pub struct Test {
    pub source: ScriptSource,
    /// Asked for what the script imports over the network.
    web: Client,
    archived: Option<Archived>,
}

/// What an archive has besides the script.
#[derive(Debug)]
struct Archived {
    options: Value,
    env: BTreeMap<String, String>,
    base_compatibility: bool,
    contents: BTreeMap<String, Arc<[u8]>>,
}

/// Reads a test; `-` is standard input. Which kind it is shows in its first bytes, unless `kind` says it: `js` or
/// `archive`.
pub fn read(name: &str, kind: Option<&str>, web: &Client) -> Result<Test, CommandError> {
    let cwd = std::env::current_dir().map_err(CommandError::system("finding the working directory"))?;
    let (url, bytes) = read_file(name, &cwd, web).map_err(CommandError::Unreadable)?;
    let is_archive = match kind {
        None => Archive::is_archive(&bytes),
        Some("js") => false,
        Some("archive") => true,
        Some(kind) => return Err(CommandError::UnknownType { kind: kind.to_owned(), url }),
    };
    if !is_archive {
        return Ok(Test { source: source_of(url, &bytes)?, web: web.clone(), archived: None });
    }
    of_archive(Archive::read(&bytes)?, web)
}

fn of_archive(archive: Archive, web: &Client) -> Result<Test, CommandError> {
    let Archive { url, script, options, env, base_compatibility, contents } = archive;
    let archived = Archived { options, env, base_compatibility, contents };
    Ok(Test { source: source_of(url, &script)?, web: web.clone(), archived: Some(archived) })
}

fn source_of(url: String, bytes: &[u8]) -> Result<ScriptSource, CommandError> {
    ScriptSource::new(url.clone(), bytes).map_err(|error| CommandError::Init {
        script: name_of(&url),
        error: LifecycleError::Source { url, error },
    })
}

/// What messages call a script.
fn name_of(url: &str) -> String {
    percent::decoded_text(url.rsplit('/').next().unwrap_or_default())
}

impl Test {
    /// The script, and where it finds what it imports; `shutdown` ends a download under way.
    pub fn into_store(self, shutdown: &Shutdown) -> Arc<ModuleStore> {
        match self.archived {
            None => ModuleStore::new(self.source, MODULES, self.web, shutdown.token().clone()),
            Some(archived) => ModuleStore::of_archive(self.source, MODULES, archived.contents),
        }
    }

    /// `__ENV`: what is archived, and over it what this run is given.
    fn env(&self, given: &[(String, String)]) -> Vec<(String, String)> {
        let archived = self.archived.iter().flat_map(|a| &a.env).map(|(k, v)| (k.clone(), v.clone()));
        archived.chain(given.iter().cloned()).collect()
    }

    /// Whether it is run without `global`: an archive of such a test is, too.
    fn has_base_compatibility(&self, runtime: &RuntimeSettings) -> bool {
        runtime.base_compatibility || self.archived.as_ref().is_some_and(|a| a.base_compatibility)
    }
}

/// A test whose init code has run.
pub struct Loaded {
    /// As given on the command line.
    name: String,
    pub source: ScriptSource,
    /// `__ENV` as the script has it.
    pub env: Vec<(String, String)>,
    /// The part of it that does not come from the environment, and is kept in archives.
    pub kept_env: Vec<(String, String)>,
    /// Whether it is run without `global`.
    pub base_compatibility: bool,
    pub bundle: Bundle,
}

/// A test that is ready to run.
pub struct Planned {
    pub test: Loaded,
    /// The options of all layers, with the shortcuts and without the scenarios they stand for.
    pub as_given: Options,
    pub plan: TestPlan,
}

/// Loads a test and makes a plan of its options, those of the other layers above and below them.
pub async fn planned(
    name: &str,
    layers: OptionLayers,
    runtime: &RuntimeSettings,
    global: &GlobalSettings,
    env: &Environment,
    shutdown: &Shutdown,
) -> Result<Planned, CommandError> {
    let test = loaded(name, runtime, global, env, shutdown).await?;
    let (as_given, plan) = test.plan(layers, runtime)?;
    Ok(Planned { test, as_given, plan })
}

/// Reads a test and runs its init code; `shutdown` ends that.
pub async fn loaded(
    name: &str,
    runtime: &RuntimeSettings,
    global: &GlobalSettings,
    env: &Environment,
    shutdown: &Shutdown,
) -> Result<Loaded, CommandError> {
    let natives = natives(secrets(global, env)?);
    let test = match &runtime.given {
        Some(GivenTest::Archive(bytes)) => of_archive(Archive::read(bytes)?, &global.web)?,
        None => read(name, runtime.source_type.as_deref(), &global.web)?,
        Some(GivenTest::Script(text)) => {
            let cwd =
                std::env::current_dir().map_err(CommandError::system("finding the working directory"))?;
            let url = file_url(&cwd.join(name));
            Test { source: source_of(url, text.as_bytes())?, web: global.web.clone(), archived: None }
        }
    };
    let (name, source) = (name.to_owned(), test.source.clone());
    let (env, kept_env) = (test.env(&runtime.env), test.env(&runtime.given_env));
    let base_compatibility = test.has_base_compatibility(runtime);
    let RuntimeSettings { freeze_env, memory_limit, .. } = *runtime;
    let variables = env.clone().into();
    let options = RuntimeOptions { env: variables, base_compatibility, natives, freeze_env, memory_limit };
    let bundle = load(test, options, shutdown).await?;
    Ok(Loaded { name, source, env, kept_env, base_compatibility, bundle })
}

impl Loaded {
    /// What the script says of its test.
    pub fn options(&self) -> ScriptOptions<'_> {
        ScriptOptions { name: &self.name, text: &self.source.text, json: self.bundle.options() }
    }

    /// The test as it is kept in files: with the options of all layers, but without the variables of the environment.
    pub fn kept(&self, as_given: &Options) -> Archive {
        Archive {
            url: self.source.url.clone(),
            script: self.source.text.clone().into_bytes().into(),
            options: as_given.to_json().into(),
            env: self.kept_env.iter().cloned().collect(),
            base_compatibility: self.base_compatibility,
            contents: self.bundle.store().contents(),
        }
    }

    /// The options of all layers as they were given, and the plan that they make.
    pub fn plan(
        &self,
        layers: OptionLayers,
        runtime: &RuntimeSettings,
    ) -> Result<(Options, TestPlan), CommandError> {
        let mut consolidated = layers.consolidate(&self.options())?;
        consolidated.notes.iter().for_each(Note::log);
        let (exports, registry) = (self.bundle.exports(), self.bundle.registry());
        let facts = ScriptFacts { exports, registry, name: &self.name, text: &self.source.text };
        let as_given = std::mem::take(&mut consolidated.as_given);
        Ok((as_given, TestPlan::new(consolidated, runtime, &facts)?))
    }
}

/// Opens the sources of secrets; whatever they give out is hidden in the log from then on.
fn secrets(global: &GlobalSettings, env: &Environment) -> Result<Secrets, CommandError> {
    let cwd = std::env::current_dir().unwrap_or_default();
    let variable = |name: &str| env.get(name);
    Secrets::new(&global.secret_sources, variable, env.iter(), &cwd, &global.web, logging::redact)
        .map_err(|error| CommandError::Secrets(error.to_string()))
}

/// Runs the script's init code for the first time, on a thread of its own: it takes as long as the script likes.
async fn load(mut test: Test, options: RuntimeOptions, shutdown: &Shutdown) -> Result<Bundle, CommandError> {
    let name = name_of(&test.source.url);
    let archived_options = test.archived.as_mut().map(|archived| archived.options.take());
    let (store, stop) = (test.into_store(shutdown), shutdown.clone());
    let loading = Background::start("script", move || {
        let bundle = Bundle::of_store(store, options, Registry::new(), &stop)?;
        Ok(match archived_options {
            None => bundle,
            Some(options) => bundle.with_options(options),
        })
    });
    let doing = "loading the script";
    let loaded = loading.map_err(CommandError::system(doing))?.outcome().await;
    let loaded = loaded.map_err(|panicked| CommandError::System { doing, reason: panicked.to_string() })?;
    let bundle = loaded.map_err(|error| match or_stopped(error, shutdown) {
        CommandError::Lifecycle(error) => CommandError::Init { script: name, error },
        failure => failure,
    })?;
    if bundle.exports().is_empty() {
        return Err(CommandError::NoExports);
    }
    Ok(bundle)
}

/// What ended a script that was interrupted is the shutdown, not the script.
pub fn or_stopped(error: LifecycleError, shutdown: &Shutdown) -> CommandError {
    match (error, shutdown.reason()) {
        (LifecycleError::Script(ScriptFailure::Interrupted), Some(reason)) => {
            CommandError::Stopped(reason.clone())
        }
        (error, _) => CommandError::Lifecycle(error),
    }
}
