//! Where an option stands in a script. Options can be made in many ways, so there may be nothing to find; then there
//! is nothing to say.

/// The line of an option, from 1: that of the last of these keys, each found after the one before.
pub fn line_of<'a>(text: &str, keys: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    let at = end_of(text, keys)?;
    Some(line_at(text, at))
}

/// The line of a value somewhere behind its keys; that of the last key, if it is not written there.
pub fn line_of_value<'a>(text: &str, keys: impl IntoIterator<Item = &'a str>, value: &str) -> Option<usize> {
    let at = end_of(text, keys)?;
    Some(line_at(text, at + text[at..].find(value).unwrap_or(0)))
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where the last key ends; indexes are passed over.
fn end_of<'a>(text: &str, keys: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    let mut at = 0;
    for key in keys.into_iter().filter(|key| !key.is_empty() && !key.bytes().all(|b| b.is_ascii_digit())) {
        at += find_key(&text[at..], key)? + key.len();
    }
    (at > 0).then_some(at)
}

/// The first place where a text names a key and gives it something.
fn find_key(text: &str, key: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(key).map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        let after = text[at + key.len()..].trim_start_matches(['"', '\'', '`']).trim_start();
        !before.is_some_and(is_word) && after.starts_with([':', '='])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "const checks = 1;
export const options = {
  vus: 1,
  thresholds: {
    checks: ['rate>0.9'],
    \"hits{kind:a}\": [
      'count>1',
      'count>2',
    ],
  },
};";

    #[test]
    fn keys_are_found_one_behind_the_other() {
        assert_eq!(line_of(SCRIPT, ["options", "vus"]), Some(3));
        assert_eq!(line_of(SCRIPT, ["options", "thresholds", "checks"]), Some(5));
        assert_eq!(line_of(SCRIPT, ["options", "thresholds", "hits{kind:a}", "0"]), Some(6));
        assert_eq!(line_of(SCRIPT, ["options", "duration"]), None);
        assert_eq!(line_of(SCRIPT, []), None);
        assert_eq!(line_of_value(SCRIPT, ["options", "thresholds", "hits{kind:a}"], "count>2"), Some(8));
        assert_eq!(line_of_value(SCRIPT, ["options", "thresholds", "checks"], "rate<1"), Some(5));
    }
}
