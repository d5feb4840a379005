//! NTLM version 2, as Microsoft's MS-NLMP describes it. It authenticates a connection in three messages: the client's offer, the server's challenge,
//! and the client's answer, all over the same connection.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};

use super::{Credentials, challenge};

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Unicode, the name of the target, NTLM, signing, extended session security, 128 and 56 bits.
const OFFERED: u32 = 0xa008_8205;
/// The text is in Unicode; all servers can do that.
const UNICODE: u32 = 1;
/// The challenge has information on the target.
const TARGET_INFO: u32 = 0x0080_0000;

/// The kind of information that ends the list, and that which is the server's time.
const END: u16 = 0;
const TIMESTAMP: u16 = 7;

/// From 1601, where the times of Windows begin, to 1970.
const TO_UNIX: Duration = Duration::from_secs(11_644_473_600);

/// What is random or changes, for one answer.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub client_challenge: [u8; 8],
    pub now: SystemTime,
}

/// The value of `Authorization` that begins, if a server offers NTLM in one of the values of `WWW-Authenticate`.
pub fn negotiate<'c>(challenges: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let scheme = schemes(challenges).map(|(scheme, _)| scheme).next()?;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(SIGNATURE);
    message.extend(1u32.to_le_bytes());
    message.extend(OFFERED.to_le_bytes());
    // Neither a domain nor a workstation.
    message.extend([0; 16]);
    Some(format!("{scheme} {}", STANDARD.encode(message)))
}

/// The value of `Authorization` that answers the server's challenge. A domain is written in front of the user, `DOMAIN\user`.
pub fn authenticate<'c>(
    challenges: impl IntoIterator<Item = &'c str>,
    credentials: Credentials<'_>,
    moment: Moment,
) -> Option<String> {
    let (scheme, message) = schemes(challenges).find(|(_, token)| !token.is_empty())?;
    let challenge = Challenge::parse(&STANDARD.decode(message).ok()?)?;
    Some(format!("{scheme} {}", STANDARD.encode(challenge.answer(credentials, moment))))
}

/// The offers of NTLM, each with the message of the server, if there is one.
fn schemes<'c>(
    challenges: impl IntoIterator<Item = &'c str>,
) -> impl Iterator<Item = (&'static str, String)> {
    challenges.into_iter().flat_map(challenge::parse).filter_map(|offer| {
        let known = ["NTLM", "Negotiate"].into_iter().find(|name| offer.scheme.eq_ignore_ascii_case(name));
        known.map(|scheme| (scheme, offer.token))
    })
}

/// The message of the server.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    flags: u32,
    challenge: [u8; 8],
    target_info: Vec<u8>,
}

impl Challenge {
    fn parse(message: &[u8]) -> Option<Self> {
        let at = |from: usize, length: usize| message.get(from..from.checked_add(length)?);
        if at(0, 8)? != SIGNATURE || u32_at(message, 8)? != 2 {
            return None;
        }
        let (flags, challenge) = (u32_at(message, 20)?, at(24, 8)?.try_into().ok()?);
        let target_info = match flags & TARGET_INFO {
            0 => &[],
            _ => {
                let length = u16::from_le_bytes(at(40, 2)?.try_into().ok()?);
                at(usize::try_from(u32_at(message, 44)?).ok()?, usize::from(length))?
            }
        };
        Some(Self { flags, challenge, target_info: target_info.to_vec() })
    }

    fn answer(&self, credentials: Credentials<'_>, moment: Moment) -> Vec<u8> {
        let (domain, user) = match credentials.user.split_once('\\') {
            Some((domain, user)) => (domain, user),
            None => ("", credentials.user),
        };
        let key = response_key(domain, user, credentials.password);
        let from_server = information(&self.target_info, TIMESTAMP);
        let time = match from_server.and_then(|time| time.try_into().ok()) {
            Some(time) => u64::from_le_bytes(time),
            None => windows_time(moment.now),
        };
        let blob = blob(time, moment.client_challenge, &self.target_info);
        let proof = hmac_md5(&key, &[&self.challenge, &blob]);
        let modern = [&proof[..], &blob].concat();
        // A server that tells the time does not look at the older response.
        let old = match from_server {
            Some(_) => vec![0; 24],
            None => {
                let proof = hmac_md5(&key, &[&self.challenge, &moment.client_challenge]);
                [&proof[..], &moment.client_challenge].concat()
            }
        };
        let parts = [old, modern, utf16(domain), utf16(user), Vec::new(), Vec::new()];
        message_of(&parts, self.flags & OFFERED | UNICODE)
    }
}

/// The message with the answer: where its parts are, then the parts.
fn message_of(parts: &[Vec<u8>; 6], flags: u32) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut message = Vec::with_capacity(HEADER + parts.iter().map(Vec::len).sum::<usize>());
    message.extend_from_slice(SIGNATURE);
    message.extend(3u32.to_le_bytes());
    let mut offset = HEADER;
    for part in parts {
        // Names and the server's information are far shorter than 64 KiB; a longer one is refused by the server.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes();
        message.extend([length, length].concat());
        message.extend(u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
        offset += part.len();
    }
    message.extend(flags.to_le_bytes());
    parts.iter().for_each(|part| message.extend_from_slice(part));
    message
}

