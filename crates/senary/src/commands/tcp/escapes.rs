//! Messages as they are typed: text with the escapes of C, or hexadecimal digits.

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error(
        "\\{0} is not an escape: there are \\n \\r \\t \\0 \\a \\b \\e \\f \\v \\\\ \\\" \\' \\xHH \\uHHHH and octal \\NNN"
    )]
    Unknown(char),
    #[error("the text ends with a single \\: write \\\\ for the character itself")]
    Unfinished,
    #[error("\\x is followed by two hexadecimal digits, and \\u by four of a character")]
    Digits,
    #[error("\\{0:o} is more than a byte can be: octal escapes go up to \\377")]
    TooLarge(u32),
    #[error("--hex takes pairs of hexadecimal digits, with or without blanks between them; {0:?} is not one")]
    Hex(String),
}

/// The bytes of a text with escapes.
pub fn bytes_of(text: &str) -> Result<Vec<u8>, MessageError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = escape(&rest[at + 1..], &mut bytes)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Takes one escape, without its backslash; gives back what follows it.
fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, MessageError> {
    let name = text.chars().next().ok_or(MessageError::Unfinished)?;
    let rest = &text[name.len_utf8()..];
    let one = match name {
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'a' => 7,
        'b' => 8,
        'e' => 27,
        'f' => 12,
        'v' => 11,
        '\\' | '"' | '\'' | '?' => name as u8,
        'x' => {
            bytes.push(digits(rest, 2)? as u8);
            return Ok(&rest[2..]);
        }
        'u' => {
            let character = char::from_u32(digits(rest, 4)?).ok_or(MessageError::Digits)?;
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(&rest[4..]);
        }
        '0'..='7' => {
            let length = text.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let value = text.bytes().take(length).fold(0, |value, byte| value * 8 + u32::from(byte - b'0'));
            bytes.push(u8::try_from(value).map_err(|_| MessageError::TooLarge(value))?);
            return Ok(&text[length..]);
        }
        other => return Err(MessageError::Unknown(other)),
    };
    bytes.push(one);
    Ok(rest)
}

fn digits(text: &str, count: usize) -> Result<u32, MessageError> {
    let digits = text.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(MessageError::Digits)
}

/// The bytes of hexadecimal digits.
pub fn bytes_of_hex(text: &str) -> Result<Vec<u8>, MessageError> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| {
        let text = String::from_utf8_lossy(pair).into_owned();
        let is_pair = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
        let value = u8::from_str_radix(&text, 16).ok().filter(|_| is_pair);
        value.ok_or(MessageError::Hex(text))
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_of_c() {
        for (text, bytes) in [
            (r"PING\r\n", &b"PING\r\n"[..]),
            (r"\x00\xfF\\n", b"\x00\xff\\n"),
            (r"\0\12\1234", b"\0\n\x534"),
            (r"\u00e9é", "éé".as_bytes()),
            (r#"\"\'\?\a\b\e\f\v\t"#, b"\"'?\x07\x08\x1b\x0c\x0b\t"),
        ] {
            assert_eq!(bytes_of(text).unwrap(), bytes, "{text}");
        }
        for (text, error) in [
            (r"\q", MessageError::Unknown('q')),
            ("end\\", MessageError::Unfinished),
            (r"\x4", MessageError::Digits),
            (r"\xé", MessageError::Digits),
            (r"\ud800", MessageError::Digits),
            (r"\400", MessageError::TooLarge(0o400)),
        ] {
            assert_eq!(bytes_of(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(bytes_of_hex("00 ff\n0A").unwrap(), [0, 255, 10]);
        assert_eq!(bytes_of_hex("00f").unwrap_err(), MessageError::Hex("f".to_owned()));
        assert_eq!(bytes_of_hex("+1").unwrap_err(), MessageError::Hex("+1".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_typed(bytes: Vec<u8>) {
            let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            prop_assert_eq!(bytes_of(&escaped).unwrap(), bytes.clone());
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X} ")).collect();
            prop_assert_eq!(bytes_of_hex(&hex).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (bytes_of(&text), bytes_of_hex(&text));
        }
    }
}
