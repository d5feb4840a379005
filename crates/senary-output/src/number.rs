//! Numbers, durations and sizes, as they are written in the summary's text and in JSON.
//!
//! The rules are the reference's: decimals of durations and percentages are cut off, all others rounded half
//! away from zero; a thousand bytes are a kilobyte.

use std::fmt::Write;

use senary_metrics::ValueType;

/// A unit for all durations, `summaryTimeUnit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
}

/// An invalid `summaryTimeUnit`. The text is the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid summary time unit '{0}', use 's', 'ms' or 'us'")]
pub struct TimeUnitError(pub String);

impl TimeUnit {
    /// `None` for the empty text: every duration gets the unit that suits it.
    pub fn parse(text: &str) -> Result<Option<Self>, TimeUnitError> {
        Ok(Some(match text {
            "" => return Ok(None),
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "us" => Self::Microseconds,
            other => return Err(TimeUnitError(other.to_owned())),
        }))
    }

    /// As options write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
        }
    }

    fn format(self, milliseconds: f64) -> String {
        match self {
            Self::Seconds => fixed(milliseconds / 1e3, 2) + "s",
            Self::Milliseconds => fixed(milliseconds, 2) + "ms",
            Self::Microseconds => fixed(milliseconds * 1e3, 2) + "µs",
        }
    }
}

/// A value of a metric in the text.
pub fn value(value: f64, contains: ValueType, unit: Option<TimeUnit>) -> String {
    match (contains, unit) {
        (ValueType::Time, Some(unit)) => unit.format(value),
        (ValueType::Time, None) => duration(value),
        (ValueType::Data, _) => size(value),
        (ValueType::Default, _) => plain(value),
    }
}

/// Up to six decimals, without trailing zeros.
pub fn plain(value: f64) -> String {
    trimmed(fixed(value, 6))
}

/// Bytes: `0 B`, `4.9 kB`, `519 kB`.
pub fn size(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut scaled = bytes;
    let mut unit = 0;
    while scaled.abs() >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1e3;
        unit += 1;
    }
    let text = if scaled.abs() >= 9.95 {
        fixed(scaled, 0)
    } else if unit == 0 {
        trimmed(fixed(scaled, 1))
    } else {
        fixed(scaled, 1)
    };
    format!("{text} {}", UNITS[unit])
}

/// Longer times are not exact to the nanosecond: about three hundred years.
const MAX_NANOS: f64 = 1e19;

/// Milliseconds in the unit that suits them: `392.5µs`, `16.4ms`, `1.23s`, `1m15s`.
pub fn duration(milliseconds: f64) -> String {
    if !milliseconds.is_finite() {
        return fixed(milliseconds, 0);
    }
    if milliseconds == 0.0 {
        return "0s".to_owned();
    }
    // Whole nanoseconds first: cutting decimals off must not depend on binary fractions.
    let nanos = (milliseconds * 1e6).round();
    if nanos < 0.0 {
        // No time is negative. Negative numbers in a metric of times are shown with all digits.
        return if nanos.is_finite() { fixed(nanos, 0) + "ns" } else { fixed(milliseconds, 0) + "ms" };
    }
    if nanos >= MAX_NANOS {
        return minutes((milliseconds / 1e3).floor());
    }
    let nanos = nanos as u64;
    let (per_unit, unit) = match nanos {
        n if n < 1_000 => return format!("{n}ns"),
        n if n < 1_000_000 => (1_000, "µs"),
        n if n < 1_000_000_000 => (1_000_000, "ms"),
        n if n < 60_000_000_000 => (1_000_000_000, "s"),
        n => return minutes((n / 1_000_000_000) as f64),
    };
    let hundredths = nanos / (per_unit / 100);
    let text = trimmed(format!("{}.{:02}", hundredths / 100, hundredths % 100));
    format!("{text}{unit}")
}

/// Of whole seconds, however many.
fn minutes(seconds: f64) -> String {
    let hours = (seconds / 3600.0).floor();
    let (m, s) = ((seconds % 3600.0 / 60.0).floor(), seconds % 60.0);
    if hours == 0.0 { format!("{m}m{s}s") } else { format!("{hours}h{m}m{s}s") }
}

