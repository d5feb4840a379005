//! The context that script runs in, in the words of the reference: the init context or the VU context. Natives that
//! work in only one of them ask this module.

use std::cell::Cell;
use std::rc::Rc;

use rquickjs::Ctx;

/// The part of a script's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptContext {
    /// The global scope: imports, `open()`, metrics and shared data are declared here.
    Init,
    /// `setup`, iterations, `teardown` and `handleSummary`.
    Vu,
}

/// The context that the script of one VU runs in now, kept as userdata of its engine's context; clones share it.
#[derive(Clone, Debug)]
pub struct CurrentContext {
    current: Rc<Cell<ScriptContext>>,
}

crate::userdata!(CurrentContext);

impl CurrentContext {
    pub fn new() -> Self {
        Self { current: Rc::new(Cell::new(ScriptContext::Init)) }
    }

    pub fn is_init(&self) -> bool {
        self.current.get() == ScriptContext::Init
    }

    pub fn set(&self, context: ScriptContext) {
        self.current.set(context);
    }
}

impl Default for CurrentContext {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether script runs in the init context of a VU.
pub fn is_init(ctx: &Ctx<'_>) -> bool {
    ctx.userdata::<CurrentContext>().is_some_and(|context| context.is_init())
}

/// Whether script runs in the VU context.
pub fn is_vu(ctx: &Ctx<'_>) -> bool {
    ctx.userdata::<CurrentContext>().is_some_and(|context| !context.is_init())
}
