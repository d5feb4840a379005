//! `WWW-Authenticate`: which schemes a server offers, with which parameters. RFC 9110, section 11.

/// A scheme that a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    /// What NTLM has instead of parameters.
    pub(super) token: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// All challenges of a field. What cannot be read is left out.
pub(super) fn parse(field: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for item in items(field) {
        let (name, value) = match item.split_once('=') {
            // `=` at the end belongs to a token.
            Some((name, value)) if !value.trim_start_matches('=').is_empty() => (name, Some(value)),
            _ => (item, None),
        };
        let name = name.trim();
        // A scheme, and the first parameter or the token behind it.
        if let Some((scheme, rest)) = name.split_once(|c: char| c.is_ascii_whitespace()) {
            let mut challenge = Challenge { scheme: scheme.to_owned(), ..Challenge::default() };
            match value {
                Some(value) => challenge.parameters.push((rest.trim().to_owned(), unquoted(value))),
                None => challenge.token = rest.trim().to_owned(),
            }
            challenges.push(challenge);
            continue;
        }
        match (value, challenges.last_mut()) {
            (Some(value), Some(last)) => last.parameters.push((name.to_owned(), unquoted(value))),
            (Some(_), None) => {}
            (None, _) if name.is_empty() => {}
            (None, _) => challenges.push(Challenge { scheme: name.to_owned(), ..Challenge::default() }),
        }
    }
    challenges
}

/// The parts between commas that are not in quotation marks.
fn items(field: &str) -> Vec<&str> {
    let (mut items, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in field.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                items.push(field[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(field[start..].trim());
    items
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut text, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                escaped = false;
                text.push(c);
            }
            '\\' => escaped = true,
            '"' => break,
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_may_have_several_challenges() {
        let field =
            r#"Digest realm="a, \"b\"" , qop="auth,auth-int",nonce=x=, Basic realm="c", NTLM, NTLM TlRM=="#;
        let all = parse(field);
        let schemes: Vec<_> = all.iter().map(|c| (c.scheme.as_str(), c.token.as_str())).collect();
        assert_eq!(schemes, [("Digest", ""), ("Basic", ""), ("NTLM", ""), ("NTLM", "TlRM==")]);
        assert_eq!(all[0].get("REALM"), Some("a, \"b\""));
        assert_eq!((all[0].get("qop"), all[0].get("nonce")), (Some("auth,auth-int"), Some("x=")));
        assert_eq!((all[1].get("realm"), all[1].get("nonce")), (Some("c"), None));
    }

    proptest! {
        #[test]
        fn any_field_is_answered(field in "\\PC{0,60}", other in "[a-z=\", \\\\]{0,40}") {
            let _ = (parse(&field), parse(&other));
        }
    }
}
