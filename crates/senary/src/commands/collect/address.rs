//! Where the REST API of an instance is.

use std::fmt;

use crate::command_error::CommandError;

/// The port of a REST API, if none is given.
const PORT: u16 = 6565;

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Address {
    /// All addresses that were given; one that comes twice is an error.
    pub fn all(given: &[String]) -> Result<Vec<Self>, CommandError> {
        let mut all = Vec::new();
        for text in given {
            let address = Self::parse(text).ok_or_else(|| {
                let hint = "give HOST:PORT, as of the instance's --address, e.g. host-1:6565";
                CommandError::Command(format!("{text:?} is not the address of a REST API: {hint}"))
            })?;
            if all.contains(&address) {
                let text = format!("{address} is given twice: name each instance once");
                return Err(CommandError::Command(text));
            }
            all.push(address);
        }
        Ok(all)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("http://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address without brackets has no port.
            Some((before, _)) if before.contains(':') && !before.starts_with('[') => {
                (format!("[{text}]"), PORT)
            }
            Some((host, port)) if !port.ends_with(']') => (host.to_owned(), port.parse().ok()?),
            _ => (text.to_owned(), PORT),
        };
        let host = match host.as_str() {
            "" | "0.0.0.0" | "[::]" => "localhost".to_owned(),
            _ => host.to_ascii_lowercase(),
        };
        let is_host = |character: char| character.is_ascii_alphanumeric() || "-._[]:%".contains(character);
        (port != 0 && host.chars().all(is_host)).then(|| Self(format!("{host}:{port}")))
    }

    /// The URL of a route.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_their_notations() {
        for (text, expected) in [
            ("host-1:7000", "host-1:7000"),
            ("Host-1", "host-1:6565"),
            ("http://host-1:7000/", "host-1:7000"),
            (":7000", "localhost:7000"),
            ("0.0.0.0:7000", "localhost:7000"),
            ("[::1]:7000", "[::1]:7000"),
            ("[::1]", "[::1]:6565"),
            ("::1", "[::1]:6565"),
            ("10.0.0.1", "10.0.0.1:6565"),
        ] {
            assert_eq!(Address::parse(text).map(|address| address.0).as_deref(), Some(expected), "{text}");
        }
        for text in
            ["host:port", "host:0", "host:70000", "https://host:1", "a b:1", "host/path:1", "user@host:1"]
        {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_comes_once() {
        let all =
            |given: &[&str]| Address::all(&given.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert_eq!(all(&["a", "b", "a:7000"]).map(|all| all.len()).ok(), Some(3));
        let error = all(&["a", "b", "http://A:6565"]).map(drop).unwrap_err().to_string();
        assert_eq!(error, "a:6565 is given twice: name each instance once");
    }
}
