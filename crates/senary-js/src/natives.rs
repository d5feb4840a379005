//! What the program brings into scripts: modules that they import by name, and globals.
//!
//! The runtime knows only these types, and no module. It gets the modules together with the options of a run.

use std::fmt;
use std::sync::Arc;

use rquickjs::{Ctx, Object};

/// Builds a module's exports in a context.
pub type Exports = for<'js> fn(&Ctx<'js>) -> rquickjs::Result<Object<'js>>;

/// A module that scripts import by its name and that is part of the program.
pub struct NativeModule {
    pub name: &'static str,
    pub exports: Exports,
    /// Its objects keep files of the operating system open, such as connections.
    pub opens_files: bool,
}

impl NativeModule {
    /// A module that opens no files.
    pub const fn new(name: &'static str, exports: Exports) -> Self {
        Self { name, exports, opens_files: false }
    }
}

/// All native modules there are.
#[derive(Clone, Copy)]
pub struct NativeModules {
    modules: &'static [NativeModule],
    why_missing: fn(&str) -> String,
}

impl NativeModules {
    /// `why_missing` gives the message for an import of a native module that is not among `modules`.
    pub const fn new(modules: &'static [NativeModule], why_missing: fn(&str) -> String) -> Self {
        Self { modules, why_missing }
    }

    /// The module of that name.
    pub fn get(&self, name: &str) -> Option<&'static NativeModule> {
        self.modules.iter().find(|module| module.name == name)
    }

    pub fn why_missing(&self, name: &str) -> String {
        (self.why_missing)(name)
    }
}

impl Default for NativeModules {
    fn default() -> Self {
        Self::new(&[], |name| format!("there is no module {name:?}"))
    }
}

/// The native modules, and what they put into every context before any script runs in it.
#[derive(Clone)]
pub struct Natives {
    pub modules: NativeModules,
    install: Arc<dyn Fn(&Ctx<'_>) -> rquickjs::Result<()> + Send + Sync>,
}

impl Natives {
    /// `install` defines globals, and stores in the context what a module shares among all VUs of the test.
    pub fn new(
        modules: NativeModules,
        install: impl Fn(&Ctx<'_>) -> rquickjs::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { modules, install: Arc::new(install) }
    }

    pub fn install(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        (self.install)(ctx)
    }
}

impl Default for Natives {
    fn default() -> Self {
        Self::new(NativeModules::default(), |_| Ok(()))
    }
}

impl fmt::Debug for Natives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.modules.modules.iter().map(|module| module.name)).finish()
    }
}
