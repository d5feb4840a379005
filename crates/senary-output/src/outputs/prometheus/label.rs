//! Labels: the tags of a series in the form that Prometheus accepts.

use std::sync::Once;

use senary_metrics::TagSet;

/// The name of a metric is a label, too.
const METRIC_NAME: &str = "__name__";

static WARNED: Once = Once::new();

/// Labels without the metric's name, sorted by name.
pub(super) type Labels = Box<[(Box<str>, Box<str>)]>;

/// The labels of a tag set. Tags without a name or a value are left out; a name that is not valid is made valid.
pub(super) fn labels(tags: &TagSet) -> Labels {
    let mut labels: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(tags.len());
    for (name, value) in tags.iter().filter(|(name, value)| !name.is_empty() && !value.is_empty()) {
        let mut valid = valid(name);
        if valid != name {
            warn_once(name, &valid);
        }
        // Two tags may become the same label, and a server refuses that.
        while labels.iter().any(|(known, _)| **known == *valid)
            || (valid != name && tags.get(&valid).is_some())
        {
            valid.push('_');
        }
        labels.push((valid.into(), value.into()));
    }
    labels.sort_unstable();
    labels.into()
}

/// All labels of a series in their order.
pub(super) fn with_name<'a>(name: &'a str, labels: &'a Labels) -> Vec<(&'a str, &'a str)> {
    let at = labels.partition_point(|(label, _)| **label < *METRIC_NAME);
    let mut all: Vec<_> = labels.iter().map(|(label, value)| (&**label, &**value)).collect();
    all.insert(at, (METRIC_NAME, name));
    all
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, and not the one that is the metric's name.
fn valid(name: &str) -> String {
    if name == METRIC_NAME {
        return format!("tag{METRIC_NAME}");
    }
    let mut valid: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if valid.starts_with(|c: char| c.is_ascii_digit()) {
        valid.insert(0, '_');
    }
    valid
}

fn warn_once(name: &str, valid: &str) {
    WARNED.call_once(|| {
        log::warn!(
            "The tag {name:?} is called {valid} in Prometheus, and so are others: names of labels have letters, digits and underscores only"
        );
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(tags: &[(&str, &str)]) -> Vec<String> {
        let labels = labels(&TagSet::new(tags.iter().copied()));
        with_name("k6_x", &labels).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn names_are_made_valid_and_stay_apart() {
        assert_eq!(
            shown(&[
                ("Zone", "1"),
                ("my-tag", "2"),
                ("my_tag", "3"),
                ("my.tag", "4"),
                ("", "5"),
                ("none", ""),
                ("9a", "6"),
                ("__name__", "7"),
                ("ü", "8")
            ]),
            [
                "Zone=1",
                "_=8",
                "_9a=6",
                "__name__=k6_x",
                "my_tag=3",
                "my_tag_=2",
                "my_tag__=4",
                "tag__name__=7"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_tags_become_valid_labels(tags in prop::collection::vec(("[a_.é1-]{0,3}", "[x]{0,1}"), 0..8)) {
            let set = TagSet::new(tags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let labels = labels(&set);
            let all = with_name("k6_x", &labels);
            prop_assert!(all.is_sorted_by(|a, b| a.0 < b.0), "{:?}", all);
            for (name, _) in all {
                prop_assert_eq!(&valid(name).replace("tag__", "__"), name);
            }
        }
    }
}
