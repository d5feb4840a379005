//! Nodes as HTML text, in the reference's form: quotes are always escaped, and void elements end with a slash.

use dom_query::{Element, NodeData, NodeRef};

/// Void elements, which cannot have content.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "keygen", "link", "meta", "param", "source",
    "track",
];

/// Elements whose content is text, whatever it looks like.
const RAW: [&str; 8] = ["iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "xmp"];

/// Elements that lose a line break at their beginning.
const PREFORMATTED: [&str; 3] = ["listing", "pre", "textarea"];

/// A piece that is still to be written.
enum Piece<'a> {
    /// A node, and whether its text is written as it is.
    Node(NodeRef<'a>, bool),
    EndTag(NodeRef<'a>),
}

/// What is inside a node.
pub fn inner(node: &NodeRef<'_>) -> String {
    let mut out = String::new();
    // Documents may be deeply nested, so this uses a list of the next pieces instead of recursion.
    let mut pieces: Vec<_> = node.children_it(true).map(|child| Piece::Node(child, false)).collect();
    while let Some(piece) = pieces.pop() {
        match piece {
            Piece::Node(node, is_raw) => write(&node, is_raw, &mut pieces, &mut out),
            Piece::EndTag(node) => {
                if let Some(name) = node.qual_name_ref() {
                    out.push_str("</");
                    out.push_str(&name.local);
                    out.push('>');
                }
            }
        }
    }
    out
}

/// Writes the beginning of a node; what is in it, and its end, become further pieces.
fn write<'a>(node: &NodeRef<'a>, is_raw: bool, pieces: &mut Vec<Piece<'a>>, out: &mut String) {
    node.query(|inner| match &inner.data {
        NodeData::Text { contents } if is_raw => out.push_str(contents),
        NodeData::Text { contents } => escape(contents, out),
        NodeData::Comment { contents } => {
            out.push_str("<!--");
            out.push_str(contents);
            out.push_str("-->");
        }
        NodeData::Doctype { name, .. } => {
            out.push_str("<!DOCTYPE ");
            out.push_str(name);
            out.push('>');
        }
        NodeData::Element(element) => start_tag(element, out),
        NodeData::Document | NodeData::Fragment | NodeData::ProcessingInstruction { .. } => {}
    });
    let mut is_raw = false;
    if let Some(element) = node.element_ref() {
        let is_one_of = |names: &[&str]| names.contains(&&*element.name.local);
        if is_one_of(&VOID) {
            return;
        }
        let first = node.first_child().filter(NodeRef::is_text);
        if is_one_of(&PREFORMATTED) && first.is_some_and(|first| first.text().starts_with('\n')) {
            out.push('\n');
        }
        is_raw = is_one_of(&RAW);
        pieces.push(Piece::EndTag(*node));
        let template = element.template_contents.and_then(|id| node.tree.get(&id));
        pieces.extend(template.map(|contents| Piece::Node(contents, false)));
    }
    pieces.extend(node.children_it(true).map(|child| Piece::Node(child, is_raw)));
}

fn start_tag(element: &Element, out: &mut String) {
    out.push('<');
    out.push_str(&element.name.local);
    for attribute in &element.attrs {
        out.push(' ');
        if let Some(prefix) = attribute.name.prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            out.push_str(prefix);
            out.push(':');
        }
        out.push_str(&attribute.name.local);
        out.push_str("=\"");
        escape(&attribute.value, out);
        out.push('"');
    }
    out.push_str(if VOID.contains(&&*element.name.local) { "/>" } else { ">" });
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&#39;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;

    fn body(html: &str) -> String {
        let document = Document::parse(html, None).unwrap();
        let body = document.tree.root().descendants_it().find(|n| n.has_name("body")).unwrap();
        inner(&body)
    }

    #[test]
    fn texts_and_attributes_are_escaped() {
        assert_eq!(
            body("<p>a &amp; 'b' &lt; \"c\" > d&nbsp;e&#13;"),
            "<p>a &amp; &#39;b&#39; &lt; &#34;c&#34; &gt; d\u{a0}e&#13;</p>"
        );
        assert_eq!(
            body("<p title='\"<\u{a0}&>' data-a=\"'\" hidden>"),
            "<p title=\"&#34;&lt;\u{a0}&amp;&gt;\" data-a=\"&#39;\" hidden=\"\"></p>"
        );
    }

    #[test]
    fn elements_keep_their_nature() {
        assert_eq!(
            body("a<br>b<img src=x><input disabled>"),
            "a<br/>b<img src=\"x\"/><input disabled=\"\"/>"
        );
        assert_eq!(
            body("x<script>if (a < b && '\"') {}</script><style>a > b</style>"),
            "x<script>if (a < b && '\"') {}</script><style>a > b</style>"
        );
        assert_eq!(
            body("<pre>\n\nx</pre><textarea>\n\ny</textarea><pre>z</pre>"),
            "<pre>\n\nx</pre><textarea>\n\ny</textarea><pre>z</pre>"
        );
        assert_eq!(
            body("x<!-- c --><svg><use xlink:href='#a'/><foreignObject/></svg>"),
            "x<!-- c --><svg><use xlink:href=\"#a\"></use><foreignObject></foreignObject></svg>"
        );
        assert_eq!(body("<ul><li>1<li><b>2</b></ul>end"), "<ul><li>1</li><li><b>2</b></li></ul>end");
        assert_eq!(body("x<template><p>a</template>"), "x<template><p>a</p></template>");
        assert_eq!(body(""), "");
    }

    #[test]
    fn what_is_raw_is_so_inside_its_element_alone() {
        let document = Document::parse("<!DOCTYPE html><script>a && b</script>", None).unwrap();
        let root = document.tree.root();
        let script = root.descendants_it().find(|n| n.has_name("script")).unwrap();
        assert_eq!(inner(&script), "a &amp;&amp; b");
        assert_eq!(
            inner(&root),
            "<!DOCTYPE html><html><head><script>a && b</script></head><body></body></html>"
        );
    }

    #[test]
    fn deep_documents_need_no_stack() {
        let deep = "<div>".repeat(9_000);
        assert_eq!(body(&deep), deep + &"</div>".repeat(9_000));
    }
}
