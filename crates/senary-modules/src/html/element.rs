//! `Element`: one node of a document, with the methods of the DOM. What only certain kinds of elements have (`href()`
//! of links, `value()` of inputs) is in `elements.js`.

use std::rc::Rc;

use dom_query::{Attr, NodeId, NodeRef};
use rquickjs::function::{Opt, This};
use rquickjs::{Class, Coerced, Ctx, Function, IntoJs, Object, Persistent, Value};
use senary_js::snippet::Snippet;
use senary_js::{native, native_class, userdata};

use super::document::Document;
use super::form::{self, ControlValue};
use super::markup;
use super::nodes::{Nodes, Test};
use super::selection::Selection;

static KINDS: Snippet = Snippet::new("elements", include_str!("elements.js"));

pub struct Element {
    document: Rc<Document>,
    id: NodeId,
}

type Elements<'js> = This<Class<'js, Element>>;

/// What `elements.js` makes.
struct Kinds {
    /// Returns the prototype of elements with a certain tag, if they have one of their own.
    kind: Persistent<Function<'static>>,
    attribute: Persistent<Function<'static>>,
}

userdata!(Kinds);

/// Makes the kinds of elements known to a context that does not know them yet. They take memory, and most scripts that
/// send HTTP requests parse no documents, so each VU makes them with its first document.
pub fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    if ctx.userdata::<Kinds>().is_some() {
        return Ok(());
    }
    let made: Object<'_> =
        KINDS.evaluate(ctx)?.get::<Function<'_>>()?.call((Class::<Element>::prototype(ctx)?,))?;
    let function =
        |name: &str| Ok::<_, rquickjs::Error>(Persistent::save(ctx, made.get::<_, Function<'_>>(name)?));
    let kinds = Kinds { kind: function("kind")?, attribute: function("attribute")? };
    // Fails only while userdata is being read, which nobody does here.
    let _ = ctx.store_userdata(kinds);
    Ok(())
}

impl Element {
    pub fn value<'js>(ctx: &Ctx<'js>, document: &Rc<Document>, id: NodeId) -> rquickjs::Result<Value<'js>> {
        let element = Class::instance(ctx.clone(), Self { document: document.clone(), id })?;
        let name = document.tree.get_unchecked(&id).node_name();
        let kinds = ctx.userdata::<Kinds>().map(|kinds| kinds.kind.clone());
        if let (Some(name), Some(kinds)) = (name, kinds)
            && let Some(prototype) =
                kinds.restore(ctx)?.call::<_, Option<Object<'js>>>((name.to_string(),))?
        {
            element.set_prototype(Some(&prototype))?;
        }
        Ok(element.into_value())
    }

    pub fn document(&self) -> &Rc<Document> {
        &self.document
    }

    pub fn id(&self) -> NodeId {
        self.id
    }

    fn node(&self) -> NodeRef<'_> {
        self.document.tree.get_unchecked(&self.id)
    }

    fn nodes(&self) -> Rc<Nodes> {
        Nodes::new(self.document.clone(), vec![self.id])
    }
}

/// Another node of the same document, as script sees it.
fn other<'js>(ctx: &Ctx<'js>, element: &Element, node: Option<NodeRef<'_>>) -> rquickjs::Result<Value<'js>> {
    match node {
        Some(node) => Element::value(ctx, &element.document, node.id),
        None => Ok(Value::new_undefined(ctx.clone())),
    }
}

fn others<'js>(
    ctx: &Ctx<'js>,
    element: &Element,
    ids: impl IntoIterator<Item = NodeId>,
) -> rquickjs::Result<Value<'js>> {
    let elements = ids.into_iter().map(|id| Element::value(ctx, &element.document, id));
    elements.collect::<rquickjs::Result<Vec<_>>>()?.into_js(ctx)
}

fn node_name(node: &NodeRef<'_>) -> String {
    match node.node_name() {
        Some(name) => name.to_string(),
        None if node.is_text() => "#text".to_owned(),
        None if node.is_comment() => "#comment".to_owned(),
        None if node.is_doctype() => "html".to_owned(),
        None => "#document".to_owned(),
    }
}

/// The numbers of the DOM.
fn node_type(node: &NodeRef<'_>) -> u32 {
    match node {
        node if node.is_element() => 1,
        node if node.is_text() => 3,
        node if node.is_comment() => 8,
        node if node.is_doctype() => 10,
        _ => 9,
    }
}

/// Methods that return text or a Boolean.
fn plain<'js, R: IntoJs<'js> + 'js>(
    ctx: &Ctx<'js>,
    read: impl Fn(&NodeRef<'_>) -> R + 'js,
) -> rquickjs::Result<Function<'js>> {
    native::function(ctx, move |this: Elements<'js>| read(&this.0.borrow().node()))
}

