//! Durations as users write and read them: the grammar of Go's `time.ParseDuration`, k6's extension
//! of it (days, bare milliseconds), and Go's way of printing them.
//!
//! Values are nanoseconds in an `i64`, as in Go, so that negative durations can be told from missing ones.

use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::time::Duration;

/// Why a text is not a duration. The messages are k6's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    Invalid(String),
    MissingUnit(String),
    UnknownUnit {
        unit: String,
        text: String,
    },
    /// The number in front of `d`.
    Days(String),
    TooManyDays(String),
    /// The part after the days has a sign of its own.
    SignedRest(String),
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(f, "time: invalid duration {text:?}"),
            Self::MissingUnit(text) => write!(f, "time: missing unit in duration {text:?}"),
            Self::UnknownUnit { unit, text } => write!(f, "time: unknown unit {unit:?} in duration {text:?}"),
            Self::Days(days) => write!(f, "{days:?} is not a whole number of days"),
            Self::TooManyDays(days) => write!(f, "{days:?} is a number of days beyond 64 bits"),
            Self::SignedRest(rest) => write!(f, "invalid time format '{rest}'"),
        }
    }
}

impl std::error::Error for DurationError {}

const NANOS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Further digits after the point are less than a nanosecond, whatever the unit.
const FRACTION_DIGITS: usize = 18;

/// Parses Go's grammar: `300ms`, `-1.5h`, `2h45m`. Nanoseconds.
pub fn parse_go(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number = &rest[..digits];
        if number.is_empty() || number == "." || number.matches('.').count() > 1 {
            return Err(invalid());
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS)];
        let parse = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<u64>() };
        let whole = parse(whole).map_err(|_| invalid())?;
        let part = parse(fraction).map_err(|_| invalid())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let Some((_, nanos)) = NANOS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        total += i128::from(whole) * nanos;
        total += i128::from(part) * nanos / 10_i128.pow(fraction.len() as u32);
        rest = &rest[letters..];
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// Parses what options accept: Go's grammar, whole days in front of it (`1d2h`), or a bare number of milliseconds.
pub fn parse_extended(text: &str) -> Result<i64, DurationError> {
    if let Ok(ms) = text.parse::<f64>() {
        return from_millis(ms).ok_or_else(|| DurationError::Invalid(text.to_owned()));
    }
    let Some(at) = text.find('d') else { return parse_go(text) };
    let (days, rest) = (parse_days(text, &text[..at])?, &text[at + 1..]);
    if rest.starts_with('-') {
        return Err(DurationError::SignedRest(rest.to_owned()));
    }
    let rest = if rest.is_empty() { 0 } else { parse_go(rest)? };
    let rest = if text.starts_with('-') { -rest } else { rest };
    let sum = days.checked_mul(NANOS_PER_DAY).and_then(|days| days.checked_add(rest));
    sum.ok_or_else(|| DurationError::Invalid(text.to_owned()))
}

/// A whole number of days. A text that does not look like a number at all was not meant as one.
fn parse_days(text: &str, days: &str) -> Result<i64, DurationError> {
    days.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => DurationError::TooManyDays(days.to_owned()),
        _ if days.contains(|c: char| c.is_ascii_digit())
            && !days.contains(|c: char| c.is_ascii_whitespace()) =>
        {
            DurationError::Days(days.to_owned())
        }
        _ => DurationError::Invalid(text.to_owned()),
    })
}

/// Milliseconds to nanoseconds; `None` for what does not fit.
pub fn from_millis(ms: f64) -> Option<i64> {
    let nanos = ms * 1e6;
    (nanos.is_finite() && nanos.abs() < i64::MAX as f64).then_some(nanos as i64)
}

/// Prints like Go: `1m0s`, `1.5s`, `500ms`, `0s`.
pub fn format_go(duration: Duration) -> String {
    format_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// As [`format_go`], for signed nanoseconds.
pub fn format_nanos(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let abs = nanos.unsigned_abs();
    if abs == 0 {
        return "0s".to_owned();
    }
    if abs < 1_000_000_000 {
        let (unit, scale) = match abs {
            n if n < 1_000 => ("ns", 1),
            n if n < 1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", fraction(abs, scale));
    }
    let seconds = fraction(abs % 60_000_000_000, 1_000_000_000);
    let minutes = abs / 60_000_000_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

fn fraction(value: u64, scale: u64) -> String {
    let (whole, part) = (value / scale, value % scale);
    if part == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notations() {
        assert_eq!(parse_go("1m30.5s"), Ok(90_500_000_000));
        assert_eq!(parse_go("-1.5h"), Ok(-5_400_000_000_000));
        assert_eq!(parse_extended("1500"), Ok(1_500_000_000));
        assert_eq!(parse_extended("1d2h"), Ok(26 * 3_600_000_000_000));
        assert_eq!(parse_go("9223372036854775807ns"), Ok(i64::MAX));
        assert_eq!(parse_go("-9223372036854775808ns"), Ok(i64::MIN));
        assert!(parse_go("9223372036854775808ns").is_err());
        assert!(parse_go("5").is_err());
        assert!(parse_go("abc").is_err());
        assert_eq!(format_nanos(600_000_000_000), "10m0s");
        assert_eq!(format_nanos(500_000_000), "500ms");
        assert_eq!(format_nanos(1_500_000_000), "1.5s");
        assert_eq!(format_nanos(0), "0s");
        assert_eq!(format_nanos(3_600_000_000_000), "1h0m0s");
    }

    #[test]
    fn days_are_whole() {
        for (text, expected) in [
            ("-1d2h", Ok(-26 * 3_600_000_000_000)),
            ("0d", Ok(0)),
            ("+1d", Ok(NANOS_PER_DAY)),
            ("1.5d", Err("\"1.5\" is not a whole number of days")),
            ("1d-1h", Err("invalid time format '-1h'")),
            ("1d-", Err("invalid time format '-'")),
            ("1d5", Err("time: missing unit in duration \"5\"")),
            ("1d1d", Err("time: unknown unit \"d\" in duration \"1d\"")),
            ("200000d", Err("time: invalid duration \"200000d\"")),
            ("99999999999999999999d", Err("\"99999999999999999999\" is a number of days beyond 64 bits")),
            ("ten seconds", Err("time: invalid duration \"ten seconds\"")),
            ("10 seconds", Err("time: invalid duration \"10 seconds\"")),
            ("d", Err("time: invalid duration \"d\"")),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(parse_extended(text).map_err(|e| e.to_string()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_durations_parse_back(nanos: i64) {
            prop_assert_eq!(parse_go(&format_nanos(nanos)), Ok(nanos));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = parse_extended(&text);
        }
    }
}
