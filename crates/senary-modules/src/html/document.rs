//! A parsed document, and the memory of it and of everything made of it, which counts as the script's.

use std::ops::Deref;
use std::rc::{Rc, Weak};

use dom_query::TreeNode;
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use rquickjs::Ctx;
use senary_js::memory::{Charge, Memory};
use senary_js::vu::core::VuCore;

/// The bytes that a node takes: its record in the tree, and its texts and attributes, which are separate blocks.
const NODE: usize = size_of::<TreeNode>() + 64;

/// The longest text that may be made of a document if its memory is not counted: the engine has no longer strings.
const MAX_TEXT: usize = 1 << 29;

pub struct Document {
    parsed: dom_query::Document,
    memory: Option<Rc<Memory>>,
    vu: Weak<VuCore>,
    _charge: Option<Charge>,
}

/// Bytes of source between two looks at the clock.
const PIECE: usize = 32 << 10;

/// It would take more than the script of a VU may.
#[derive(Debug)]
pub struct TooLarge;

impl Document {
    /// `vu`: the owner; `None` in tests.
    pub fn parse(source: &str, vu: Option<&Rc<VuCore>>) -> Result<Self, TooLarge> {
        let memory = vu.map(|vu| vu.memory.clone());
        // The size is estimated before parsing, because afterwards it would be too late. Most tags are nodes, or end a
        // node that has a text.
        let expected = size(memchr::memchr_iter(b'<', source.as_bytes()).count(), source);
        if memory.as_ref().is_some_and(|memory| memory.limit().0 < expected) {
            return Err(TooLarge);
        }
        let parsed = parse_in_pieces(source, vu);
        let charge = memory.as_ref().map(|memory| memory.charge(size(parsed.tree.len(), source)));
        let vu = vu.map(Rc::downgrade).unwrap_or_default();
        Ok(Self { parsed, memory, vu, _charge: charge })
    }

    /// Counts bytes of what is made of the document, for as long as the result lives.
    pub fn charge(&self, bytes: usize) -> Option<Charge> {
        self.memory.as_ref().map(|memory| memory.charge(bytes))
    }

    /// Stops a script that keeps more than it may.
    pub fn check(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        self.memory.as_ref().map_or(Ok(()), |memory| memory.check(ctx))
    }

    /// Called between the steps of a long search; false if the script must stop. Other VUs take their turns during the
    /// call.
    pub fn may_go_on(&self) -> bool {
        self.vu.upgrade().is_none_or(|vu| !vu.must_stop())
    }

    /// Bytes of text that may be made of it.
    pub fn largest_text(&self) -> usize {
        self.memory.as_ref().map_or(MAX_TEXT, |memory| memory.limit().0)
    }
}

impl Deref for Document {
    type Target = dom_query::Document;

    fn deref(&self) -> &dom_query::Document {
        &self.parsed
    }
}

/// Parses as `dom_query` itself does, and lets other VUs run now and then. A script that must stop gets only a part of
/// the document, and stops at its next step.
fn parse_in_pieces(mut source: &str, vu: Option<&Rc<VuCore>>) -> dom_query::Document {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let options = ParseOpts { tree_builder, ..ParseOpts::default() };
    let mut parser = parse_document(dom_query::Document::default(), options);
    while !source.is_empty() && vu.is_none_or(|vu| !vu.must_stop()) {
        let (piece, rest) = source.split_at(source.floor_char_boundary(PIECE));
        parser.process(StrTendril::from(piece));
        source = rest;
    }
    parser.finish()
}

fn size(nodes: usize, source: &str) -> usize {
    nodes.saturating_mul(NODE).saturating_add(source.len())
}
