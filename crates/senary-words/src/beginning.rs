//! The beginning of a text that others have written, and that may have any length.

use std::borrow::Cow;

/// The text, or no more than that many bytes of it and an ellipsis.
pub fn beginning(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        for (text, most, expected) in
            [("", 0, ""), ("abc", 3, "abc"), ("abcd", 3, "abc…"), ("aüb", 2, "a…"), ("ü", 0, "…")]
        {
            assert_eq!(beginning(text, most), expected);
        }
    }
}
