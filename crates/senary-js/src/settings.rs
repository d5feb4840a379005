//! What every VU of a test shares and none may change: decided before the first VU starts.

use std::sync::{Arc, PoisonError, RwLock};

use senary_metrics::TagSet;
use senary_net::{Dialer, LocalIps};

use crate::derived_options::DerivedOptions;

/// Which system tags samples carry. Protocol modules look at none of them: theirs are always on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemTags {
    pub group: bool,
    pub check: bool,
    pub scenario: bool,
    /// `vu` and `iter` go to the metadata of samples.
    pub vu: bool,
    pub iter: bool,
}

impl Default for SystemTags {
    fn default() -> Self {
        Self { group: true, check: true, scenario: true, vu: false, iter: false }
    }
}

/// Everything a VU needs to know of the test it belongs to.
pub struct VuSettings {
    pub run_tags: TagSet,
    pub system_tags: SystemTags,
    pub dialer: Arc<Dialer>,
    /// Source addresses from `--local-ips`, spread over VUs.
    pub local_ips: Option<LocalIps>,
    /// The consolidated options as JSON, as `exec.test.options` shows them.
    pub options_json: String,
    /// Those of them that the script did not export so.
    pub derived_options: Arc<DerivedOptions>,
    /// `throw`: warnings become exceptions.
    pub throw: bool,
    pub setup_data: SetupData,
}

/// What `setup()` returned, as JSON. It is set before the first iteration; a VU parses it at its first one and
/// then keeps its own copy.
#[derive(Debug, Default)]
pub struct SetupData {
    json: RwLock<Option<Arc<str>>>,
}

impl SetupData {
    pub fn get(&self) -> Option<Arc<str>> {
        self.json.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, json: Option<String>) {
        *self.json.write().unwrap_or_else(PoisonError::into_inner) = json.map(Arc::from);
    }
}