/// The share of `part` in `whole` in percent, with two decimals; further ones are cut off. The share of 0 in 0 is 0.
pub fn percentage(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Rounded half away from zero, where `format!` rounds half to even.
fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return if value.is_nan() { "NaN".to_owned() } else { format!("{sign}Infinity") };
    }
    // A tie needs `value × 2^(decimals + 1)` to be an odd integer, which scaling by a power of two tells exactly.
    let scaled = value * f64::from(1u32 << (decimals + 1));
    let tie = scaled.fract() == 0.0 && scaled % 2.0 != 0.0;
    let value = match tie {
        true if value > 0.0 => value.next_up(),
        true => value.next_down(),
        false => value,
    };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| matches!(b, b'0' | b'.')) => digits.to_owned(),
        _ => text,
    }
}

fn trimmed(mut text: String) -> String {
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text
}

/// Appends a number as Go's JSON encoder writes it: the shortest digits that read back the same, an exponent below 10⁻⁶
/// and from 10²¹ on. NaN and infinity are `null`.
pub fn push_json(out: &mut Vec<u8>, value: f64) {
    // Exact in this range, and the common case: counts, flags, byte numbers.
    if value.fract() == 0.0 && value.abs() < 1e15 && (value != 0.0 || value.is_sign_positive()) {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        return;
    }
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let mut text = Appended(out);
    let magnitude = value.abs();
    // Writing to memory cannot fail.
    let _ = if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let scientific = format!("{value:e}");
        // Go has a sign in every exponent.
        let signed = if magnitude >= 1e21 { scientific.replace('e', "e+") } else { scientific };
        text.write_str(&signed)
    } else {
        write!(text, "{value}")
    };
}

/// A number as a JSON value; whole numbers have no fraction.
pub fn json(value: f64) -> serde_json::Value {
    const MOST: f64 = i64::MAX as f64;
    if value.fract() == 0.0 && value.abs() < MOST {
        return serde_json::Value::from(value as i64);
    }
    serde_json::Value::from(value)
}

struct Appended<'a>(&'a mut Vec<u8>);

