//! A bundle: the script of a test and everything it is made of, initialised once and shared by all VUs.
//!
//! Loading runs the script's init code for the first time, finds its options and exports, and then locks the
//! module store. VUs are made from a bundle by [`JsVuFactory`](crate::factory::JsVuFactory).

use std::rc::Rc;
use std::sync::Arc;

use rquickjs::{Object, Value};
use senary_execution::{RunContext, Shutdown, VuId, WorkerContext};
use senary_metrics::{ProducerId, Registry};
use senary_web::Client;
use tokio_util::sync::CancellationToken;

use crate::failure::ScriptFailure;
use crate::json::{self, Gaps, JsonError};
use crate::lifecycle_error::LifecycleError;
use crate::program::{OPTIONS, Program, RuntimeOptions};
use crate::properties;
use crate::settings::VuSettings;
use crate::source::{ModuleStore, ScriptSource, loader};

/// Shared by every VU.
pub struct Bundle {
    pub(crate) program: Arc<Program>,
    options: serde_json::Value,
    exports: Vec<String>,
    /// Names of exports that are not functions.
    values: Vec<String>,
    opens_files: bool,
}

/// What is known of a script once its init code has run.
#[derive(Default)]
struct Found {
    options: serde_json::Value,
    exports: Vec<String>,
    values: Vec<String>,
    opens_files: bool,
}

/// Names the reference calls itself; each must be a function if it is there.
pub const SETUP: &str = "setup";
pub const TEARDOWN: &str = "teardown";
pub const HANDLE_SUMMARY: &str = "handleSummary";

impl Bundle {
    /// Loads a script from its own URL. Imports over the network use no proxy.
    pub fn load(
        source: ScriptSource,
        runtime: RuntimeOptions,
        registry: Registry,
        shutdown: &Shutdown,
    ) -> Result<Self, LifecycleError> {
        let store =
            ModuleStore::new(source, runtime.natives.modules, Client::default(), shutdown.token().clone());
        Self::of_store(store, runtime, registry, shutdown)
    }

    /// Runs the script's init code. It may take as long as the script likes; `shutdown` ends it.
    pub fn of_store(
        store: Arc<ModuleStore>,
        runtime: RuntimeOptions,
        registry: Registry,
        shutdown: &Shutdown,
    ) -> Result<Self, LifecycleError> {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| LifecycleError::system(&error))?;
        let mut bundle = Self {
            program: Arc::new(Program::new(store, runtime, registry)),
            options: serde_json::Value::Null,
            exports: Vec::new(),
            values: Vec::new(),
            opens_files: false,
        };
        // Nothing may be measured yet, so there is no receiver for samples.
        let run = RunContext::new(shutdown.clone(), Arc::new(|_| {}));
        let worker = WorkerContext::new(ProducerId(0), run);
        let local = tokio::task::LocalSet::new();
        let found = local.block_on(&executor, bundle.first_init(&worker, shutdown.token()))?;
        bundle.options = found.options;
        bundle.exports = found.exports;
        bundle.values = found.values;
        bundle.opens_files = found.opens_files;
        bundle.store().lock();
        Ok(bundle)
    }

    /// Everything the script loaded, and itself.
    pub fn store(&self) -> &ModuleStore {
        &self.program.store
    }

    /// Replaces the options that the script exports: an archive has its own.
    pub fn with_options(mut self, options: serde_json::Value) -> Self {
        self.options = options;
        self
    }

    /// The options the script exports, as JSON; null without any.
    pub fn options(&self) -> &serde_json::Value {
        &self.options
    }

    /// Names of the exported functions.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    pub fn has_export(&self, name: &str) -> bool {
        self.exports.iter().any(|export| export == name)
    }

    /// Whether there is an export of that name, function or not.
    pub fn exports_anything_as(&self, name: &str) -> bool {
        self.has_export(name) || self.values.iter().any(|value| value == name)
    }

    /// Whether the script imports a module whose objects are open files, as connections are.
    pub fn opens_files(&self) -> bool {
        self.opens_files
    }

    /// Whether a VU may stay in the middle of a call for long, and so keep a stack.
    pub fn blocks(&self) -> bool {
        self.program.store.mentions("sleep")
    }

    pub fn registry(&self) -> &Registry {
        &self.program.registry
    }

    /// Finds everything the script imports, before any of it runs.
    fn link(&self) -> Result<(), LifecycleError> {
        let url = || self.program.store.entry.url.clone();
        self.program.store.link_entry().map_err(|error| LifecycleError::Source { url: url(), error })
    }

    async fn first_init(
        &self,
        worker: &Rc<WorkerContext>,
        interrupt: &CancellationToken,
    ) -> Result<Found, LifecycleError> {
        self.link()?;
        let settings = Arc::new(init_settings()?);
        let id = VuId { in_instance: 0, in_test: 0 };
        let inner = self.program.init_vu(id, worker, settings, interrupt).await?;
        let found = inner.with_script(|ctx| -> Result<_, LifecycleError> {
            let thrown = |e| LifecycleError::Script(ScriptFailure::from_error(ctx, e));
            let Some(exports) = inner.exports.borrow().clone() else { return Ok(Default::default()) };
            let exports: Object<'_> = exports.restore(ctx).map_err(thrown)?;
            let (mut names, mut values) = (Vec::new(), Vec::new());
            for entry in properties::all_entries(&exports) {
                let (key, value) = entry.map_err(thrown)?;
                if value.is_function() {
                    names.push(key);
                } else if key == SETUP || key == TEARDOWN {
                    return Err(LifecycleError::NotAFunction(key));
                } else {
                    values.push(key);
                }
            }
            let options: Value<'_> = exports.get(OPTIONS).map_err(thrown)?;
            let options = options_as_json(ctx, options)?;
            let imported = loader::natives_imported(ctx).map_err(thrown)?;
            let opens_files = imported
                .iter()
                .any(|name| self.program.store.natives.get(name).is_some_and(|module| module.opens_files));
            Ok(Found { options, exports: names, values, opens_files })
        });
        inner.abandon();
        found
    }
}

fn options_as_json<'js>(
    ctx: &rquickjs::Ctx<'js>,
    options: Value<'js>,
) -> Result<serde_json::Value, LifecycleError> {
    let json = json::of(ctx, options, Gaps::Told).map_err(|error| match error {
        JsonError::Script(failure) => LifecycleError::Script(failure),
        error => LifecycleError::Options(error.to_string()),
    })?;
    let Some(json) = json else { return Ok(serde_json::Value::Null) };
    // A script can write JSON that is nested too deeply for the parser.
    serde_json::from_str(&json).map_err(|error| LifecycleError::Options(error.to_string()))
}

/// Settings for init code that runs before the options are known; nothing in them can be used there.
fn init_settings() -> Result<VuSettings, LifecycleError> {
    VuSettings::without_options().map_err(|error| LifecycleError::Engine(error.to_string()))
}
