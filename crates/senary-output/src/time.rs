//! Wall-clock times as RFC 3339 text in the zone of the machine: `2026-11-23T16:26:32.939094099Z`.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use senary_metrics::Timestamp;

const NANOS: i64 = 1_000_000_000;

/// Writes times. Samples come in bursts within a second, so all but the fraction is kept from one to the next.
pub(crate) struct TimeWriter {
    zone: TimeZone,
    second: i64,
    /// `2026-11-23T16:26:32`
    head: String,
    /// `Z`, `+01:00`
    offset: String,
}

impl TimeWriter {
    /// For the zone of the machine.
    pub(crate) fn local() -> Self {
        Self::in_zone(TimeZone::system())
    }

    fn in_zone(zone: TimeZone) -> Self {
        let mut writer = Self { zone, second: 0, head: String::new(), offset: String::new() };
        writer.move_to(0);
        writer
    }

    /// With as many decimals as it takes.
    pub(crate) fn push_nanos(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let nanos = self.push_head(out, time);
        if nanos > 0 {
            let mut digits = *b".000000000";
            let mut rest = nanos;
            for digit in digits[1..].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            let end = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
            out.extend_from_slice(&digits[..=end]);
        }
        out.extend_from_slice(self.offset.as_bytes());
    }

    /// Whole seconds.
    pub(crate) fn push_seconds(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        self.push_head(out, time);
        out.extend_from_slice(self.offset.as_bytes());
    }

    /// Returns the nanoseconds that are still to be written.
    fn push_head(&mut self, out: &mut Vec<u8>, time: Timestamp) -> i64 {
        let second = time.0.div_euclid(NANOS);
        if second != self.second {
            self.move_to(second);
        }
        out.extend_from_slice(self.head.as_bytes());
        time.0.rem_euclid(NANOS)
    }

    fn move_to(&mut self, second: i64) {
        self.second = second;
        // Every `Timestamp` is within what the calendar covers.
        let instant = jiff::Timestamp::from_second(second).unwrap_or_default();
        let offset = self.zone.to_offset(instant);
        let local = offset.to_datetime(instant);
        self.head = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second()
        );
        let minutes = offset.seconds() / 60;
        self.offset = match minutes {
            0 => "Z".to_owned(),
            _ => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
    }
}

/// A single time, with nanoseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut out = Vec::new();
    let nanos = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    TimeWriter::local().push_nanos(&mut out, Timestamp(nanos));
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;
    use proptest::prelude::*;

    fn text(writer: &mut TimeWriter, nanos: i64) -> String {
        let mut out = Vec::new();
        writer.push_nanos(&mut out, Timestamp(nanos));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fractions_lose_their_trailing_zeros() {
        let mut utc = TimeWriter::in_zone(TimeZone::UTC);
        let second = 1_795_451_192 * NANOS;
        assert_eq!(text(&mut utc, second + 939_094_099), "2026-11-23T16:26:32.939094099Z");
        assert_eq!(text(&mut utc, second + 500_000_000), "2026-11-23T16:26:32.5Z");
        assert_eq!(text(&mut utc, second + 1), "2026-11-23T16:26:32.000000001Z");
        assert_eq!(text(&mut utc, second), "2026-11-23T16:26:32Z");
        assert_eq!(text(&mut utc, -1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn offsets() {
        let in_zone = |seconds| TimeWriter::in_zone(TimeZone::fixed(Offset::from_seconds(seconds).unwrap()));
        assert_eq!(text(&mut in_zone(19_800), 0), "1970-01-01T05:30:00+05:30");
        assert_eq!(text(&mut in_zone(-12_600), 0), "1969-12-31T20:30:00-03:30");
    }

    proptest! {
        #[test]
        fn times_read_back_the_same(nanos in any::<i64>(), before in any::<i64>()) {
            let mut writer = TimeWriter::in_zone(TimeZone::fixed(Offset::from_seconds(3600).unwrap()));
            text(&mut writer, before);
            let back: jiff::Timestamp = text(&mut writer, nanos).parse().unwrap();
            prop_assert_eq!(back.as_nanosecond(), i128::from(nanos));
        }
    }
}
