//! Lists of nodes of a document, and how to find one list from another. This module knows nothing of scripts.
//!
//! No list contains a node twice, even while it is being made. So its size is limited by the document, however many
//! lists it was made from. Selectors that cannot be parsed match nothing.

use std::rc::Rc;

use dom_query::{NodeId, NodeRef};
use rustc_hash::{FxHashMap, FxHashSet};
use senary_js::memory::Charge;

use super::document::Document;
use super::selector::Selector;

/// Nodes of one document, and the list they were found from.
pub struct Nodes {
    pub document: Rc<Document>,
    pub ids: Vec<NodeId>,
    pub previous: Option<Rc<Nodes>>,
    _charge: Option<Charge>,
}

/// Lists that were found from each other form a chain, and scripts can make it longer than the stack allows. So it is
/// freed link by link.
impl Drop for Nodes {
    fn drop(&mut self) {
        let mut previous = self.previous.take();
        while let Some(mut nodes) = previous.and_then(Rc::into_inner) {
            previous = nodes.previous.take();
        }
    }
}

/// Nodes in the order in which they were met, each once.
#[derive(Default)]
struct Met {
    ids: Vec<NodeId>,
    seen: FxHashSet<NodeId>,
}

impl Met {
    /// False if it was met before.
    fn add(&mut self, id: NodeId) -> bool {
        let is_new = self.seen.insert(id);
        if is_new {
            self.ids.push(id);
        }
        is_new
    }

    fn add_all(&mut self, ids: impl IntoIterator<Item = NodeId>) {
        for id in ids {
            self.add(id);
        }
    }
}

/// What elements can be tested for.
pub enum Test {
    /// No element passes `None`, which stands for a selector that cannot be parsed.
    Selector(Option<Selector>),
    /// Being one of these.
    Among(FxHashSet<NodeId>),
}

impl Test {
    pub fn selector(selector: &str) -> Self {
        Self::Selector(Selector::parse(selector))
    }

    /// A node of `document`. If the script must stop, none passes.
    pub fn passes(&self, node: &NodeRef<'_>, document: &Document) -> bool {
        match self {
            Self::Selector(selector) => {
                selector.as_ref().is_some_and(|selector| selector.matches(node, &|| document.may_go_on()))
            }
            Self::Among(ids) => ids.contains(&node.id),
        }
    }
}

/// Where to go from a node, one step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Next,
    Previous,
    Up,
}

impl Nodes {
    pub fn new(document: Rc<Document>, ids: Vec<NodeId>) -> Rc<Self> {
        Self::after(None, document, ids)
    }

    fn after(previous: Option<Rc<Self>>, document: Rc<Document>, ids: Vec<NodeId>) -> Rc<Self> {
        let charge = document.charge(size_of::<Self>() + ids.capacity() * size_of::<NodeId>());
        Rc::new(Self { document, ids, previous, _charge: charge })
    }

    pub fn node(&self, id: NodeId) -> NodeRef<'_> {
        self.document.tree.get_unchecked(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.ids.iter().map(|id| self.node(*id))
    }