impl Write for Appended<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json_text(value: f64) -> String {
        let mut out = Vec::new();
        push_json(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_numbers_have_six_decimals_at_most() {
        for (number, text) in [
            (42.0, "42"),
            (1.23456789, "1.234568"),
            (123456789.5, "123456789.5"),
            (-3.5, "-3.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (-1e-9, "0"),
            (17.223221, "17.223221"),
            // A tie in binary: rounded away from zero.
            (0.0078125, "0.007813"),
            (1e21, "1000000000000000000000"),
        ] {
            assert_eq!(plain(number), text);
        }
    }

    #[test]
    fn durations_are_cut_not_rounded() {
        for (ms, text) in [
            (0.0, "0s"),
            (0.0000004, "0ns"),
            (-0.0000004, "0ns"),
            (0.000123, "123ns"),
            (0.0123, "12.3µs"),
            (0.3925, "392.5µs"),
            (0.861288, "861.28µs"),
            (12.345678, "12.34ms"),
            (16.4, "16.4ms"),
            (950.0, "950ms"),
            (999.999, "999.99ms"),
            (1234.5, "1.23s"),
            (1895.0, "1.89s"),
            (59_999.0, "59.99s"),
            (60_000.0, "1m0s"),
            (75_000.0, "1m15s"),
            (3_723_000.0, "1h2m3s"),
            (-5.0, "-5000000ns"),
            (-1e15, "-1000000000000000000000ns"),
            // For example microseconds since 1970 that are taken for milliseconds.
            (1.7e15, "472222222h13m20s"),
            (1e18, "277777777777h46m40s"),
        ] {
            assert_eq!(duration(ms), text, "{ms}");
        }
    }

    #[test]
    fn a_fixed_unit_has_two_decimals() {
        let seconds = |ms| value(ms, ValueType::Time, Some(TimeUnit::Seconds));
        assert_eq!(seconds(756.25), "0.76s");
        assert_eq!(seconds(12.5), "0.01s");
        assert_eq!(seconds(125.0), "0.13s");
        assert_eq!(seconds(90_000.0), "90.00s");
        assert_eq!(value(1.5, ValueType::Time, Some(TimeUnit::Milliseconds)), "1.50ms");
        assert_eq!(value(1.5, ValueType::Time, Some(TimeUnit::Microseconds)), "1500.00µs");
        assert_eq!(value(1.5, ValueType::Default, Some(TimeUnit::Seconds)), "1.5");
    }

    #[test]
    fn what_is_not_finite() {
        assert_eq!((plain(f64::INFINITY), plain(f64::NEG_INFINITY)), ("Infinity".into(), "-Infinity".into()));
        assert_eq!((duration(f64::INFINITY), plain(f64::NAN)), ("Infinity".into(), "NaN".into()));
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (5.0, "5 B"),
            (1.598557, "1.6 B"),
            (30.0, "30 B"),
            (27.4, "27 B"),
            (999.0, "999 B"),
            (999.7, "1.0 kB"),
            (4_900.0, "4.9 kB"),
            (9_960.0, "10 kB"),
            (519_000.0, "519 kB"),
            (7_100_000.0, "7.1 MB"),
            (1e21, "1000 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn percentages_are_cut_not_rounded() {
        assert_eq!(percentage(5, 9), "55.55%");
        assert_eq!(percentage(29, 100), "29.00%");
        assert_eq!(percentage(1, 3), "33.33%");
        assert_eq!(percentage(2, 2), "100.00%");
        assert_eq!(percentage(0, 0), "0.00%");
        assert_eq!(percentage(u64::MAX - 1, u64::MAX), "99.99%");
    }

    #[test]
    fn whole_numbers_have_no_fraction_in_json() {
        for (number, text) in [(9_007_199_254_740_996.0, "9007199254740996"), (-1e18, "-1000000000000000000")]
        {
            assert_eq!(json(number).to_string(), text);
        }
    }

    #[test]
    fn json_numbers_are_written_like_go_writes_them() {
        for (number, text) in [
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (-0.0, "-0"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(json_text(number), text);
        }
    }

    proptest! {
        #[test]
        fn json_numbers_read_back_the_same(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            prop_assert_eq!(json_text(number).parse::<f64>().unwrap().to_bits(), number.to_bits());
        }

        #[test]
        fn plain_numbers_are_within_half_a_millionth(number in -1e9f64..1e9) {
            let back: f64 = plain(number).parse().unwrap();
            // Reading the text back rounds to what a double can hold.
            prop_assert!((back - number).abs() <= 0.5e-6 + number.abs() * f64::EPSILON);
        }

        #[test]
        fn durations_lose_less_than_a_hundredth_of_their_unit(nanos in 0u64..60_000_000_000) {
            let text = duration(nanos as f64 / 1e6);
            let back = senary_words::duration::parse_go(&text).unwrap();
            let lost = nanos as i64 - back;
            let allowed = match nanos {
                0..1_000 => 0,
                1_000..1_000_000 => 9,
                1_000_000..1_000_000_000 => 9_999,
                _ => 9_999_999,
            };
            prop_assert!((0..=allowed).contains(&lost), "{nanos} became {text}");
        }

        #[test]
        fn sizes_keep_two_digits(bytes in 0.0f64..1e21) {
            let text = size(bytes);
            let (number, unit) = text.split_once(' ').unwrap();
            let power = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].iter().position(|u| *u == unit).unwrap();
            let back = number.parse::<f64>().unwrap() * 1e3f64.powi(power as i32);
            prop_assert!((back - bytes).abs() <= (bytes * 0.051).max(0.0500001), "{bytes} became {text}");
        }

        #[test]
        fn any_number_is_answered(number in prop::num::f64::ANY) {
            let _ = (plain(number), size(number), duration(number), json_text(number), json(number));
        }
    }
}
