//! Making VUs of a bundle for the scheduler.

use std::rc::Rc;
use std::sync::Arc;

use senary_execution::{VuFactory, VuId, WorkerContext};
use tokio_util::sync::CancellationToken;

use crate::bundle::Bundle;
use crate::failure::ScriptFailure;
use crate::lifecycle_error::LifecycleError;
use crate::settings::VuSettings;
use crate::vu::js_vu::JsVu;

/// Makes VUs; shared by all workers.
pub struct JsVuFactory {
    bundle: Arc<Bundle>,
    settings: Arc<VuSettings>,
}

impl JsVuFactory {
    pub fn new(bundle: Arc<Bundle>, settings: Arc<VuSettings>) -> Self {
        Self { bundle, settings }
    }
}

impl VuFactory for JsVuFactory {
    type Vu = JsVu;
    type Error = LifecycleError;

    async fn create(
        &self,
        id: VuId,
        worker: &Rc<WorkerContext>,
        interrupt: &CancellationToken,
    ) -> Result<JsVu, LifecycleError> {
        let program = &self.bundle.program;
        match program.init_vu(id, worker, self.settings.clone(), interrupt).await {
            Ok(inner) => Ok(JsVu::new(inner, program.clone())),
            Err(LifecycleError::Script(failure)) if failure != ScriptFailure::Interrupted => {
                Err(LifecycleError::VuInit { vu: id.in_instance, failure })
            }
            Err(error) => Err(error),
        }
    }

    /// The engine is not freed: the process ends soon, and its memory with it. Freeing thousands of engines would delay
    /// the summary by a quarter of the time that it took to make them.
    fn retire(&self, vu: JsVu) {
        vu.close();
        std::mem::forget(vu);
    }
}
