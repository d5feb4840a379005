//! Percent-encoding, as it is found in URLs (RFC 3986).

/// Escapes everything that may not stand in a path as it is. The slashes stay.
pub fn encoded(path: &str) -> String {
    const KEPT: &str = "-_.~/!$&'()*+,;=:@";
    let mut text = String::new();
    for byte in path.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || KEPT.contains(c) {
            text.push(c);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Undoes [`encoded`]. What is no escape is left alone.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(encoded("/a b/ü%?.js"), "/a%20b/%C3%BC%25%3F.js");
        assert_eq!(decoded("a%20b%2fc"), "a b/c");
        assert_eq!(decoded("100%,%4,%zz"), "100%,%4,%zz");
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(text in ".{0,40}") {
            prop_assert_eq!(decoded(&encoded(&text)), text);
        }

        #[test]
        fn any_text_is_decoded(text in "[%0-9a-fü]{0,20}") {
            let _ = decoded(&text);
        }
    }
}
