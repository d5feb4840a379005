//! The server's side of Digest (RFC 7616) and of NTLM (MS-NLMP): it knows the password, works the answer out itself, and lets in who gives
//! the same.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

use crate::site::{Asked, Reply, Then};

const REALM: &str = "the \"realm\"";
const NONCE: &str = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
const OPAQUE: &str = "5ccc069c403ebaf9f0171e9517f40e41";
const REFUSED: &str = "no";

/// Who is let in.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub user: &'static str,
    pub password: &'static str,
}

/// Asks for a digest. `algorithm` and `qop` are as they stand in the challenge; empty ones are left out.
pub struct DigestGuard {
    pub account: Account,
    pub algorithm: &'static str,
    pub qop: &'static str,
    /// Names are hashed, too.
    pub userhash: bool,
}

impl DigestGuard {
    pub fn answer(&self, asked: &Asked) -> Reply {
        match self.lets_in(asked.header("authorization"), asked) {
            true => Reply::ok(format!("{} is in: {}", self.account.user, asked.text())),
            false => {
                let mut challenge = format!(
                    "WWW-Authenticate: Digest realm={}, nonce=\"{NONCE}\", opaque=\"{OPAQUE}\"",
                    quoted(REALM)
                );
                for (name, value) in [("algorithm", self.algorithm), ("qop", &quoted(self.qop))] {
                    if !value.is_empty() && value != "\"\"" {
                        challenge.push_str(&format!(", {name}={value}"));
                    }
                }
                if self.userhash {
                    challenge.push_str(", userhash=true");
                }
                Reply::page(401, &["WWW-Authenticate: Basic realm=\"x\"", &challenge], REFUSED)
            }
        }
    }

    fn lets_in(&self, authorization: &str, asked: &Asked) -> bool {
        let Some(given) = authorization.strip_prefix("Digest ").map(parameters) else { return false };
        let get = |name: &str| given.get(name).map_or("", String::as_str);
        let hash = |text: &str| hash(self.algorithm, text.as_bytes());
        let Account { user, password } = self.account;
        let name = if self.userhash { hash(&format!("{user}:{REALM}")) } else { user.to_owned() };
        let mut secret = hash(&format!("{user}:{REALM}:{password}"));
        if self.algorithm.ends_with("-sess") {
            secret = hash(&format!("{secret}:{NONCE}:{}", get("cnonce")));
        }
        let what = match get("qop") {
            "auth-int" => format!("{}:{}:{}", asked.method, asked.path, hash(&asked.text())),
            _ => format!("{}:{}", asked.method, asked.path),
        };
        let (count, client) = (get("nc"), get("cnonce"));
        let expected = match get("qop") {
            "" => format!("{secret}:{NONCE}:{}", hash(&what)),
            qop => format!("{secret}:{NONCE}:{count}:{client}:{qop}:{}", hash(&what)),
        };
        let qop_fits = match get("qop") {
            "" => self.qop.is_empty(),
            qop => self.qop.split(", ").any(|one| one == qop) && count == "00000001" && client.len() >= 8,
        };
        let says = [("username", name.as_str()), ("realm", REALM), ("nonce", NONCE), ("opaque", OPAQUE)];
        qop_fits
            && says.iter().all(|(name, value)| get(name) == *value)
            && (get("uri"), get("algorithm")) == (asked.path.as_str(), self.algorithm)
            && get("response") == hash(&expected)
    }
}

