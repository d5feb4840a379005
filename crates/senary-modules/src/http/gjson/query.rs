//! The conditions in `#(…)`.

use std::borrow::Cow;

use serde_json::Value;

use super::path::end_of;
use super::search::Search;

/// A condition on an element: what a path finds in it, compared with a value.
#[derive(Debug)]
pub struct Query {
    path: String,
    /// If it is empty, the path only has to find something.
    operator: &'static str,
    /// Without quotes.
    value: String,
}

/// Longer ones first.
const OPERATORS: [&str; 10] = ["==", "!=", "<=", ">=", "!%", "=~", "<", ">", "%", "="];

impl Query {
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let at = end_of(text, b"=!<>%");
        let (path, rest) = text.split_at(at);
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)).unwrap_or_default();
        let value = rest.strip_prefix(operator).unwrap_or_default().trim();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let unquoted = |inside: &str| serde_json::from_str(value).unwrap_or_else(|_| inside.to_owned());
        Self {
            path: path.trim().to_owned(),
            operator: if operator == "=" { "==" } else { operator },
            value: quoted.map_or_else(|| value.to_owned(), unquoted),
        }
    }

    /// After the search has ended, nothing does.
    pub fn holds(&self, search: &Search<'_>, element: &Value, depth: usize) -> bool {
        let before = search.room();
        let holds = search.goes_on() && self.is_true(search, element, depth) && search.ended().is_none();
        // The values that this condition has made are freed.
        search.give_back(before.saturating_sub(search.room()));
        holds
    }

    fn is_true(&self, search: &Search<'_>, element: &Value, depth: usize) -> bool {
        let found = match self.path.as_str() {
            "" => Some(Cow::Borrowed(element)),
            path => super::find(search, element, path, depth + 1),
        };
        let Some(found) = found else { return false };
        if self.operator.is_empty() {
            return true;
        }
        if let Some(truth) = self.value.strip_prefix('~') {
            return self.operator == "==" && is_like(&found, truth);
        }
        match &*found {
            Value::String(text) => self.compares_text(search, text),
            Value::Number(number) => {
                let value = self.value.parse().unwrap_or(0.0);
                number.as_f64().is_some_and(|number| self.compares(number.partial_cmp(&value)))
            }
            Value::Bool(truth) => self.compares(Some(truth.cmp(&(self.value == "true")))),
            _ => false,
        }
    }

    fn compares_text(&self, search: &Search<'_>, text: &str) -> bool {
        match self.operator {
            "%" => matches(search, text, &self.value),
            "!%" => !matches(search, text, &self.value),
            _ => self.compares(Some(text.cmp(&self.value))),
        }
    }

    fn compares(&self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self.operator {
            "==" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            _ => false,
        }
    }
}

/// `~true`, `~false`, `~null`: whether a value reads as that.
fn is_like(value: &Value, truth: &str) -> bool {
    let is_true = match value {
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => {
            matches!(text.to_ascii_lowercase().as_str(), "true" | "t")
                || text.parse::<f64>().is_ok_and(|n| n != 0.0)
        }
        _ => false,
    };
    match truth {
        "true" => is_true,
        "false" => !is_true && !value.is_null(),
        "null" => value.is_null(),
        "*" => true,
        _ => false,
    }
}

/// Whether a text matches a pattern of `*`, `?` and other characters, which match themselves. Once the search has ended, the
/// caller must not use the answer.
pub fn matches(search: &Search<'_>, text: &str, pattern: &str) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where to go on if the characters after an asterisk do not fit: it then takes one more.
    let mut retry = None;
    while let Some(c) = text[t..].chars().next() {
        let mut wanted = pattern[p..].chars();
        match wanted.next() {
            Some('*') => {
                retry = Some((t, p));
                p += 1;
            }
            Some('?') => (t, p) = (t + c.len_utf8(), p + 1),
            Some('\\') if wanted.next() == Some(c) => (t, p) = (t + c.len_utf8(), p + 1 + c.len_utf8()),
            Some(same) if same == c => (t, p) = (t + c.len_utf8(), p + c.len_utf8()),
            _ => match &mut retry {
                Some((from, asterisk)) if search.goes_on() => {
                    *from += text[*from..].chars().next().map_or(1, char::len_utf8);
                    (t, p) = (*from, *asterisk + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].chars().all(|c| c == '*')
}
