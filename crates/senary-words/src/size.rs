//! Sizes in bytes as users write and read them: `256MB`, `1.5GiB`, `4096`.

use std::fmt;

/// The units by their number of bytes, largest first.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes. As text it has the largest unit that leaves a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, bytes)| self.0 > 0 && (self.0 as u64).is_multiple_of(*bytes));
        let (unit, bytes) = whole.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 as u64 / bytes)
    }
}

/// Reads a size in bytes: a number in decimal digits, with or without a fraction, and a unit in any case; bytes if there is
/// none. `None` for any other text, and for a size beyond the address space. Parts of a byte are cut off.
pub fn parse(text: &str) -> Option<Size> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim());
    let bytes = match unit {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    let size = number.parse::<f64>().ok()? * bytes as f64;
    (size <= isize::MAX as f64).then_some(Size(size as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64B", 64),
            ("64KiB", 64 << 10),
            ("64 kib", 64 << 10),
            ("256mb", 256_000_000),
            ("1.5GiB", 3 << 29),
            (".5KB", 500),
            ("1.0009KB", 1000),
        ] {
            assert_eq!(parse(text), Some(Size(bytes)), "{text}");
        }
        for text in [
            "",
            "MB",
            "1TB",
            "-1MB",
            "+1",
            "1e6",
            "0x10",
            "1..5MB",
            " 1",
            "1 M B",
            "1MB!",
            "1,5MB",
            "99999999999GiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_has_the_largest_unit_that_leaves_a_whole_number() {
        for (bytes, text) in
            [(0, "0B"), (256_000_000, "256MB"), (1 << 30, "1GiB"), (1 << 25, "32MiB"), (1_234, "1234B")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,12}") {
            let _ = parse(&text);
        }

        /// Numbers below 2^53 have an exact `f64`.
        #[test]
        fn what_is_written_is_read_back(bytes in 0usize..1 << 53) {
            prop_assert_eq!(parse(&Size(bytes).to_string()), Some(Size(bytes)));
        }
    }
}
