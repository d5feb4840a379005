//! How deeply a document is nested, estimated from its tags before it is parsed. The parser looks through all open
//! elements at each tag, and cannot be interrupted.

use rustc_hash::FxHashMap;

/// Real documents are not nested more deeply than this; parsing one that is takes almost a second.
pub const DEEPEST: usize = 10_000;

/// Void elements, and elements whose end tag is usually left out.
const FLAT: [&str; 27] = [
    "area", "base", "body", "br", "col", "dd", "dt", "embed", "head", "hr", "html", "img", "input", "li",
    "link", "meta", "option", "p", "param", "source", "tbody", "td", "th", "thead", "tr", "track", "wbr",
];

/// Elements whose content is text, whatever it looks like.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

/// The most elements that are open at a time, as far as tags tell.
pub fn of(html: &str) -> usize {
    // By name: an end tag without an open element ends nothing.
    let mut open = FxHashMap::<String, usize>::default();
    let (mut rest, mut depth, mut deepest) = (html, 0, 0);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let is_end = rest.starts_with('/');
        let name = &rest[usize::from(is_end)..];
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
        let name = name.to_ascii_lowercase();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || FLAT.contains(&name.as_str()) {
            continue;
        }
        let of_this_name = open.entry(name.clone()).or_default();
        if is_end {
            depth -= usize::from(*of_this_name > 0);
            *of_this_name = of_this_name.saturating_sub(1);
        } else if RAW.contains(&name.as_str()) {
            let end = format!("</{name}");
            rest = rest.find(&end).map_or("", |at| &rest[at + end.len()..]);
        } else {
            *of_this_name += 1;
            depth += 1;
            deepest = deepest.max(depth);
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_open_counts() {
        assert_eq!(of(""), 0);
        assert_eq!(of("<div><b>x</b><i></i></div><div></div>"), 2);
        assert_eq!(of("<!doctype html><p>a<p>b<br><li><input> 1 < 2 <3"), 0);
        assert_eq!(of("<script>if (a<b) c<d</script><style>a<b</style><div>"), 1);
        assert_eq!(of(&"<div>".repeat(5)), 5);
        assert_eq!(of("</div></div><DIV></x></p></y>".repeat(3).as_str()), 1);
        assert_eq!(of("<div></x></p>".repeat(3).as_str()), 3);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(html in "[</>a-z é]{0,40}") {
            of(&html);
        }
    }
}
