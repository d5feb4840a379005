//! Slow clients: a limit of the bytes that are received or sent per second.

use std::cell::Cell;
use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, Instant};

use rquickjs::function::Opt;
use rquickjs::{Ctx, Value};
use tokio::time::Sleep;

use super::class::Receiver;
use super::extended_class::extended_of;
use super::framing::{field, only_known, whole, wrong};

/// Bytes move in steps of this time, so that a slow client is slow all the time and has no bursts.
const STEP: Duration = Duration::from_millis(50);
/// Only the delay of a late timer is made up for: no burst follows a pause.
const CATCH_UP: Duration = Duration::from_millis(5);

/// The limits of a socket.
#[derive(Default)]
pub struct Throttle {
    pub read: Limit,
    pub write: Limit,
}

#[derive(Default)]
pub struct Limit(Cell<Option<Pace>>);

#[derive(Clone, Copy, Debug)]
struct Pace {
    /// In bytes.
    per_second: f64,
    /// When something may move again.
    next: Instant,
}

impl Limit {
    /// 0 removes the limit.
    fn set(&self, per_second: u64, now: Instant) {
        self.0.set((per_second > 0).then_some(Pace { per_second: per_second as f64, next: now }));
    }

    pub fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    /// When something may move again, if that is not now.
    pub fn opens(&self) -> Option<Instant> {
        self.0.get().map(|pace| pace.next).filter(|next| *next > Instant::now())
    }

    /// How many bytes may move at a time, of so many that could.
    pub fn step(&self, bytes: usize) -> usize {
        self.0.get().map_or(bytes, |pace| pace.step().min(bytes))
    }

    /// So many bytes have moved.
    pub fn moved(&self, bytes: usize) {
        if let Some(mut pace) = self.0.get() {
            pace.moved(bytes, Instant::now());
            self.0.set(Some(pace));
        }
    }
}

impl Pace {
    fn step(&self) -> usize {
        (self.per_second * STEP.as_secs_f64()).clamp(1.0, usize::MAX as f64) as usize
    }

    fn moved(&mut self, bytes: usize, now: Instant) {
        let takes = Duration::try_from_secs_f64(bytes as f64 / self.per_second).unwrap_or(Duration::MAX);
        let from = now.checked_sub(CATCH_UP).map_or(self.next, |earliest| self.next.max(earliest));
        // A very long time counts as no limit; it must fit into an `Instant` on every system.
        self.next = from + takes.min(Duration::from_secs(1_000_000_000));
    }
}

/// A timer for the moment at which a limit lets something through.
#[derive(Default)]
pub struct Gate(Option<(Instant, Pin<Box<Sleep>>)>);

impl Gate {
    /// Whether it is too early; then the task is woken when it is not any more.
    pub fn is_closed(&mut self, limit: &Limit, cx: &mut Context<'_>) -> bool {
        loop {
            let Some(opens) = limit.opens() else {
                self.0 = None;
                return false;
            };
            if self.0.as_ref().is_none_or(|(at, _)| *at != opens) {
                self.0 = Some((opens, Box::pin(tokio::time::sleep_until(opens.into()))));
            }
            let Some((_, timer)) = &mut self.0 else { return false };
            if timer.as_mut().poll(cx).is_pending() {
                return true;
            }
            self.0 = None;
        }
    }
}

/// `throttle({ read, write })`: what is left out stays as it is.
pub fn throttle<'js>(ctx: Ctx<'js>, this: Receiver<'js>, limits: Opt<Value<'js>>) -> rquickjs::Result<()> {
    let core = this.0.borrow().core.clone();
    let extended = extended_of(&ctx, &core)?;
    let Some(limits) = limits.0.as_ref().and_then(Value::as_object) else {
        return Err(wrong(
            &ctx,
            "throttle() takes limits in bytes per second, as in { read: 1000, write: 0 }",
        ));
    };
    only_known(limits, "throttle()", &[&["read", "write"]])?;
    let of = |name| field(limits, name)?.map(|value| whole(&ctx, name, &value)).transpose();
    let (read, write) = (of("read")?, of("write")?);
    let now = Instant::now();
    read.into_iter().for_each(|read| extended.throttle.read.set(read, now));
    write.into_iter().for_each(|write| extended.throttle.write.set(write, now));
    core.wake();
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whenever bytes are moved as soon as they may be, no more than the limit and one step go through in any time.
        #[test]
        fn no_more_moves_than_may(
            per_second in 1u64..10_000_000,
            late in proptest::collection::vec(0u64..200, 1..100),
        ) {
            let begin = Instant::now() + Duration::from_secs(3600);
            let mut pace = Pace { per_second: per_second as f64, next: begin };
            let (mut now, mut moved) = (begin, 0);
            for late in late {
                now = now.max(pace.next) + Duration::from_millis(late);
                let step = pace.step();
                pace.moved(step, now);
                moved += step;
                let time = (now - begin + CATCH_UP).as_secs_f64();
                let most = time * per_second as f64 + step as f64;
                prop_assert!(moved as f64 <= most + 1.0, "{moved} bytes in {time} s");
            }
        }
    }
}
