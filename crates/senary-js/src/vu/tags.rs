//! The tags a VU's samples carry at the moment: the test's, the scenario's, the script's own, the group.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use senary_execution::WorkerContext;
use senary_metrics::{Metadata, TagSet, TagSetId};

use crate::settings::SystemTags;

pub use senary_metrics::group::SEPARATOR as GROUP_SEPARATOR;
pub use senary_metrics::tags::system::{GROUP, ITER, SCENARIO, VU};

/// Current tags of one VU, interned with its worker.
pub struct VuTags {
    worker: Rc<WorkerContext>,
    current: RefCell<TagSet>,
    id: Cell<TagSetId>,
    metadata: RefCell<Vec<(Arc<str>, Arc<str>)>>,
    shared_metadata: RefCell<Option<Metadata>>,
}

impl VuTags {
    pub fn new(worker: &Rc<WorkerContext>, base: &TagSet, system: SystemTags) -> Self {
        let base = if system.group { base.with(GROUP, "") } else { base.clone() };
        let id = worker.record(|r| r.intern(&base));
        Self {
            worker: worker.clone(),
            current: RefCell::new(base),
            id: Cell::new(id),
            metadata: RefCell::default(),
            shared_metadata: RefCell::default(),
        }
    }

    /// Starts over from these tags, outside any group.
    pub fn reset(&self, worker: &WorkerContext, base: &TagSet, system: SystemTags) {
        self.metadata.borrow_mut().clear();
        self.shared_metadata.take();
        self.replace(worker, if system.group { base.with(GROUP, "") } else { base.clone() });
    }

    /// Good for as long as no other task of the worker runs.
    pub fn id(&self) -> TagSetId {
        if !self.id.get().is_of(self.worker.epoch()) {
            self.id.set(self.worker.record(|r| r.intern(&self.current.borrow())));
        }
        self.id.get()
    }

    pub fn current(&self) -> TagSet {
        self.current.borrow().clone()
    }

    pub fn set(&self, worker: &WorkerContext, key: &str, value: &str) {
        let next = self.current.borrow().with(key, value);
        self.replace(worker, next);
    }

    pub fn remove(&self, worker: &WorkerContext, key: &str) {
        let next = self.current.borrow().without(key);
        self.replace(worker, next);
    }

    /// Enters a group within the present one, and returns the present one, to go back to. A group is nothing but its
    /// tag: a script may set the tag, and so choose the group that it is in.
    pub fn enter_group(&self, worker: &WorkerContext, name: &str) -> Option<String> {
        let outer = self.current.borrow().get(GROUP).map(str::to_owned);
        let path = outer.as_deref().unwrap_or_default();
        // A group without a name at the root is the root.
        if !(path.is_empty() && name.is_empty()) {
            self.set(worker, GROUP, &format!("{path}{GROUP_SEPARATOR}{name}"));
        }
        outer
    }

    pub fn leave_group(&self, worker: &WorkerContext, outer: Option<&str>) {
        match outer {
            Some(path) => self.set(worker, GROUP, path),
            None => self.remove(worker, GROUP),
        }
    }

    pub fn metadata(&self) -> Option<Metadata> {
        self.shared_metadata.borrow().clone()
    }

    pub fn metadata_value(&self, key: &str) -> Option<Arc<str>> {
        self.metadata.borrow().iter().find(|(k, _)| &**k == key).map(|(_, v)| v.clone())
    }

    pub fn metadata_keys(&self) -> Vec<Arc<str>> {
        self.metadata.borrow().iter().map(|(k, _)| k.clone()).collect()
    }

    /// Sets or, with `None`, removes a piece of metadata.
    pub fn set_metadata(&self, key: &str, value: Option<&str>) {
        let mut entries = self.metadata.borrow_mut();
        entries.retain(|(k, _)| &**k != key);
        if let Some(value) = value {
            let at = entries.partition_point(|(k, _)| **k < *key);
            entries.insert(at, (key.into(), value.into()));
        }
        let shared = (!entries.is_empty()).then(|| Metadata::from(entries.as_slice()));
        self.shared_metadata.replace(shared);
    }

    fn replace(&self, worker: &WorkerContext, next: TagSet) {
        self.id.set(worker.record(|r| r.intern(&next)));
        self.current.replace(next);
    }
}
