//! How a session ends: the code and the reason in a closing frame, and the words for them.

use super::frame::MAX_CONTROL;
use super::receiver::Violation;

/// The codes that are used here by name.
pub mod code {
    pub const NORMAL: u16 = 1000;
    pub const GOING_AWAY: u16 = 1001;
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// The closing frame had no code. It is never sent.
    pub const NO_STATUS: u16 = 1005;
    /// The connection ended without a closing frame. It is never sent.
    pub const ABNORMAL: u16 = 1006;
    pub const INVALID_PAYLOAD: u16 = 1007;
    pub const TOO_BIG: u16 = 1009;
}

/// What a closing frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// [`code::NO_STATUS`] if the frame has none.
    pub code: u16,
    pub reason: String,
}

impl Closing {
    pub(super) fn parse(content: &[u8]) -> Result<Self, Violation> {
        let reason = match content {
            [] => return Ok(Self { code: code::NO_STATUS, reason: String::new() }),
            [_] => return Err(Violation::CloseByte),
            [_, _, reason @ ..] => reason,
        };
        let code = u16::from_be_bytes([content[0], content[1]]);
        if !may_be_sent(code) {
            return Err(Violation::CloseCode(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
        Ok(Self { code, reason: reason.to_owned() })
    }

    /// The content of a closing frame. A reason that is too long for it is cut.
    pub fn content(code: u16, reason: &str) -> Vec<u8> {
        if code == self::code::NO_STATUS {
            return Vec::new();
        }
        let mut content = code.to_be_bytes().to_vec();
        content.extend(&reason.as_bytes()[..reason.floor_char_boundary(MAX_CONTROL - 2)]);
        content
    }
}

/// Whether a code may stand in a closing frame (RFC 6455, 7.4, and the registry of IANA).
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The end of a session as the text of an error.
pub fn describe(code: u16, reason: &str) -> String {
    let words = match code {
        1000 => " (normal)",
        1001 => " (going away)",
        1002 => " (protocol error)",
        1003 => " (unsupported data)",
        1005 => " (no status)",
        1006 => " (abnormal closure)",
        1007 => " (invalid payload data)",
        1008 => " (policy violation)",
        1009 => " (message too big)",
        1010 => " (mandatory extension missing)",
        1011 => " (internal server error)",
        1012 => " (service restart)",
        1013 => " (try again later)",
        1014 => " (bad gateway)",
        1015 => " (TLS handshake error)",
        _ => "",
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("websocket: close {code}{words}{colon}{reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_for_an_end() {
        for (code, reason, text) in [
            (1011, "", "websocket: close 1011 (internal server error)"),
            (4000, "reason", "websocket: close 4000: reason"),
            (1006, "unexpected EOF", "websocket: close 1006 (abnormal closure): unexpected EOF"),
        ] {
            assert_eq!(describe(code, reason), text);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (code, reason) in [(1000, ""), (4999, "ünï"), (code::NO_STATUS, "")] {
            let content = Closing::content(code, reason);
            assert_eq!(Closing::parse(&content), Ok(Closing { code, reason: reason.to_owned() }));
        }
    }

    #[test]
    fn a_reason_that_is_too_long_is_cut_between_characters() {
        let content = Closing::content(1000, &"ü".repeat(70));
        assert_eq!(content.len(), 2 + 122);
        assert!(Closing::parse(&content).is_ok());
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        assert_eq!(Closing::parse(&[3]), Err(Violation::CloseByte));
        assert_eq!(Closing::parse(&[3, 232, 255]), Err(Violation::CloseReason));
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(Closing::parse(&u16::to_be_bytes(code)), Err(Violation::CloseCode(code)));
        }
    }
}