    pub fn first(&self) -> Option<NodeRef<'_>> {
        self.ids.first().map(|id| self.node(*id))
    }

    /// Other nodes, found from these.
    pub fn leading_to(self: &Rc<Self>, found: impl IntoIterator<Item = NodeId>) -> Rc<Self> {
        let mut met = Met::default();
        met.add_all(found);
        Self::after(Some(self.clone()), self.document.clone(), met.ids)
    }

    /// The elements below these that match.
    pub fn find(&self, selector: &str) -> Vec<NodeId> {
        let Some(selector) = Selector::parse(selector) else { return Vec::new() };
        let (mut met, mut searched) = (Met::default(), FxHashSet::default());
        for node in self.iter() {
            // What is below one of them is below those it is in.
            if node.ancestors_it(None).any(|above| searched.contains(&above.id)) {
                continue;
            }
            searched.insert(node.id);
            met.add_all(self.matching(&node, &selector).map(|found| found.id));
        }
        met.ids
    }

    /// The first element below these that matches.
    pub fn find_first(&self, selector: &str) -> Option<NodeId> {
        let selector = Selector::parse(selector)?;
        self.iter().find_map(|node| self.matching(&node, &selector).next().map(|found| found.id))
    }

    fn matching<'a>(&self, node: &NodeRef<'a>, selector: &Selector) -> impl Iterator<Item = NodeRef<'a>> {
        self.candidates(node).filter(|node| selector.matches(node, &|| self.document.may_go_on()))
    }

    /// All nodes below one of these, or fewer if the script must stop.
    fn candidates<'a>(&self, node: &NodeRef<'a>) -> impl Iterator<Item = NodeRef<'a>> {
        node.descendants_it().take_while(|_| self.document.may_go_on())
    }

    fn passes(&self, node: &NodeRef<'_>, test: &Test) -> bool {
        test.passes(node, &self.document)
    }

    /// The nodes of `ids` that pass.
    pub fn passing(&self, ids: &[NodeId], test: &Test) -> Vec<NodeId> {
        let looked_at = ids.iter().take_while(|_| self.document.may_go_on());
        looked_at.copied().filter(|id| self.passes(&self.node(*id), test)).collect()
    }

    /// The nodes of `ids` that are below one of these.
    pub fn below_among(&self, ids: &[NodeId]) -> Vec<NodeId> {
        let these: FxHashSet<_> = self.ids.iter().collect();
        let is_below = |id: &NodeId| self.node(*id).ancestors_it(None).any(|a| these.contains(&a.id));
        ids.iter().copied().filter(is_below).collect()
    }

    /// The elements of these that have a passing element below them.
    pub fn having(&self, test: &Test) -> Vec<NodeId> {
        self.iter()
            .filter(|node| self.candidates(node).any(|n| self.passes(&n, test)))
            .map(|node| node.id)
            .collect()
    }

    /// Each node's nearest element that passes, itself or above.
    pub fn closest(&self, test: &Test) -> Vec<NodeId> {
        self.iter()
            .filter_map(|node| {
                let mut at = Some(node);
                while let Some(node) = at.filter(|_| self.document.may_go_on()) {
                    if node.is_element() && self.passes(&node, test) {
                        return Some(node.id);
                    }
                    at = node.parent();
                }
                None
            })
            .collect()
    }

    /// The elements one step away from each.
    pub fn step(&self, step: Step) -> Vec<NodeId> {
        self.iter().filter_map(|node| next(&node, step)).map(|node| node.id).collect()
    }

    /// The elements on the way from each, up to but without the first that passes `until`.
    pub fn walk(&self, step: Step, until: Option<&Test>) -> Vec<NodeId> {
        let mut met = Met::default();
        for node in self.iter() {
            let mut at = next(&node, step);
            while let Some(node) = at {
                // If this node was met before, so was the rest of the way.
                if until.is_some_and(|until| self.passes(&node, until)) || !met.add(node.id) {
                    break;
                }
                at = next(&node, step);
            }
        }
        met.ids
    }

    /// The elements that have a parent in common with one of these, without that one.
    pub fn siblings(&self) -> Vec<NodeId> {
        let mut met = Met::default();
        // For each parent, the child to leave out: the first one that was seen, until there is a second.
        let mut missing = FxHashMap::default();
        for node in self.iter() {
            let Some(parent) = node.parent() else { continue };
            match missing.insert(parent.id, None) {
                None => {
                    met.add_all(parent.element_children().iter().map(|n| n.id).filter(|id| *id != node.id));
                    missing.insert(parent.id, Some(node.id));
                }
                Some(first) => met.add_all(first),
            }
        }
        met.ids
    }

    pub fn children(&self) -> Vec<NodeId> {
        self.iter().flat_map(|node| node.element_children()).map(|node| node.id).collect()
    }

    pub fn contents(&self) -> Vec<NodeId> {
        self.iter().flat_map(|node| node.children()).map(|node| node.id).collect()
    }

    /// The texts of all nodes, one after the other; the text of a node inside another one appears several times. `None`
    /// if the text would be too long.
    pub fn text(&self) -> Option<String> {
        let mut text = String::new();
        for node in self.iter() {
            text.push_str(&node.text());
            if text.len() > self.document.largest_text() {
                return None;
            }
        }
        Some(text)
    }

    /// An attribute of the first.
    pub fn attr(&self, name: &str) -> Option<String> {
        self.first()?.attr(name).map(|value| value.to_string())
    }
}