/// Methods that return another node.
fn to_node<'js>(
    ctx: &Ctx<'js>,
    go: for<'a> fn(&NodeRef<'a>) -> Option<NodeRef<'a>>,
) -> rquickjs::Result<Function<'js>> {
    native::function(ctx, move |ctx: Ctx<'js>, this: Elements<'js>| {
        let element = this.0.borrow();
        other(&ctx, &element, go(&element.node()))
    })
}

/// Methods that return nodes found by a text.
fn to_nodes<'js>(ctx: &Ctx<'js>, go: fn(&Element, &str) -> Vec<NodeId>) -> rquickjs::Result<Function<'js>> {
    native::function(ctx, move |ctx: Ctx<'js>, this: Elements<'js>, text: Opt<Coerced<String>>| {
        let element = this.0.borrow();
        let found = go(&element, &text.0.map(|text| text.0).unwrap_or_default());
        others(&ctx, &element, found)
    })
}

/// All attributes in their order, each also under its name.
fn attributes<'js>(ctx: Ctx<'js>, this: Elements<'js>) -> rquickjs::Result<Value<'js>> {
    let attributes = rquickjs::Array::new(ctx.clone())?;
    let element = this.0.borrow();
    let element = element.node().element_ref();
    for (index, attribute) in element.iter().flat_map(|element| &element.attrs).enumerate() {
        let node = attribute_node(&ctx, &this, attribute)?;
        attributes.set(index, node.clone())?;
        attributes.as_object().set(&*attribute.name.local, node)?;
    }
    Ok(attributes.into_value())
}

fn attribute_node<'js>(
    ctx: &Ctx<'js>,
    owner: &Elements<'js>,
    attribute: &Attr,
) -> rquickjs::Result<Object<'js>> {
    let make =
        ctx.userdata::<Kinds>().map(|kinds| kinds.attribute.clone()).ok_or(rquickjs::Error::Unknown)?;
    let name = &attribute.name;
    let prefix = name.prefix.as_deref().unwrap_or_default();
    make.restore(ctx)?.call((&*name.local, &*attribute.value, owner.0.clone(), &*name.ns, prefix))
}

fn get_attribute(this: Elements<'_>, name: Opt<Coerced<String>>) -> Option<String> {
    Some(this.0.borrow().node().attr(&name.0?.0.to_ascii_lowercase())?.to_string())
}

fn get_attribute_node<'js>(
    ctx: Ctx<'js>,
    this: Elements<'js>,
    name: Opt<Coerced<String>>,
) -> rquickjs::Result<Option<Object<'js>>> {
    let Some(name) = name.0.map(|name| name.0.to_ascii_lowercase()) else { return Ok(None) };
    let element = this.0.borrow();
    let element = element.node().element_ref();
    let attribute = element.as_ref().and_then(|e| e.attrs.iter().find(|a| *a.name.local == name));
    attribute.map(|attribute| attribute_node(&ctx, &this, attribute)).transpose()
}

fn has_attribute(this: Elements<'_>, name: Opt<Coerced<String>>) -> bool {
    name.0.is_some_and(|name| this.0.borrow().node().has_attr(&name.0.to_ascii_lowercase()))
}

fn query_selector<'js>(
    ctx: Ctx<'js>,
    this: Elements<'js>,
    selector: Opt<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let element = this.0.borrow();
    let found = selector.0.and_then(|selector| element.nodes().find_first(&selector.0));
    other(&ctx, &element, found.map(|id| element.document.tree.get_unchecked(&id)))
}

fn matches(this: Elements<'_>, selector: Opt<Coerced<String>>) -> bool {
    let element = this.0.borrow();
    selector.0.is_some_and(|selector| Test::selector(&selector.0).passes(&element.node(), &element.document))
}

fn with_other<'js>(ctx: &Ctx<'js>, test: fn(&Element, &Element) -> bool) -> rquickjs::Result<Function<'js>> {
    native::function(ctx, move |this: Elements<'js>, other: Opt<Value<'js>>| {
        let Some(other) = other.0.and_then(|other| Class::<Element>::from_value(&other).ok()) else {
            return false;
        };
        test(&this.0.borrow(), &other.borrow())
    })
}

fn is_same(a: &Element, b: &Element) -> bool {
    Rc::ptr_eq(&a.document, &b.document) && a.id == b.id
}

fn contains(a: &Element, b: &Element) -> bool {
    is_same(a, b)
        || (Rc::ptr_eq(&a.document, &b.document) && b.node().ancestors_it(None).any(|n| n.id == a.id))
}

fn is_equal(a: &Element, b: &Element) -> bool {
    a.node().html() == b.node().html()
}

fn selection<'js>(ctx: Ctx<'js>, this: Elements<'js>) -> rquickjs::Result<Value<'js>> {
    let nodes = this.0.borrow().nodes();
    Selection::value(&ctx, nodes)
}

