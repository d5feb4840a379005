//! CSS selectors with jQuery's extensions: `:contains(text)`, `:input`, `[type!=radio]`, `[href#=pattern]`.
//!
//! They are the same as in the reference. `:contains()` ignores case; its text needs quotes unless it is a name.
//! Patterns need no quotes and end at the closing bracket. An element with only white space is `:empty`.
//!
//! Chains are not searched again from places where they cannot begin, and results about positions and descendants are
//! kept. Therefore a selector can be used for one document only, which must not change.

mod parser;

use std::cell::RefCell;

use dom_query::{NodeId, NodeRef};
use regex_lite::Regex;
use rustc_hash::FxHashMap;

/// One of several chains.
pub struct Selector(Vec<Chain>);

impl Selector {
    /// `None` if it cannot be parsed.
    pub fn parse(text: &str) -> Option<Self> {
        parser::parse(text)
    }

    /// Only elements match. Once `may_go_on` has returned false, the caller must not use the answer.
    pub fn matches(&self, node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> bool {
        node.is_element() && self.0.iter().any(|chain| chain.matches(node, may_go_on))
    }
}

/// Asked between the steps of a search. No step takes longer than the document's text is long.
pub type MayGoOn<'a> = &'a dyn Fn() -> bool;

/// Elements in relation, `ul > li a`: the last is the one that is looked for, the others are nearest first.
struct Chain {
    last: Compound,
    before: Vec<(Relation, Compound)>,
}

/// The conditions that one element has to meet.
struct Compound(Vec<Condition>);

/// The relation of an element to the one before it in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Descendant,
    Child,
    /// `a + b`.
    Next,
    /// `a ~ b`.
    Later,
}

enum Condition {
    Tag(String),
    Attribute {
        name: String,
        value: Expected,
        ignore_case: bool,
    },
    Is(Selector),
    Not(Selector),
    Has(Vec<Relative>),
    /// Its text, or only what is in no other element, contains something.
    Text {
        own: bool,
        expected: Expected,
    },
    Nth(Nth),
    Lang(String),
    Checked,
    Disabled,
    Empty,
    Enabled,
    Input,
    Link,
    Root,
    /// What depends on a user: `:hover`.
    Never,
}

/// What a text has to be.
enum Expected {
    Anything,
    Equal(String),
    NotEqual(String),
    Word(String),
    /// Equal, or followed by a hyphen and more.
    Dashed(String),
    Prefix(String),
    Suffix(String),
    Part(String),
    Pattern(Regex),
}

/// One of the conditions of `:has()`.
struct Relative {
    relation: Relation,
    chain: Chain,
    /// Whether it is below elements that were asked for.
    below: RefCell<FxHashMap<NodeId, bool>>,
}

/// `:nth-child(an+b)` and those like it.
struct Nth {
    a: i64,
    b: i64,
    from_last: bool,
    of_type: bool,
    /// Of the children of parents that were asked for, from 1.
    places: RefCell<FxHashMap<NodeId, i64>>,
}

/// Whether the elements before one match a chain, and from where it need not be searched again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Matches,
    /// From another element it might.
    NotFromHere,
    /// From none of its siblings before.
    NotFromSiblings,
    /// From nothing above it, either.
    Never,
}

impl Chain {
    fn matches(&self, node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> bool {
        self.last.matches(node, may_go_on) && trace(&self.before, node, may_go_on) == Outcome::Matches
    }
}

fn trace(before: &[(Relation, Compound)], node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> Outcome {
    let Some(((relation, compound), rest)) = before.split_first() else { return Outcome::Matches };
    let mut at = relation.back(node);
    while let Some(candidate) = at {
        if !may_go_on() {
            return Outcome::Never;
        }
        let is_match = compound.matches(&candidate, may_go_on);
        let outcome = if is_match { trace(rest, &candidate, may_go_on) } else { Outcome::NotFromHere };
        match (relation, outcome) {
            (_, Outcome::Matches | Outcome::Never) => return outcome,
            // Siblings have the same parent.
            (Relation::Child, _) => return Outcome::NotFromSiblings,
            (Relation::Next, _) | (Relation::Later, Outcome::NotFromSiblings) => return outcome,
            (Relation::Descendant, _) | (Relation::Later, _) => at = relation.back(&candidate),
        }
    }
    match relation {
        Relation::Descendant | Relation::Child => Outcome::Never,
        Relation::Next | Relation::Later => Outcome::NotFromSiblings,
    }
}

impl Relation {
    /// The nearest element that may be the one before.
    fn back<'a>(self, node: &NodeRef<'a>) -> Option<NodeRef<'a>> {
        match self {
            Self::Descendant | Self::Child => node.parent().filter(NodeRef::is_element),
            Self::Next | Self::Later => node.prev_element_sibling(),
        }
    }
}

