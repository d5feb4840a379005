//! Stacks that script code runs on, so that a call in the middle of JavaScript can give the worker back.
//!
//! A VU enters script on a coroutine. A blocking native (`sleep()`) suspends it; the worker runs other VUs and
//! resumes it later. When no script is on the stack a VU holds no coroutine: stacks are pooled per worker.
//! What blocks, and for how long, is the event loop's business.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::time::Instant;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::stack::{self, Room, ScriptStack};
use crate::{slice_clock, wake};

/// What a suspended coroutine waits for.
pub enum Blocked {
    Until(Instant),
    /// Work that needs no script. It is dropped if the script has to leave before the work is done.
    On(Pin<Box<dyn Future<Output = ()>>>),
}

impl Blocked {
    /// Whether the script waits for work, and not for a time.
    pub fn is_for_work(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Waits until the blocking call is over; others get their turn also if that is now.
    pub async fn wait(self) {
        match self {
            Self::Until(until) if until <= Instant::now() => tokio::task::yield_now().await,
            Self::Until(until) => wake::sleep_until(until).await,
            Self::On(work) => work.await,
        }
    }
}

/// What a suspended script has to do when it is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    Continue,
    /// Leave at once: throw what no script can catch.
    Cancel,
}

/// Where script code stands after it was entered or resumed.
pub enum Entered<R> {
    Finished(R),
    Blocked(Suspended<R>, Blocked),
}

/// Script code waiting in the middle of a native call. It must be resumed to its end. Dropping it would unwind through
/// the script's frames, and a `catch` of the script could stop that again and again.
pub struct Suspended<R> {
    coroutine: Coroutine<Resume, Blocked, Left<R>, ScriptStack>,
}

/// What is left when script has run.
pub struct Left<R> {
    pub result: R,
    /// Whether it needed so much of its stack that the memory is to be given back.
    pub stack_is_deep: bool,
}

/// Runs `body` on a pooled stack until it ends or blocks through `gate`.
pub fn enter<R: 'static>(
    gate: &BlockGate,
    body: impl FnOnce(Room) -> Left<R> + 'static,
) -> std::io::Result<Entered<R>> {
    let gate = gate.clone();
    let stack = stack::take()?;
    let room = stack.room();
    let coroutine = Coroutine::with_stack(stack, move |yielder, _| {
        gate.slot.set(Some(NonNull::from(yielder)));
        let result = body(room);
        gate.slot.set(None);
        result
    });
    Ok(Suspended { coroutine }.resume(Resume::Continue))
}

impl<R: 'static> Suspended<R> {
    pub fn resume(mut self, with: Resume) -> Entered<R> {
        let stretch = slice_clock::enter();
        let entered = self.coroutine.resume(with);
        drop(stretch);
        match entered {
            CoroutineResult::Yield(blocked) => Entered::Blocked(self, blocked),
            CoroutineResult::Return(left) => {
                stack::give_back(self.coroutine.into_stack(), left.stack_is_deep);
                Entered::Finished(left.result)
            }
        }
    }
}

type Slot = Cell<Option<NonNull<Yielder<Resume, Blocked>>>>;

/// The door through which natives of one VU suspend the coroutine they run on.
#[derive(Clone, Default)]
pub struct BlockGate {
    slot: std::rc::Rc<Slot>,
}

impl BlockGate {
    /// Suspends the running script. `None`: no coroutine is running, so nothing can be suspended.
    pub fn block(&self, blocked: Blocked) -> Option<Resume> {
        let yielder = self.slot.get()?;
        // SAFETY: the slot is filled by the coroutine's first instruction and emptied by its last, and the
        // yielder lives on that coroutine's stack for all of that time. Natives are called by script, which
        // runs only on that coroutine: one VU has at most one, and its runtime is entered nowhere else.
        Some(unsafe { yielder.as_ref() }.suspend(blocked))
    }
}
