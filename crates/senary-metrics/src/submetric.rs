//! Sub-metrics: the samples of a metric that carry certain tags, `http_reqs{status:200,method:GET}`.
//!
//! Syntax after <https://grafana.com/docs/k6/latest/using-k6/thresholds/#thresholds-on-tags>.

use crate::tags::TagSet;

/// Why a metric selector is malformed. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error("parsing metric name failed, metric {0:?} has unmatched opening/close curly brace")]
    UnmatchedBrace(String),
    #[error("parsing metric name failed, metric {0:?} closing curly brace appears before opening one")]
    ClosedBeforeOpened(String),
    #[error("parsing metric name failed, metric {0:?} lacks a closing curly brace in its last position")]
    NotClosedAtEnd(String),
    #[error("parsing metric name failed, metric {0:?} tag expression is malformed")]
    MalformedTags(String),
}

/// A metric's name and, for a sub-metric, the tags its samples must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    /// In the order written; empty for the metric itself.
    pub tags: Vec<(String, String)>,
    /// The text between the braces, as written but for spaces around it.
    pub suffix: Option<String>,
}

impl Selector {
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let owned = || text.to_owned();
        let (open, close) = match (text.find('{'), text.rfind('}')) {
            (None, None) => return Ok(Self { metric: owned(), tags: Vec::new(), suffix: None }),
            (Some(open), Some(close)) => (open, close),
            _ => return Err(SelectorError::UnmatchedBrace(owned())),
        };
        if close < open {
            return Err(SelectorError::ClosedBeforeOpened(owned()));
        }
        if close + 1 != text.len() {
            return Err(SelectorError::NotClosedAtEnd(owned()));
        }
        let suffix = text[open + 1..close].trim();
        let mut tags = Vec::new();
        for pair in suffix.split(',') {
            let Some((key, value)) = pair.split_once(':') else {
                return Err(SelectorError::MalformedTags(owned()));
            };
            let key = unquote(key);
            // An empty value is written in quotes.
            if key.is_empty() || value.trim().is_empty() {
                return Err(SelectorError::MalformedTags(owned()));
            }
            tags.push((key.to_owned(), unquote(value).to_owned()));
        }
        Ok(Self { metric: text[..open].to_owned(), tags, suffix: Some(suffix.to_owned()) })
    }

    /// What users read: `hits{kind:a}`.
    pub fn name(&self) -> String {
        match &self.suffix {
            Some(suffix) => format!("{}{{{suffix}}}", self.metric),
            None => self.metric.clone(),
        }
    }

    /// Whether a sample with these tags belongs to the sub-metric. A tag that is asked to be empty must be there.
    pub fn matches(&self, tags: &TagSet) -> bool {
        self.tags.iter().all(|(key, value)| tags.get(key) == Some(value.as_str()))
    }
}

fn unquote(text: &str) -> &str {
    text.trim().trim_matches(|c| c == '"' || c == '\'').trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn selectors() {
        let selector = Selector::parse("lag{ kind:\"spaced value\", url:http://x:1 }").unwrap();
        assert_eq!(selector.metric, "lag");
        assert_eq!(selector.name(), "lag{kind:\"spaced value\", url:http://x:1}");
        assert_eq!(selector.tags[0], ("kind".into(), "spaced value".into()));
        assert_eq!(selector.tags[1], ("url".into(), "http://x:1".into()));
        assert!(selector.matches(&TagSet::new([
            ("kind", "spaced value"),
            ("url", "http://x:1"),
            ("more", "1")
        ])));
        assert!(!selector.matches(&TagSet::new([("kind", "spaced value")])));
        let root = Selector::parse("a{group:\"\"}").unwrap();
        assert!(root.matches(&TagSet::new([("group", "")])));
        assert!(!root.matches(&TagSet::new([("group", "::g")])));
        assert!(!root.matches(&TagSet::default()));
        for (text, error) in [
            ("a{b:c", SelectorError::UnmatchedBrace("a{b:c".into())),
            ("a}b{", SelectorError::ClosedBeforeOpened("a}b{".into())),
            ("a{b:c}d", SelectorError::NotClosedAtEnd("a{b:c}d".into())),
            ("a{b}", SelectorError::MalformedTags("a{b}".into())),
            ("a{b:}", SelectorError::MalformedTags("a{b:}".into())),
            ("a{b: ,c:d}", SelectorError::MalformedTags("a{b: ,c:d}".into())),
        ] {
            assert_eq!(Selector::parse(text), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = Selector::parse(&text);
        }
    }
}
