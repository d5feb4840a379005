//! Lists of nodes of a document, and how one leads to another. Nothing here knows of scripts.
//!
//! No list has a node twice. Selectors that cannot be parsed match nothing.

use std::rc::Rc;

use dom_query::{Document, Matcher, NodeId, NodeRef};

/// Nodes of one document, and the list they were found from.
pub struct Nodes {
    pub document: Rc<Document>,
    pub ids: Vec<NodeId>,
    pub previous: Option<Rc<Nodes>>,
}

/// What elements can be tested for.
pub enum Test {
    Selector(Option<Matcher>),
    /// Being one of these.
    Among(Vec<NodeId>),
}

impl Test {
    pub fn selector(selector: &str) -> Self {
        Self::Selector(Matcher::new(selector).ok())
    }

    pub fn passes(&self, node: &NodeRef<'_>) -> bool {
        match self {
            Self::Selector(matcher) => matcher.as_ref().is_some_and(|matcher| node.is_match(matcher)),
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
        Rc::new(Self { document, ids, previous: None })
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
        let mut seen = rustc_hash::FxHashSet::default();
        let ids = found.into_iter().filter(|id| seen.insert(*id)).collect();
        Rc::new(Self { document: self.document.clone(), ids, previous: Some(self.clone()) })
    }

    /// The elements below these that match.
    pub fn find(&self, selector: &str) -> Vec<NodeId> {
        let Ok(matcher) = Matcher::new(selector) else { return Vec::new() };
        self.iter()
            .flat_map(|node| below(&node).filter(|n| n.is_match(&matcher)).map(|n| n.id).collect::<Vec<_>>())
            .collect()
    }

    /// The first element below these that matches.
    pub fn find_first(&self, selector: &str) -> Option<NodeId> {
        let matcher = Matcher::new(selector).ok()?;
        self.iter().find_map(|node| below(&node).find(|n| n.is_match(&matcher)).map(|n| n.id))
    }

    /// Those of `ids` that are below one of these.
    pub fn below_among(&self, ids: &[NodeId]) -> Vec<NodeId> {
        let is_below = |id: &NodeId| self.node(*id).ancestors_it(None).any(|a| self.ids.contains(&a.id));
        ids.iter().copied().filter(is_below).collect()
    }

    /// The elements of these that have what passes below them.
    pub fn having(&self, test: &Test) -> Vec<NodeId> {
        self.iter().filter(|node| below(node).any(|n| test.passes(&n))).map(|node| node.id).collect()
    }

    /// Each node's nearest element that passes, itself or above.
    pub fn closest(&self, test: &Test) -> Vec<NodeId> {
        self.iter()
            .filter_map(|node| {
                let mut at = Some(node);
                while let Some(node) = at {
                    if node.is_element() && test.passes(&node) {
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
        let mut found = Vec::new();
        for node in self.iter() {
            let mut at = next(&node, step);
            while let Some(node) = at {
                if until.is_some_and(|until| until.passes(&node)) {
                    break;
                }
                found.push(node.id);
                at = next(&node, step);
            }
        }
        found
    }

    /// The elements that have a parent in common with one of these, without that one.
    pub fn siblings(&self) -> Vec<NodeId> {
        let mut found = Vec::new();
        for node in self.iter() {
            let Some(parent) = node.parent() else { continue };
            found.extend(parent.element_children().iter().map(|n| n.id).filter(|id| *id != node.id));
        }
        found
    }

    pub fn children(&self) -> Vec<NodeId> {
        self.iter().flat_map(|node| node.element_children()).map(|node| node.id).collect()
    }

    pub fn contents(&self) -> Vec<NodeId> {
        self.iter().flat_map(|node| node.children()).map(|node| node.id).collect()
    }

    /// The text of all of them, one after the other.
    pub fn text(&self) -> String {
        self.iter().map(|node| node.text().to_string()).collect()
    }

    /// An attribute of the first.
    pub fn attr(&self, name: &str) -> Option<String> {
        self.first()?.attr(name).map(|value| value.to_string())
    }
}

/// All nodes below one.
fn below<'a>(node: &NodeRef<'a>) -> impl Iterator<Item = NodeRef<'a>> {
    node.descendants_it()
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
        let document = Rc::new(Document::from(html));
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

    #[test]
    fn bad_selectors_match_nothing() {
        let all = nodes(LIST, "li");
        assert!(all.find(":::").is_empty() && all.find_first("[").is_none());
        assert!(all.closest(&Test::selector("<")).is_empty());
    }
}
