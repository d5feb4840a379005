//! The order of names that readers expect, which is that of Unicode collation: letters are in alphabetical order,
//! whatever their case and accents. Only for names that are otherwise the same, plain letters come before accented
//! ones, and small letters before capitals. Spaces come first, then punctuation, symbols, digits.

use std::cmp::Ordering;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Punctuation and symbols of ASCII in their order; others follow by code point.
const SIGNS: &str = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// Compares two names; only equal ones are equal.
pub fn compare(a: &str, b: &str) -> Ordering {
    let letters = letters(a).cmp(letters(b));
    letters
        .then_with(|| accents(a).cmp(accents(b)))
        .then_with(|| capitals(a).cmp(capitals(b)))
        .then_with(|| a.cmp(b))
}

/// The kind of a character and its place among that kind; for a letter, of the small letter.
fn letters(text: &str) -> impl Iterator<Item = (u8, usize, char)> {
    let signs = text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    signs.map(|c| match c {
        c if c.is_whitespace() || c.is_control() => (0, 0, c),
        c if c.is_ascii_punctuation() => (1, SIGNS.find(c).unwrap_or(SIGNS.len()), c),
        c if c.is_numeric() => (3, 0, c),
        c if c.is_alphabetic() => (4, 0, c),
        c => (2, 0, c),
    })
}

fn accents(text: &str) -> impl Iterator<Item = Option<char>> {
    text.nfd().map(|c| is_combining_mark(c).then_some(c))
}

fn capitals(text: &str) -> impl Iterator<Item = bool> {
    text.chars().map(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_alphabet() {
        let ordered = [
            "",
            "_under",
            "{k_b:1}",
            "{k,b:1}",
            "{k:1,l:2}",
            "{k:1}",
            "{K:1}",
            "{k:10}",
            "{k:2}",
            "{k:ä}",
            "~",
            "$",
            "10",
            "2",
            "a",
            "A",
            "ä",
            "Ä",
            "a b_",
            "a_b",
            "a1",
            "ab",
            "aB",
            "alpha",
            "Alpha",
            "ÄLPHA",
            "alphb",
            "b",
            "zeta",
            "Ωmega",
        ];
        let mut sorted = ordered.to_vec();
        sorted.reverse();
        sorted.sort_by(|a, b| compare(a, b));
        assert_eq!(sorted, ordered);
    }

    proptest! {
        #[test]
        fn any_texts_have_one_order(a in ".{0,12}", b in ".{0,12}", c in ".{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
            let mut all = [a, b, c];
            all.sort_by(|a, b| compare(a, b));
            prop_assert!(compare(&all[0], &all[2]) != Ordering::Greater);
        }
    }
}
