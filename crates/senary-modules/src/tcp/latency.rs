//! One-way latency: from the time that is written in a message to its arrival.

use std::time::{Duration, Instant, SystemTime};

use rquickjs::{Ctx, Value};
use rustix::time::ClockId;
use senary_wire::Field;

use super::core::SocketCore;
use super::extended::Extended;
use super::framing::{field, only_known, text, wrong};
use super::socket_options::place;

/// Where the time is in a message, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    field: Field,
    unit: Unit,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// Since 1970.
    Wall,
    /// This machine's `CLOCK_MONOTONIC`.
    Monotonic,
}

impl Unit {
    fn nanoseconds(self) -> u128 {
        match self {
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }
}

impl Latency {
    /// The option `latency`.
    pub fn of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Self> {
        let what = "latency is where the time is in a message, as in { offset: 0, bytes: 8, unit: \"ns\" }";
        let Some(given) = value.as_object() else { return Err(wrong(ctx, what)) };
        only_known(given, "latency", &[&["offset", "bytes", "endian", "unit", "clock"]])?;
        let unit = match field(given, "unit")?.map(|unit| text(&unit)).transpose()?.as_deref() {
            Some("ms") => Unit::Milliseconds,
            Some("us") => Unit::Microseconds,
            Some("ns") => Unit::Nanoseconds,
            _ => return Err(wrong(ctx, "latency.unit is \"ms\", \"us\" or \"ns\"")),
        };
        let clock = match field(given, "clock")?.map(|clock| text(&clock)).transpose()?.as_deref() {
            None | Some("wall") => Clock::Wall,
            Some("monotonic") => Clock::Monotonic,
            Some(_) => return Err(wrong(ctx, "latency.clock is \"wall\" or \"monotonic\"")),
        };
        Ok(Self { field: place(ctx, given)?, unit, clock })
    }

    /// Records how long a message was under way whose last byte came then.
    pub fn record(&self, socket: &SocketCore, extended: &Extended, message: &[u8], came: Instant) {
        // A message that is too short has no time in it.
        let Ok(written) = self.field.read(message) else { return };
        let now = self.clock.now().saturating_sub(came.elapsed());
        match self.between(written, now) {
            Some(latency) => {
                socket.books.record(extended.metrics.latency, latency);
            }
            None if socket.vu.warn_once("tcp.latency") => {
                let hint = "the clocks differ, or the place or the unit of `latency` is wrong; such messages are not measured";
                log::warn!(hint = hint, module = "tcp"; "The time in a message is later than its arrival");
            }
            None => {}
        }
    }

    /// The time to write into a message that is sent now.
    pub fn time(&self) -> u64 {
        (self.clock.now().as_nanos() / self.unit.nanoseconds()) as u64
    }

    /// In milliseconds. A field of a few bytes has only the last part of a time, so the difference wraps around. More
    /// than half of the range counts as a time in the future.
    fn between(&self, written: u64, now: Duration) -> Option<f64> {
        let largest = self.field.largest();
        let now = (now.as_nanos() / self.unit.nanoseconds()) as u64 & largest;
        let units = now.wrapping_sub(written) & largest;
        (units <= largest / 2).then(|| units as f64 * self.unit.nanoseconds() as f64 / 1e6)
    }
}

impl Clock {
    fn now(self) -> Duration {
        match self {
            Self::Wall => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Self::Monotonic => {
                let now = rustix::time::clock_gettime(ClockId::Monotonic);
                Duration::try_from(now).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use senary_wire::Endian;

    use super::*;

    proptest! {
        /// However few bytes the place has, as long as the latency fits into half of what they count.
        #[test]
        fn a_latency_is_found_in_any_place(
            bytes in prop::sample::select(vec![2usize, 4, 8]),
            unit in prop::sample::select(vec![Unit::Milliseconds, Unit::Microseconds, Unit::Nanoseconds]),
            sent in 0u64..2_000_000_000,
            units in 0u64..30_000,
        ) {
            let field = Field { offset: 0, bytes, endian: Endian::Big };
            let latency = Latency { field, unit, clock: Clock::Wall };
            let nanos = |units: u64| Duration::from_nanos(units * unit.nanoseconds() as u64);
            let written = sent & field.largest();
            let expected = nanos(units).as_nanos() as f64 / 1e6;
            prop_assert_eq!(latency.between(written, nanos(sent + units)), Some(expected));
            if units > 0 {
                prop_assert_eq!(latency.between((sent + units) & field.largest(), nanos(sent)), None);
            }
        }
    }
}
