//! Which part of a script's life is running; natives that belong to one part ask here.

use std::cell::Cell;
use std::rc::Rc;

use rquickjs::JsLifetime;

/// The part of a script's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The global scope: imports, `open()`, metrics and shared data are declared here.
    Init,
    /// `setup`, iterations, `teardown` and `handleSummary`.
    Vu,
}

/// The phase of one VU, kept as userdata of its context; clones share it.
#[derive(Clone, Debug)]
pub struct VuPhase {
    current: Rc<Cell<Phase>>,
}

// SAFETY: it holds no JavaScript value, so there is no lifetime to change.
unsafe impl<'js> JsLifetime<'js> for VuPhase {
    type Changed<'to> = VuPhase;
}

impl VuPhase {
    pub fn new() -> Self {
        Self { current: Rc::new(Cell::new(Phase::Init)) }
    }

    pub fn is_init(&self) -> bool {
        self.current.get() == Phase::Init
    }

    pub fn set(&self, phase: Phase) {
        self.current.set(phase);
    }
}

impl Default for VuPhase {
    fn default() -> Self {
        Self::new()
    }
}