fn hash(algorithm: &str, data: &[u8]) -> String {
    match algorithm.trim_end_matches("-sess") {
        "SHA-256" => hex(&Sha256::digest(data)),
        "SHA-512-256" => hex(&Sha512_256::digest(data)),
        _ => hex(&Md5::digest(data)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}

/// `name=value, name="quoted \" value"`.
fn parameters(text: &str) -> HashMap<String, String> {
    let (mut all, mut rest) = (HashMap::new(), text.chars().peekable());
    loop {
        let name: String = rest.by_ref().take_while(|letter| *letter != '=').collect();
        let mut value = String::new();
        let is_quoted = rest.next_if_eq(&'"').is_some();
        while let Some(letter) = rest.next() {
            match letter {
                '"' if is_quoted => break,
                '\\' if is_quoted => value.extend(rest.next()),
                ',' if !is_quoted => break,
                letter => value.push(letter),
            }
        }
        if name.trim().is_empty() {
            return all;
        }
        all.insert(name.trim().to_owned(), value.trim().to_owned());
        if is_quoted {
            rest.next_if_eq(&',');
        }
    }
}

/// Asks for NTLM, version 2, on each connection for itself.
pub struct NtlmGuard {
    pub account: Account,
    pub domain: &'static str,
    /// Whether the challenge tells the time, as servers since Windows Vista do.
    pub tells_time: bool,
    /// The names under which it offers NTLM.
    pub offers: &'static [&'static str],
    connections: Mutex<HashMap<usize, State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Challenged,
    In,
}

const CHALLENGE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// Unicode, the request for the target, NTLM, extended session security, information on the target.
const FLAGS: u32 = 0x0088_8205;

impl NtlmGuard {
    pub fn new(
        account: Account,
        domain: &'static str,
        tells_time: bool,
        offers: &'static [&'static str],
    ) -> Self {
        Self { account, domain, tells_time, offers, connections: Mutex::default() }
    }

    pub fn answer(&self, asked: &Asked) -> Reply {
        let mut connections = self.connections.lock().expect("no test has panicked in there");
        // Either name may be used; the answer has the same.
        let (scheme, token) = asked.header("authorization").split_once(' ').unwrap_or_default();
        let token = if ["NTLM", "Negotiate"].contains(&scheme) { token } else { "" };
        let message = STANDARD.decode(token).unwrap_or_default();
        let kind = message.get(8..12).map(|kind| u32::from_le_bytes(kind.try_into().expect("four bytes")));
        match (kind.filter(|_| message.starts_with(b"NTLMSSP\0")), connections.get(&asked.connection)) {
            (Some(1), _) => {
                connections.insert(asked.connection, State::Challenged);
                let challenge = STANDARD.encode(self.challenge());
                Reply::page(401, &[&format!("WWW-Authenticate: {scheme} {challenge}")], REFUSED)
            }
            (Some(3), Some(State::Challenged)) if self.is_right(&message) => {
                connections.insert(asked.connection, State::In);
                self.welcome(asked)
            }
            (None, Some(State::In)) => self.welcome(asked),
            (None, _) => {
                let offers: Vec<_> =
                    self.offers.iter().map(|offer| format!("WWW-Authenticate: {offer}")).collect();
                Reply::page(401, &offers.iter().map(String::as_str).collect::<Vec<_>>(), REFUSED)
            }
            _ => Reply { then: Then::Close, ..Reply::page(403, &["Connection: close"], "wrong") },
        }
    }

    fn welcome(&self, asked: &Asked) -> Reply {
        Reply::ok(format!("{} is in: {}", self.account.user, asked.text()))
    }

    fn information(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let mut add = |kind: u16, value: &[u8]| {
            list.extend(kind.to_le_bytes());
            list.extend((value.len() as u16).to_le_bytes());
            list.extend_from_slice(value);
        };
        add(2, &utf16(self.domain));
        add(1, &utf16("SERVER"));
        if self.tells_time {
            add(7, &133_000_000_000_000_000u64.to_le_bytes());
        }
        add(0, &[]);
        list
    }

    fn challenge(&self) -> Vec<u8> {
        let (target, information) = (utf16(self.domain), self.information());
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        field(&mut message, target.len(), 48);
        message.extend(FLAGS.to_le_bytes());
        message.extend(CHALLENGE);
        message.extend([0; 8]);
        field(&mut message, information.len(), 48 + target.len());
        [message, target, information].concat()
    }

    /// Whether the answer is that of somebody who knows the password.
    fn is_right(&self, message: &[u8]) -> bool {
        let (Some(response), Some(domain), Some(user)) =
            (part(message, 1), part(message, 2), part(message, 3))
        else {
            return false;
        };
        let Some((proof, blob)) = response.split_at_checked(16) else { return false };
        let key = hmac_md5(
            &Md4::digest(utf16(self.account.password)),
            &[&utf16(&self.account.user.to_uppercase()), domain].concat(),
        );
        let named = user == utf16(self.account.user) && domain == utf16(self.domain);
        // The version, the client's challenge and, behind 28 bytes, what this server has said of itself.
        let about_this = blob.starts_with(&[1, 1, 0, 0])
            && blob.get(28..).is_some_and(|rest| rest.starts_with(&self.information()));
        let time = blob.get(8..16).map(|time| u64::from_le_bytes(time.try_into().expect("eight bytes")));
        let time_fits = !self.tells_time || time == Some(133_000_000_000_000_000);
        named && about_this && time_fits && proof == hmac_md5(&key, &[&CHALLENGE[..], blob].concat())
    }
}

/// Where a part of a message is.
fn field(message: &mut Vec<u8>, length: usize, offset: usize) {
    message.extend([(length as u16).to_le_bytes(); 2].concat());
    message.extend((offset as u32).to_le_bytes());
}

/// A part of the answer, by its number.
fn part(message: &[u8], number: usize) -> Option<&[u8]> {
    let at = 12 + 8 * number;
    let length = u16::from_le_bytes(message.get(at..at + 2)?.try_into().ok()?);
    let offset = u32::from_le_bytes(message.get(at + 4..at + 8)?.try_into().ok()?) as usize;
    message.get(offset..offset + usize::from(length))
}

fn hmac_md5(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Md5>::new_from_slice(key).expect("a key of any length");
    hmac.update(data);
    hmac.finalize().into_bytes().to_vec()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