fn next<'a>(node: &NodeRef<'a>, step: Step) -> Option<NodeRef<'a>> {
    match step {
        Step::Next => node.next_element_sibling(),
        Step::Previous => node.prev_element_sibling(),
        Step::Up => node.parent().filter(NodeRef::is_element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(html: &str, selector: &str) -> Rc<Nodes> {
        let document = Rc::new(Document::parse(html, None).unwrap());
        let root = document.tree.root().id;
        let all = Nodes::new(document, vec![root]);
        all.leading_to(all.find(selector))
    }

    fn names(nodes: &Rc<Nodes>, ids: Vec<NodeId>) -> String {
        let found = nodes.leading_to(ids);
        let name = |n: NodeRef<'_>| {
            n.id_attr().map_or_else(|| n.node_name().unwrap_or_default().to_string(), |id| id.to_string())
        };
        found.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    const LIST: &str = "<ul id=u><li id=a>1<li id=b class=x><b id=i>2</b><li id=c>3</ul><p id=p>4</p>";

    #[test]
    fn lists_lead_to_others() {
        let b = nodes(LIST, "#b");
        assert_eq!(names(&b, b.step(Step::Next)), "c");
        assert_eq!(names(&b, b.step(Step::Previous)), "a");
        assert_eq!(names(&b, b.walk(Step::Up, None)), "u body html");
        assert_eq!(names(&b, b.walk(Step::Up, Some(&Test::selector("body")))), "u");
        assert_eq!(names(&b, b.siblings()), "a c");
        assert_eq!(names(&b, b.closest(&Test::selector("ul"))), "u");
        let all = nodes(LIST, "li");
        assert_eq!(names(&all, all.siblings()), "b c a");
        assert_eq!(names(&all, all.having(&Test::selector("b"))), "b");
        assert_eq!(names(&all, all.find("b")), "i");
        assert_eq!(names(&all, all.step(Step::Up)), "u");
        assert_eq!(all.contents().len(), 3);
    }

    /// Of each list of nodes, were the nodes of each taken together, there would be the square.
    #[test]
    fn lists_of_many_lead_to_no_more_than_there_are() {
        let many = 20_000;
        let all = nodes(&format!("<ul>{}</ul>", "<li><b></b>".repeat(many)), "li");
        assert_eq!(all.siblings().len(), many);
        assert_eq!(all.walk(Step::Next, None).len(), many - 1);
        assert_eq!(all.walk(Step::Previous, None).len(), many - 1);
        assert_eq!(all.walk(Step::Up, None).len(), 3);
        let deep = nodes(&"<div>".repeat(5_000), "div");
        assert_eq!(deep.find("div").len(), 4_999);
        let inside_out = deep.leading_to(deep.ids.iter().rev().copied());
        assert_eq!(inside_out.find("div").len(), 4_999);
        assert_eq!(deep.walk(Step::Up, None).len(), 5_001);
    }

    #[test]
    fn a_long_chain_of_lists_is_dropped() {
        let mut list = nodes(LIST, "li");
        for _ in 0..1_000_000 {
            list = list.leading_to([]);
        }
        drop(list);
    }

    #[test]
    fn bad_selectors_match_nothing() {
        let all = nodes(LIST, "li");
        assert!(all.find(":::").is_empty() && all.find_first("[").is_none());
        assert!(all.closest(&Test::selector("<")).is_empty());
    }
}