/// What the server's challenge is signed with.
fn response_key(domain: &str, user: &str, password: &str) -> [u8; 16] {
    let password = Md4::digest(utf16(password));
    hmac_md5(&password, &[&utf16(&user.to_uppercase()), &utf16(domain)])
}

fn blob(time: u64, client_challenge: [u8; 8], target_info: &[u8]) -> Vec<u8> {
    let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
    blob.extend(time.to_le_bytes());
    blob.extend(client_challenge);
    blob.extend([0; 4]);
    blob.extend_from_slice(target_info);
    blob.extend([0; 4]);
    blob
}

/// A piece of the information on the target.
fn information(mut list: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let ([a, b, c, d], rest) = list.split_first_chunk()?;
        let (kind, length) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        let value = rest.get(..usize::from(length))?;
        match kind {
            END => return None,
            kind if kind == wanted => return Some(value),
            _ => list = &rest[value.len()..],
        }
    }
}

fn windows_time(now: SystemTime) -> u64 {
    let since = (now + TO_UNIX).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() / 100).unwrap_or(u64::MAX)
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    // HMAC takes keys of any length.
    let Ok(mut hmac) = Hmac::<Md5>::new_from_slice(key) else { return [0; 16] };
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().into()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hex;
    use super::*;

    const INFO: &[u8] = b"\x02\0\x0c\0D\0o\0m\0a\0i\0n\0\x01\0\x0c\0S\0e\0r\0v\0e\0r\0\0\0\0\0";
    const CHALLENGE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

    fn moment() -> Moment {
        Moment { client_challenge: [0xaa; 8], now: SystemTime::UNIX_EPOCH - TO_UNIX }
    }

    fn server_message(info: &[u8]) -> String {
        let mut message = [&SIGNATURE[..], &2u32.to_le_bytes(), &[0; 8]].concat();
        message.extend((TARGET_INFO | UNICODE).to_le_bytes());
        message.extend(CHALLENGE);
        message.extend([0; 8]);
        let length = u16::try_from(info.len()).unwrap().to_le_bytes();
        message.extend([length, length].concat());
        message.extend(48u32.to_le_bytes());
        message.extend(info);
        format!("NTLM {}", STANDARD.encode(message))
    }

    fn part(message: &[u8], number: usize) -> &[u8] {
        let at = 12 + 8 * number;
        let length = usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
        let offset = u32_at(message, at + 4).unwrap() as usize;
        &message[offset..offset + length]
    }

    /// MS-NLMP, section 4.2.4.
    #[test]
    fn the_example_of_the_specification_comes_out() {
        let key = response_key("Domain", "User", "Password");
        assert_eq!(hex(&key), "0c868a403bfd7a93a3001ef22ef02e3f");
        let blob = blob(0, [0xaa; 8], INFO);
        assert_eq!(hex(&hmac_md5(&key, &[&CHALLENGE, &blob])), "68cd0ab851e51c96aabc927bebef6a1c");
        let credentials = Credentials { user: "Domain\\User", password: "Password" };
        let offered = server_message(INFO);
        let answer = authenticate(["Basic realm=x", &offered], credentials, moment()).unwrap();
        let message = STANDARD.decode(answer.strip_prefix("NTLM ").unwrap()).unwrap();
        assert_eq!((&message[..8], u32_at(&message, 8)), (&SIGNATURE[..], Some(3)));
        assert_eq!(hex(part(&message, 0)), "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa");
        assert!(hex(part(&message, 1)).starts_with("68cd0ab851e51c96aabc927bebef6a1c0101000000000000"));
        assert_eq!((part(&message, 2), part(&message, 3)), (&utf16("Domain")[..], &utf16("User")[..]));
        assert!(part(&message, 4).is_empty() && part(&message, 5).is_empty());
    }

    #[test]
    fn the_time_of_the_server_is_used() {
        let info = [&[7, 0, 8, 0][..], &[9; 8], &INFO[INFO.len() - 4..]].concat();
        let credentials = Credentials { user: "User", password: "Password" };
        let answer = authenticate([server_message(&info).as_str()], credentials, moment()).unwrap();
        let message = STANDARD.decode(&answer[5..]).unwrap();
        assert_eq!(part(&message, 0), [0; 24]);
        assert_eq!(part(&message, 1)[24..32], [9; 8]);
    }

    #[test]
    fn an_offer_is_taken_up_under_the_name_it_was_made() {
        assert!(negotiate(["Basic realm=x", "ntlm"]).unwrap().starts_with("NTLM TlRMTVNTUAABAAAA"));
        assert!(negotiate(["Negotiate, NTLM"]).unwrap().starts_with("Negotiate TlRMTVNTUAABAAAA"));
        assert_eq!(negotiate(["Basic realm=x"]), None);
        let credentials = Credentials { user: "u", password: "p" };
        for not_a_challenge in ["NTLM", "NTLM !!", "NTLM TlRMTVNTUAABAAAA", "Basic eA=="] {
            assert_eq!(authenticate([not_a_challenge], credentials, moment()), None, "{not_a_challenge}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_answered(message in proptest::collection::vec(any::<u8>(), 0..120), cut in 0..80usize) {
            let _ = Challenge::parse(&message);
            let _ = information(&message, TIMESTAMP);
            let good = STANDARD.decode(&server_message(INFO)[5..]).unwrap();
            let _ = Challenge::parse(&good[..cut.min(good.len())]);
        }
    }
}
