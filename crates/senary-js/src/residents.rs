//! Objects that outlive the iterations of their VU, such as a connection that the next iteration uses, too.
//!
//! They keep an iteration open only while it waits for them, and they are closed when the VU ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::live::{Live, LiveId};

#[derive(Default)]
pub struct Residents {
    all: RefCell<FxHashMap<LiveId, Resident>>,
    /// How many the iteration waits for.
    busy: Cell<usize>,
}

struct Resident {
    live: Rc<dyn Live>,
    is_busy: bool,
}

impl Residents {
    pub fn keep(&self, id: LiveId, live: Rc<dyn Live>) {
        let known = self.all.borrow_mut().insert(id, Resident { live, is_busy: false });
        self.busy.set(self.busy.get() - usize::from(known.is_some_and(|known| known.is_busy)));
    }

    /// It is closed.
    pub fn forget(&self, id: LiveId) {
        // Taken out first: its destructor may look at this list.
        let known = self.all.borrow_mut().remove(&id);
        self.busy.set(self.busy.get() - usize::from(known.is_some_and(|known| known.is_busy)));
    }

    /// Whether the iteration waits for it.
    pub fn set_busy(&self, id: LiveId, is_busy: bool) {
        let mut all = self.all.borrow_mut();
        let Some(resident) = all.get_mut(&id) else { return };
        let was_busy = std::mem::replace(&mut resident.is_busy, is_busy);
        self.busy.set(self.busy.get() + usize::from(is_busy) - usize::from(was_busy));
    }

    pub fn is_empty(&self) -> bool {
        self.all.borrow().is_empty()
    }

    /// Whether the iteration waits for any of them.
    pub fn are_busy(&self) -> bool {
        self.busy.get() > 0
    }

    /// The residents that the iteration waits for.
    pub fn busy(&self) -> Vec<(LiveId, Rc<dyn Live>)> {
        if !self.are_busy() {
            return Vec::new();
        }
        let all = self.all.borrow();
        all.iter().filter(|(_, of)| of.is_busy).map(|(id, of)| (*id, of.live.clone())).collect()
    }

    pub fn all(&self) -> Vec<Rc<dyn Live>> {
        self.all.borrow().values().map(|resident| resident.live.clone()).collect()
    }

    /// The VU ends: all are closed, and no script runs any more.
    pub fn abandon(&self) {
        // Taken out first: what is closed may look at this list.
        let all = std::mem::take(&mut *self.all.borrow_mut());
        self.busy.set(0);
        all.into_values().for_each(|resident| resident.live.abandon());
    }
}
