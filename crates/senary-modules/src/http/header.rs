//! Names and values of headers: how they are spelled, and which characters they must not have.

use super::cookie::is_token;

/// The usual spelling: `content-type` is `Content-Type`. A name that is not a token stays as it is.
pub fn canonical(name: &str) -> String {
    if !is_token(name) {
        return name.to_owned();
    }
    let mut begins = true;
    name.chars()
        .map(|c| {
            let c = if begins { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            begins = c == '-';
            c
        })
        .collect()
}

pub const HOST: &str = "Host";
pub const USER_AGENT: &str = "User-Agent";

/// Which headers are sent before all others.
pub fn rank(name: &str) -> usize {
    match name {
        HOST => 0,
        USER_AGENT => 1,
        _ => 2,
    }
}

/// Why a header cannot be sent, in the reference's words.
pub fn refusal(name: &str, value: &str) -> Option<String> {
    if !is_token(name) {
        return Some(format!("net/http: invalid header field name {name:?}"));
    }
    let is_invalid = |c: char| c.is_ascii_control() && c != '\t';
    value.contains(is_invalid).then(|| format!("net/http: invalid header field value for {name:?}"))
}

/// The values of a header, in their order.
pub fn values<'a>(
    headers: &'a [(String, String)],
    name: &'static str,
) -> impl Iterator<Item = &'a str> + Clone {
    headers.iter().filter(move |(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The first value of a header.
pub fn get<'a>(headers: &'a [(String, String)], name: &'static str) -> Option<&'a str> {
    values(headers, name).next()
}

/// Sets a header, in place of those of that name.
pub fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    headers.retain(|(of, _)| of != name);
    headers.push((name.to_owned(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for (name, expected) in [
            ("content-type", "Content-Type"),
            ("ETAG", "Etag"),
            ("x_under", "X_under"),
            ("x-a--b", "X-A--B"),
            ("not a token", "not a token"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn heads_cannot_be_broken() {
        assert_eq!(refusal("X", "a\tb ü"), None);
        assert!(refusal("X y", "").is_some_and(|text| text.contains("field name")));
        assert!(refusal("", "").is_some());
        assert!(refusal("X", "a\r\nB: c").is_some_and(|text| text.contains("field value")));
    }
}
