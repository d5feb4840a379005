//! Digest authentication. RFC 7616, and RFC 2069 for servers without `qop`.

use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use md5::{Digest as _, Md5};

use super::challenge::{self, Challenge};
use super::{Credentials, hex};

/// What is asked for, as it stands in the request line.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The path and the query.
    pub path: &'a str,
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512Of256,
}

/// The value of `Authorization` for the first challenge that can be answered. `challenges` are the values of `WWW-Authenticate`;
/// `client_nonce` is a random text, and `count` says how often the server's nonce has been used, this time included.
pub fn answer<'c>(
    challenges: impl IntoIterator<Item = &'c str>,
    credentials: Credentials<'_>,
    request: Request<'_>,
    client_nonce: &str,
    count: u32,
) -> Option<String> {
    let all = challenges.into_iter().flat_map(challenge::parse);
    let mut digests = all.filter(|challenge| challenge.scheme.eq_ignore_ascii_case("Digest"));
    digests.find_map(|challenge| answer_one(&challenge, credentials, request, client_nonce, count))
}

fn answer_one(
    challenge: &Challenge,
    credentials: Credentials<'_>,
    request: Request<'_>,
    client_nonce: &str,
    count: u32,
) -> Option<String> {
    let (realm, nonce) = (challenge.get("realm").unwrap_or_default(), challenge.get("nonce")?);
    let name = challenge.get("algorithm");
    let (algorithm, session) = Algorithm::named(name.unwrap_or("MD5"))?;
    let hash = |text: &str| algorithm.hash(text.as_bytes());
    let qop = match challenge.get("qop") {
        None => None,
        Some(offered) => Some(chosen_qop(offered)?),
    };
    let Credentials { user, password } = credentials;
    let mut secret = hash(&format!("{user}:{realm}:{password}"));
    if session {
        secret = hash(&format!("{secret}:{nonce}:{client_nonce}"));
    }
    let Request { method, path, body } = request;
    let asked = match qop {
        Some("auth-int") => hash(&format!("{method}:{path}:{}", algorithm.hash(body))),
        _ => hash(&format!("{method}:{path}")),
    };
    let count = format!("{count:08x}");
    let response = match qop {
        Some(qop) => hash(&format!("{secret}:{nonce}:{count}:{client_nonce}:{qop}:{asked}")),
        None => hash(&format!("{secret}:{nonce}:{asked}")),
    };
    let hides_user = challenge.get("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let user = if hides_user { hash(&format!("{user}:{realm}")) } else { user.to_owned() };
    let mut text = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
        quoted(&user),
        quoted(realm),
        quoted(nonce),
        quoted(path)
    );
    let mut add = |name: &str, value: &str| text.push_str(&format!(", {name}={value}"));
    if let Some(name) = name {
        add("algorithm", name);
    }
    if let Some(opaque) = challenge.get("opaque") {
        add("opaque", &quoted(opaque));
    }
    if let Some(qop) = qop {
        add("qop", qop);
        add("nc", &count);
    }
    if qop.is_some() || session {
        add("cnonce", &quoted(client_nonce));
    }
    if hides_user {
        add("userhash", "true");
    }
    Some(text)
}

/// The one that protects less, but never needs the body twice, is what servers expect.
fn chosen_qop(offered: &str) -> Option<&'static str> {
    let offers = |name: &str| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case(name));
    ["auth", "auth-int"].into_iter().find(|name| offers(name))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Algorithm {
    /// The algorithm, and whether its secret is one of a session.
    fn named(name: &str) -> Option<(Self, bool)> {
        let name = name.to_ascii_uppercase();
        let (base, session) = match name.strip_suffix("-SESS") {
            Some(base) => (base, true),
            None => (name.as_str(), false),
        };
        let algorithm = match base {
            "MD5" => Self::Md5,
            "SHA-256" => Self::Sha256,
            "SHA-512-256" => Self::Sha512Of256,
            _ => return None,
        };
        Some((algorithm, session))
    }

    fn hash(self, data: &[u8]) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(data)),
            Self::Sha256 => hex(digest(&SHA256, data).as_ref()),
            Self::Sha512Of256 => hex(digest(&SHA512_256, data).as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Request<'_> = Request { method: "GET", path: "/dir/index.html", body: b"" };

    fn response_to(challenges: &[&str], password: &str, client_nonce: &str) -> Option<String> {
        let credentials = Credentials { user: "Mufasa", password };
        answer(challenges.iter().copied(), credentials, GET, client_nonce, 1)
    }

    /// RFC 7616, section 3.9.1, and RFC 2617, section 3.5.
    #[test]
    fn the_examples_of_the_standards_come_out() {
        let of_7616 = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let answer = response_to(&[&of_7616(algorithm)], "Circle of Life", client_nonce).unwrap();
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
            assert!(answer.contains(&format!("algorithm={algorithm}, opaque=\"FQhe/")), "{answer}");
            assert!(answer.contains("qop=auth, nc=00000001, cnonce=\"f2/"), "{answer}");
        }
        let of_2617 = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let answer = response_to(&[of_2617], "Circle Of Life", "0a4f113b").unwrap();
        assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
        assert!(!answer.contains("algorithm"), "{answer}");
    }

    #[test]
    fn a_challenge_that_cannot_be_answered_is_passed_over() {
        let good = "Digest realm=\"r\", nonce=\"n\"";
        let unknown = "Digest realm=\"r\", nonce=\"n\", algorithm=ROT13";
        let answered = response_to(&["Basic realm=\"x\"", unknown, good], "p", "c").unwrap();
        assert!(
            answered.starts_with("Digest username=\"Mufasa\", realm=\"r\", nonce=\"n\", uri="),
            "{answered}"
        );
        // Without `qop` there is nothing that needs a nonce of the client.
        assert!(!answered.contains("cnonce") && !answered.contains("nc="), "{answered}");
        for none in ["Basic realm=\"x\"", unknown, "Digest realm=\"r\"", "Digest nonce=n, qop=later", ""] {
            assert_eq!(response_to(&[none], "p", "c"), None, "{none}");
        }
        let hidden =
            response_to(&["Digest realm=r, nonce=n, userhash=true, algorithm=SHA-256-sess"], "p", "c");
        let hidden = hidden.unwrap();
        assert!(!hidden.contains("Mufasa") && hidden.contains("cnonce=\"c\", userhash=true"), "{hidden}");
    }
}