/// The value of a control, for `elements.js`.
fn control_value<'js>(ctx: Ctx<'js>, this: Elements<'js>) -> rquickjs::Result<Value<'js>> {
    match form::value(&this.0.borrow().node()) {
        Some(ControlValue::One(value)) => value.into_js(&ctx),
        Some(ControlValue::Many(values)) => values.into_iter().next().unwrap_or_default().into_js(&ctx),
        None => Ok(Value::new_undefined(ctx)),
    }
}

fn class_list(node: &NodeRef<'_>) -> Vec<String> {
    node.attr("class").iter().flat_map(|class| class.split_ascii_whitespace()).map(str::to_owned).collect()
}

// Only selections make elements.
native_class!(Element, "Element", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    let set = |name: &str, function: rquickjs::Result<Function<'js>>| {
        prototype.set(name, function?.with_name(name)?)
    };
    let attr = |name: &'static str| {
        move |node: &NodeRef<'_>| node.attr(name).map(|value| value.to_string()).unwrap_or_default()
    };
    set("selection", native::function(ctx, selection))?;
    set("nodeName", plain(ctx, node_name))?;
    set("nodeType", plain(ctx, node_type))?;
    set(
        "nodeValue",
        plain(ctx, |node| (node.is_text() || node.is_comment()).then(|| node.text().to_string())),
    )?;
    set("id", plain(ctx, attr("id")))?;
    set("className", plain(ctx, attr("class")))?;
    set("lang", plain(ctx, attr("lang")))?;
    set("classList", plain(ctx, class_list))?;
    set("innerHTML", plain(ctx, markup::inner))?;
    set("textContent", plain(ctx, |node| node.text().to_string()))?;
    set(
        "toString",
        plain(ctx, |node| match node {
            node if node.is_element() => "[object html.Node]".to_owned(),
            node => format!("[object {}]", node_name(node)),
        }),
    )?;
    set("namespaceURI", plain(ctx, |node| node.qual_name_ref().map(|name| name.ns.to_string())))?;
    set(
        "isDefaultNamespace",
        plain(ctx, |node| {
            node.qual_name_ref().is_some_and(|name| &*name.ns == "http://www.w3.org/1999/xhtml")
        }),
    )?;
    set("childElementCount", plain(ctx, |node| node.element_children().len() as u32))?;
    set("hasAttributes", plain(ctx, |node| !node.attrs().is_empty()))?;
    set("hasChildNodes", plain(ctx, |node| node.first_child().is_some()))?;
    set("attributes", native::function(ctx, attributes))?;
    set("getAttribute", native::function(ctx, get_attribute))?;
    set("getAttributeNode", native::function(ctx, get_attribute_node))?;
    set("hasAttribute", native::function(ctx, has_attribute))?;
    set("firstChild", to_node(ctx, |node| node.first_child()))?;
    set("lastChild", to_node(ctx, |node| node.last_child()))?;
    set("firstElementChild", to_node(ctx, |node| node.first_element_child()))?;
    set("lastElementChild", to_node(ctx, |node| node.element_children().pop()))?;
    set("previousSibling", to_node(ctx, |node| node.prev_sibling()))?;
    set("nextSibling", to_node(ctx, |node| node.next_sibling()))?;
    set("previousElementSibling", to_node(ctx, |node| node.prev_element_sibling()))?;
    set("nextElementSibling", to_node(ctx, |node| node.next_element_sibling()))?;
    set("parentElement", to_node(ctx, |node| node.parent().filter(NodeRef::is_element)))?;
    set("parentNode", to_node(ctx, |node| node.parent()))?;
    set("ownerDocument", to_node(ctx, |node| Some(node.tree.root())))?;
    set("childNodes", to_nodes(ctx, |element, _| element.nodes().contents()))?;
    set("children", to_nodes(ctx, |element, _| element.nodes().children()))?;
    set("querySelector", native::function(ctx, query_selector))?;
    set("querySelectorAll", to_nodes(ctx, |element, selector| element.nodes().find(selector)))?;
    set(
        "getElementsByTagName",
        to_nodes(ctx, |element, name| {
            let any = name == "*";
            element
                .node()
                .descendants_it()
                .filter(|n| n.is_element() && (any || n.has_name(name)))
                .map(|n| n.id)
                .collect()
        }),
    )?;
    set(
        "getElementsByClassName",
        to_nodes(ctx, |element, classes| {
            let wanted: Vec<_> = classes.split_ascii_whitespace().collect();
            let has_all = |n: &NodeRef<'_>| n.is_element() && wanted.iter().all(|class| n.has_class(class));
            element
                .node()
                .descendants_it()
                .filter(|n| !wanted.is_empty() && has_all(n))
                .map(|n| n.id)
                .collect()
        }),
    )?;
    set("matches", native::function(ctx, matches))?;
    set("contains", with_other(ctx, contains))?;
    set("isSameNode", with_other(ctx, is_same))?;
    set("isEqualNode", with_other(ctx, is_equal))?;
    let hidden = rquickjs::object::Property::from(native::function(ctx, control_value)?);
    prototype.prop("_value", hidden)?;
    Ok(prototype)
}
