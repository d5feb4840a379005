//! Percent-encoding, as it is found in URLs (RFC 3986).

/// Escapes everything that k6 escapes in the path of a URL. The slashes stay.
pub fn encoded(path: impl AsRef<[u8]>) -> String {
    const KEPT: &str = "-_.~/$&+,:;=@";
    let mut text = String::new();
    for byte in path.as_ref() {
        let c = char::from(*byte);
        if c.is_ascii_alphanumeric() || KEPT.contains(c) {
            text.push(c);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Escapes characters that a URL cannot contain: spaces, control characters, and everything outside ASCII. Escapes stay.
pub fn cleaned(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        match char::from(byte) {
            c @ '!'..='~' if !r#""<>\^`{|}"#.contains(c) => text.push(c),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Undoes [`encoded`]. Text that is not an escape stays as it is.
pub fn decoded(text: &str) -> Vec<u8> {
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
    bytes
}

/// The same as text; bytes that are not UTF-8 become U+FFFD.
pub fn decoded_text(text: &str) -> String {
    String::from_utf8_lossy(&decoded(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(encoded("/a b/ü%?.js"), "/a%20b/%C3%BC%25%3F.js");
        assert_eq!(encoded("/Project (x86)/test[1]!.js"), "/Project%20%28x86%29/test%5B1%5D%21.js");
        assert_eq!(encoded(b"/caf\xe9"), "/caf%E9");
        assert_eq!(decoded_text("a%20b%2fc"), "a b/c");
        assert_eq!(decoded_text("100%,%4,%zz"), "100%,%4,%zz");
        assert_eq!(decoded("caf%E9"), b"caf\xe9");
        assert_eq!(cleaned("https://h/a b\n(1)%20ü?x=[1]"), "https://h/a%20b%0A(1)%20%C3%BC?x=[1]");
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decoded(&encoded(&bytes)), bytes);
        }

        #[test]
        fn any_text_is_decoded(text in "[%0-9a-fü]{0,20}") {
            let _ = decoded(&text);
        }

        #[test]
        fn cleaning_twice_changes_nothing(url in ".{0,20}") {
            prop_assert_eq!(cleaned(&cleaned(&url)), cleaned(&url));
        }
    }
}