impl Compound {
    fn matches(&self, node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> bool {
        self.0.iter().all(|condition| condition.holds(node, may_go_on))
    }
}

impl Condition {
    fn holds(&self, node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> bool {
        match self {
            Self::Tag(name) => named(node, &[name]),
            Self::Attribute { name, value, ignore_case } => match node.attr(name) {
                Some(found) if *ignore_case => value.accepts(&found.to_lowercase()),
                Some(found) => value.accepts(&found),
                None => matches!(value, Expected::NotEqual(_)),
            },
            Self::Is(selector) => selector.matches(node, may_go_on),
            Self::Not(selector) => !selector.matches(node, may_go_on),
            Self::Has(relatives) => relatives.iter().any(|relative| relative.is_there(node, may_go_on)),
            Self::Text { .. } if !may_go_on() => false,
            Self::Text { own, expected } => {
                let text = if *own { node.immediate_text() } else { node.text() };
                match expected {
                    Expected::Part(_) => expected.accepts(&text.to_lowercase()),
                    _ => expected.accepts(&text),
                }
            }
            Self::Nth(nth) => nth.holds(node),
            Self::Lang(lang) => {
                let dashed = Expected::Dashed(lang.clone());
                let says = |node: &NodeRef<'_>| node.attr("lang").is_some_and(|found| dashed.accepts(&found));
                says(node) || node.ancestors_it(None).any(|above| says(&above))
            }
            Self::Checked if named(node, &["option"]) => node.has_attr("selected"),
            Self::Checked => {
                let checkable =
                    |kind: &str| ["checkbox", "radio"].iter().any(|c| kind.eq_ignore_ascii_case(c));
                let named = named(node, &["input", "menuitem"]) && node.has_attr("checked");
                named && node.attr("type").is_some_and(|kind| checkable(&kind))
            }
            Self::Disabled => named(node, &CAN_BE_DISABLED) && is_disabled(node),
            Self::Enabled if named(node, &LINKS) => node.has_attr("href"),
            Self::Enabled => named(node, &CAN_BE_DISABLED) && !is_disabled(node),
            Self::Empty => node.children_it(false).all(|c| !c.is_element() && !c.is_nonempty_text()),
            Self::Input => named(node, &["input", "select", "textarea", "button"]),
            Self::Link => named(node, &LINKS) && node.has_attr("href"),
            Self::Root => node.parent().is_some_and(|parent| parent.is_document()),
            Self::Never => false,
        }
    }
}

const LINKS: [&str; 3] = ["a", "area", "link"];

const CAN_BE_DISABLED: [&str; 8] =
    ["button", "input", "select", "textarea", "option", "optgroup", "menuitem", "fieldset"];

fn named<S: AsRef<str>>(node: &NodeRef<'_>, names: &[S]) -> bool {
    let is = |name: &str| names.iter().any(|expected| name.eq_ignore_ascii_case(expected.as_ref()));
    node.qual_name_ref().is_some_and(|name| is(&name.local))
}

/// By itself, or by the group it is in; the first legend of a group always works.
fn is_disabled(node: &NodeRef<'_>) -> bool {
    if node.has_attr("disabled") {
        return true;
    }
    if named(node, &["optgroup", "menuitem", "fieldset"]) {
        return false;
    }
    let mut inner = *node;
    for above in node.ancestors_it(None) {
        if named(&above, &["fieldset"]) && above.has_attr("disabled") {
            let mut before =
                std::iter::successors(inner.prev_element_sibling(), NodeRef::prev_element_sibling);
            if !named(&inner, &["legend"]) || before.any(|n| named(&n, &["legend"])) {
                return true;
            }
        }
        inner = above;
    }
    false
}

impl Expected {
    fn accepts(&self, text: &str) -> bool {
        let is_blank = || text.trim().is_empty();
        match self {
            Self::Anything => true,
            Self::Equal(expected) => text == expected,
            Self::NotEqual(expected) => text != expected,
            Self::Word(expected) => text.split_ascii_whitespace().any(|word| word == expected),
            Self::Dashed(expected) => text
                .strip_prefix(expected.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
            Self::Prefix(expected) => text.starts_with(expected.as_str()) && !is_blank(),
            Self::Suffix(expected) => text.ends_with(expected.as_str()) && !is_blank(),
            Self::Part(expected) => text.contains(expected.as_str()),
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl Relative {
    fn is_there(&self, node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> bool {
        let matches = |node: &NodeRef<'_>| may_go_on() && self.chain.matches(node, may_go_on);
        let mut after = std::iter::successors(node.next_element_sibling(), NodeRef::next_element_sibling);
        match self.relation {
            Relation::Descendant => self.is_below(node, may_go_on),
            Relation::Child => node.element_children().iter().any(matches),
            Relation::Next => after.next().is_some_and(|next| matches(&next)),
            Relation::Later => after.any(|later| matches(&later)),
        }
    }

    fn is_below(&self, node: &NodeRef<'_>, may_go_on: MayGoOn<'_>) -> bool {
        if let Some(known) = self.below.borrow().get(&node.id) {
            return *known;
        }
        let mut searched = vec![node.id];
        for candidate in node.descendants_it().filter(NodeRef::is_element).take_while(|_| may_go_on()) {
            if self.chain.matches(&candidate, may_go_on) {
                let up_to_here = candidate.ancestors_it(None).take_while(|above| above.id != node.id);
                self.below
                    .borrow_mut()
                    .extend(up_to_here.map(|above| above.id).chain([node.id]).map(|id| (id, true)));
                return true;
            }
            searched.push(candidate.id);
        }
        self.below.borrow_mut().extend(searched.into_iter().map(|id| (id, false)));
        false
    }
}

impl Nth {
    fn condition(a: i64, b: i64, from_last: bool, of_type: bool) -> Condition {
        Condition::Nth(Self { a, b, from_last, of_type, places: RefCell::default() })
    }

    fn holds(&self, node: &NodeRef<'_>) -> bool {
        let Some(place) = self.place(node) else { return false };
        let steps = place - self.b;
        if self.a == 0 { steps == 0 } else { steps % self.a == 0 && steps / self.a >= 0 }
    }

    fn place(&self, node: &NodeRef<'_>) -> Option<i64> {
        if let Some(place) = self.places.borrow().get(&node.id) {
            return Some(*place);
        }
        let mut children = node.parent()?.element_children();
        if self.from_last {
            children.reverse();
        }
        let mut counts = FxHashMap::default();
        let mut places = self.places.borrow_mut();
        for child in children {
            let kind = if self.of_type { child.node_name().map(|name| name.to_string()) } else { None };
            let count = counts.entry(kind).or_insert(0);
            *count += 1;
            places.insert(child.id, *count);
        }
        places.get(&node.id).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::document::Document;
    use super::*;

    /// The ids, or else the names, of what matches.
    fn found(html: &str, selector: &str) -> Option<String> {
        let document = Document::parse(html, None).unwrap();
        let selector = Selector::parse(selector)?;
        let root = document.tree.root();
        let matching = root.descendants_it().filter(|node| selector.matches(node, &|| true));
        let name = |n: NodeRef<'_>| n.id_attr().or_else(|| n.node_name()).unwrap_or_default().to_string();
        Some(matching.map(name).collect::<Vec<_>>().join(" "))
    }

    const PAGE: &str = "<html id=html lang=en-gb><head id=head></head><body id=body>
        <div id=d class='a b' title='One two'><p id=p1>First<p id=p2 class=x>Second <i id=i>Inner</i> more<p id=p3><!-- --> </p></div>
        <ul id=u><li id=l1>1<li id=l2 data-n=5>2<li id=l3 class=x>3<li id=l4>4</ul>
        <form id=f><input id=r type=radio checked><input id=t disabled><input id=c type=CheckBox>
        <fieldset id=s disabled><legend id=g><button id=b></button></legend><input id=n><fieldset id=s2><select id=e><option id=o selected></select></fieldset></fieldset>
        <textarea id=a></textarea></form><a id=k href=/x/7 lang=fr>k</a><a id=m>m</a></body></html>";

    #[test]
    fn what_is_in_the_standard() {
        for (selector, expected) in [
            ("UL > Li", "l1 l2 l3 l4"),
            ("#l2, .x", "p2 l2 l3"),
            ("div.a.b i", "i"),
            ("body div > i", ""),
            ("li + li + li", "l3 l4"),
            ("#l1 ~ .x", "l3"),
            ("p + p ~ p", "p3"),
            ("*#d", "d"),
            ("[TITLE]", "d"),
            ("[title='One two']", "d"),
            ("[title=\"one TWO\" i]", "d"),
            ("[ title ~= two ]", "d"),
            ("[title~='One two']", ""),
            ("[lang|=en]", "html"),
            ("[title^=One][title$=two][title*='e t']", "d"),
            ("[title^='']", "d"),
            ("[data-n='\\35 ']", "l2"),
            ("li:not(.x):not(#l1, #l2)", "l4"),
            ("li:is(.x, #l1), :where(i)", "i l1 l3"),
            ("div:has(i), div:has(> i)", "d"),
            ("p:has(+ .x), li:has(~ .x)", "p1 l1 l2"),
            ("p:has(> i)", "p2"),
            ("li:nth-child(odd)", "l1 l3"),
            ("li:nth-child( 2n + 2 )", "l2 l4"),
            ("li:nth-child(-n+2)", "l1 l2"),
            ("li:nth-child(n-1)", "l1 l2 l3 l4"),
            ("li:nth-child(+3)", "l3"),
            ("li:nth-last-child(even)", "l1 l3"),
            ("a:nth-of-type(2), p:nth-last-of-type(3)", "p1 m"),
            ("li:first-child, li:last-child", "l1 l4"),
            ("#d > :first-of-type:last-of-type, i:only-child, form:only-of-type", "i f"),
            (":root", "html"),
            ("p:empty", "p3"),
            (":link", "k"),
            ("a:lang(en), :lang(fr)", "k m"),
            ("p:hover, p:not(:hover)", "p1 p2 p3"),
            ("#\\64 , #l\\31", "d l1"),
            ("ul/* the list */li", "l1 l2 l3 l4"),
        ] {
            assert_eq!(found(PAGE, selector).as_deref(), Some(expected), "{selector}");
        }
    }

    #[test]
    fn what_others_added() {
        for (selector, expected) in [
            (":checked", "r o"),
            (":disabled", "t s n e o"),
            (":enabled", "r c b s2 a k"),
            ("fieldset :input", "b n e"),
            ("p:contains(second)", "p2"),
            ("p:contains('Second Inner')", "p2"),
            ("p:containsOwn(inner), p:containsown(more)", "p2"),
            ("p:matches(^F.*t$)", "p1"),
            ("p:matches([A-Z](e|n)), p:matchesOwn(Inner)", "p2"),
            ("body > :has(i)", "d"),
            (":haschild(i)", "p2"),
            ("input[type!=radio]", "t c n"),
            ("[href#=(/\\d$)]", "k"),
            ("[href#=^/[a-z]/]:not([href#=8])", "k"),
        ] {
            assert_eq!(found(PAGE, selector).as_deref(), Some(expected), "{selector}");
        }
        let first_legend =
            "<fieldset disabled><legend><input id=a></legend><legend><input id=b></legend></fieldset>";
        assert_eq!(found(first_legend, "input:disabled").as_deref(), Some("b"));
    }

    #[test]
    fn what_is_no_selector() {
        for selector in ["", " ", "a\\\n", "a || b", ":contains(two words)", "li:nth-child(1 of a)"] {
            assert_eq!(found(PAGE, selector), None, "{selector}");
        }
        let further = ", | a, | >a | a> | a>>b | [ | [a | [a= | [a=1] | [a?=b] | [a!b] | [a='b] | [a#=(] | a) | &
            : | ::before | :nope | :not | :not() | :not(a | :eq(1) | :first | :odd | :contains( | :has() | :has(,)
            :matches(() | :matches(?) | :matches() | :nth-child() | :nth-child(2n+) | :nth-child(99999999999)
            .1a | # | --a | [a=b!] | :nth-child(oven) | :lang()";
        for selector in further.split([' ', '\n']).filter(|selector| !matches!(*selector, "" | "|")) {
            assert_eq!(found(PAGE, selector), None, "{selector}");
        }
    }

    /// Each of these selectors would take years, or overflow the stack, without these measures.
    #[test]
    fn selectors_take_no_longer_than_documents_are_large() {
        let started = Instant::now();
        let deep = "<div>".repeat(3_000);
        assert_eq!(found(&deep, &format!("p {}b", "div ".repeat(50))), Some(String::new()));
        assert_eq!(found(&deep, &format!("p > {}div", "div div > ".repeat(30))), Some(String::new()));
        assert_eq!(
            found(&deep, &format!("{}b{}", "div:has(".repeat(50), ")".repeat(50))),
            Some(String::new())
        );
        let wide = "<p></p>".repeat(5_000);
        assert_eq!(found(&wide, &format!("b ~ {}p", "p ~ ".repeat(50))), Some(String::new()));
        assert_eq!(found(&wide, "p:nth-child(5000n):nth-last-of-type(1)").as_deref(), Some("p"));
        for unbounded in ["div ".repeat(1_000_000), ":not(".repeat(1_000_000), "a:has(".repeat(1_000_000)] {
            assert_eq!(found("", &unbounded), None);
        }
        assert_eq!(found(PAGE, &["#u"; 100_000].join(",")).as_deref(), Some("u"));
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-c*#.\\[\\]:()\"'\\\\>+~ ,=!^$|1-3n☃-]{0,24}") {
            found("<p><b>", &text);
        }

        #[test]
        fn any_argument_is_read(name in "(not|has|contains|matches|nth-child|lang)", text in "\\PC{0,12}") {
            found("<p><b>", &format!(":{name}({text})"));
        }
    }
}
