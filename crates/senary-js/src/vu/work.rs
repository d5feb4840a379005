//! Work that needs no script: it is done beside the VU, and its outcome comes back as an event.

use std::future::Future;
use std::rc::Rc;

use rquickjs::{Ctx, Value};

use super::core::vu_of;
use crate::event_loop::Event;
use crate::promise::pending;

/// A promise for the outcome of work that needs no script. The iteration lasts until the work is done; if it ends
/// otherwise, the promise stays as it is and the outcome is dropped.
///
/// `then` makes the outcome a value, or throws; it runs when the event's turn comes.
pub fn promise<'js, T, Then>(
    ctx: &Ctx<'js>,
    work: impl Future<Output = T> + 'static,
    then: Then,
) -> rquickjs::Result<Value<'js>>
where
    T: 'static,
    Then: for<'a> FnOnce(&Ctx<'a>, T) -> rquickjs::Result<Value<'a>> + 'static,
{
    let (promise, resolvers) = pending(ctx)?;
    let vu = vu_of(ctx)?;
    let operation = vu.events.begin_operation(resolvers);
    // The task may outlive the VU, and holds nothing of its engine.
    let vu = Rc::downgrade(&vu);
    tokio::task::spawn_local(async move {
        let outcome = work.await;
        let Some(vu) = vu.upgrade() else { return };
        let Some(resolvers) = vu.events.end_operation(operation) else { return };
        let settle = move |ctx: &Ctx<'_>| resolvers.settle(ctx, then(ctx, outcome));
        vu.events.push(Event::Callback(Box::new(settle)));
    });
    Ok(promise)
}
