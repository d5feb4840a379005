//! `Selection`: nodes of a document, as jQuery has them.

use std::rc::Rc;

use dom_query::NodeId;
use rquickjs::function::{Opt, This};
use rquickjs::{Array, Class, Coerced, Ctx, Function, IntoJs, Object, Value};
use rustc_hash::FxHashSet;
use senary_js::{errors, native, native_class};

use super::document::Document;
use super::element::Element;
use super::form::{self, ControlValue};
use super::markup;
use super::nodes::{Nodes, Step, Test};

/// Before the names of attributes that `data()` reads.
const DATA: &str = "data-";

pub struct Selection(Rc<Nodes>);

type Selections<'js> = This<Class<'js, Selection>>;

impl Selection {
    pub fn value<'js>(ctx: &Ctx<'js>, nodes: Rc<Nodes>) -> rquickjs::Result<Value<'js>> {
        nodes.document.check(ctx)?;
        Ok(Class::instance(ctx.clone(), Self(nodes))?.into_value())
    }
}

/// A selection made of others' nodes.
fn found<'js>(ctx: &Ctx<'js>, from: &Rc<Nodes>, ids: Vec<NodeId>) -> rquickjs::Result<Value<'js>> {
    Selection::value(ctx, from.leading_to(ids))
}

/// An argument that names nodes: a selector, a selection, or an element. Nodes of another document match nothing.
fn test<'js>(ctx: &Ctx<'js>, nodes: &Nodes, argument: &Value<'js>) -> rquickjs::Result<Test> {
    if let Some(ids) = ids_of(nodes, argument) {
        return Ok(Test::Among(ids.into_iter().collect()));
    }
    if argument.is_string() {
        return Ok(Test::selector(&argument.get::<Coerced<String>>()?.0));
    }
    Err(errors::throw_type_error(ctx, "a selector, a Selection or an Element is expected"))
}

/// The nodes of a selection or an element.
fn ids_of<'js>(nodes: &Nodes, argument: &Value<'js>) -> Option<Vec<NodeId>> {
    let same = |other: &Rc<Document>| Rc::ptr_eq(other, &nodes.document);
    if let Ok(selection) = Class::<Selection>::from_value(argument) {
        let other = &selection.borrow().0;
        return Some(if same(&other.document) { other.ids.clone() } else { Vec::new() });
    }
    let element = Class::<Element>::from_value(argument).ok()?;
    let element = element.borrow();
    Some(if same(element.document()) { vec![element.id()] } else { Vec::new() })
}

fn given<'js>(argument: Opt<Value<'js>>) -> Option<Value<'js>> {
    argument.0.filter(|value| !value.is_undefined() && !value.is_null())
}

/// The nodes of `ids` that pass the argument, if there is one.
fn filtered<'js>(
    ctx: &Ctx<'js>,
    nodes: &Nodes,
    ids: Vec<NodeId>,
    argument: Opt<Value<'js>>,
) -> rquickjs::Result<Vec<NodeId>> {
    match given(argument) {
        None => Ok(ids),
        Some(argument) => {
            let test = test(ctx, nodes, &argument)?;
            Ok(nodes.passing(&ids, &test))
        }
    }
}

/// The nodes that pass a selector, a selection or a function of index and selection.
fn passing<'js>(
    ctx: &Ctx<'js>,
    nodes: &Rc<Nodes>,
    argument: Opt<Value<'js>>,
) -> rquickjs::Result<Vec<NodeId>> {
    let Some(argument) = given(argument) else { return Ok(Vec::new()) };
    let Some(function) = argument.as_function() else {
        let test = test(ctx, nodes, &argument)?;
        return Ok(nodes.passing(&nodes.ids, &test));
    };
    let mut passing = Vec::new();
    for (index, id) in nodes.ids.iter().enumerate() {
        let one = Selection::value(ctx, nodes.leading_to([*id]))?;
        if function.call::<_, Coerced<bool>>((index as u32, one))?.0 {
            passing.push(*id);
        }
    }
    Ok(passing)
}

fn nodes(this: &Selections<'_>) -> Rc<Nodes> {
    this.0.borrow().0.clone()
}

/// An index that may count from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    let at = if index < 0 { index + length as i64 } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

fn find<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let ids = match given(what) {
        None => Vec::new(),
        Some(what) => match ids_of(&nodes, &what) {
            Some(ids) => nodes.below_among(&ids),
            None => nodes.find(&what.get::<Coerced<String>>()?.0),
        },
    };
    found(&ctx, &nodes, ids)
}

fn single<'js>(
    ctx: Ctx<'js>,
    this: Selections<'js>,
    selector: Opt<Coerced<String>>,
) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let first = selector.0.and_then(|selector| nodes.find_first(&selector.0));
    found(&ctx, &nodes, first.into_iter().collect())
}

fn add<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let mut ids = nodes.ids.clone();
    if let Some(what) = given(what) {
        ids.extend(match ids_of(&nodes, &what) {
            Some(more) => more,
            None => {
                let root = nodes.document.tree.root().id;
                Nodes::new(nodes.document.clone(), vec![root]).find(&what.get::<Coerced<String>>()?.0)
            }
        });
    }
    found(&ctx, &nodes, ids)
}

fn filter<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let ids = passing(&ctx, &nodes, what)?;
    found(&ctx, &nodes, ids)
}

fn not<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let passing: FxHashSet<_> = passing(&ctx, &nodes, what)?.into_iter().collect();
    found(&ctx, &nodes, nodes.ids.iter().copied().filter(|id| !passing.contains(id)).collect())
}

fn is<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<bool> {
    Ok(!passing(&ctx, &nodes(&this), what)?.is_empty())
}

fn has<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let ids = match given(what) {
        Some(what) => nodes.having(&test(&ctx, &nodes, &what)?),
        None => Vec::new(),
    };
    found(&ctx, &nodes, ids)
}

fn closest<'js>(ctx: Ctx<'js>, this: Selections<'js>, what: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let ids = match given(what) {
        Some(what) => nodes.closest(&test(&ctx, &nodes, &what)?),
        None => Vec::new(),
    };
    found(&ctx, &nodes, ids)
}

fn end<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    Selection::value(
        &ctx,
        nodes.previous.clone().unwrap_or_else(|| Nodes::new(nodes.document.clone(), Vec::new())),
    )
}

fn eq<'js>(ctx: Ctx<'js>, this: Selections<'js>, index: Opt<Coerced<f64>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let at = position(index.0.map_or(0, |index| index.0 as i64), nodes.ids.len());
    found(&ctx, &nodes, at.map(|at| nodes.ids[at]).into_iter().collect())
}

fn first<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    found(&ctx, &nodes, nodes.ids.first().copied().into_iter().collect())
}

fn last<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    found(&ctx, &nodes, nodes.ids.last().copied().into_iter().collect())
}

fn slice<'js>(
    ctx: Ctx<'js>,
    this: Selections<'js>,
    start: Opt<Coerced<f64>>,
    end: Opt<Coerced<f64>>,
) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let length = nodes.ids.len() as f64;
    let clamp = |at: f64| (if at < 0.0 { at + length } else { at }).clamp(0.0, length) as usize;
    let start = clamp(start.0.map_or(0.0, |start| start.0));
    let end = clamp(end.0.map_or(length, |end| if end.0.is_nan() { length } else { end.0 }));
    found(&ctx, &nodes, nodes.ids.get(start..end).unwrap_or_default().to_vec())
}

fn size(this: Selections<'_>) -> u32 {
    nodes(&this).ids.len() as u32
}

fn text<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<String> {
    nodes(&this).text().ok_or_else(|| errors::throw_range_error(&ctx, "text(): there is too much of it"))
}

fn html(this: Selections<'_>) -> String {
    nodes(&this).first().map(|node| markup::inner(&node)).unwrap_or_default()
}

fn attr<'js>(
    ctx: Ctx<'js>,
    this: Selections<'js>,
    name: Opt<Coerced<String>>,
    otherwise: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    match name.0.and_then(|name| nodes(&this).attr(&name.0)) {
        Some(value) => value.into_js(&ctx),
        None => Ok(otherwise.0.unwrap_or_else(|| Value::new_undefined(ctx))),
    }
}

fn val<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Value<'js>> {
    match nodes(&this).first().and_then(|node| form::value(&node)) {
        Some(ControlValue::One(value)) => value.into_js(&ctx),
        Some(ControlValue::Many(values)) => values.into_js(&ctx),
        None => Ok(Value::new_undefined(ctx)),
    }
}

fn data<'js>(ctx: Ctx<'js>, this: Selections<'js>, key: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    if let Some(key) = given(key) {
        let name = format!("{DATA}{}", hyphenated(&key.get::<Coerced<String>>()?.0));
        return match nodes.attr(&name) {
            Some(value) => data_value(&ctx, &value),
            None => Ok(Value::new_undefined(ctx)),
        };
    }
    let all = Object::new(ctx.clone())?;
    if let Some(node) = nodes.first() {
        for attribute in node.attrs() {
            if let Some(name) = attribute.name.local.strip_prefix(DATA) {
                all.set(camel_case(name), data_value(&ctx, &attribute.value)?)?;
            }
        }
    }
    Ok(all.into_value())
}

/// `fooBar` as it stands in an attribute: `foo-bar`.
fn hyphenated(key: &str) -> String {
    let mut out = String::new();
    for character in key.chars() {
        if character.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

/// `foo-bar` as script has it: `fooBar`.
fn camel_case(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for character in name.chars() {
        match character {
            '-' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// The value of a data attribute, in the type that its text looks like if it can be converted back without loss.
fn data_value<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Value<'js>> {
    match text {
        "true" => return true.into_js(ctx),
        "false" => return false.into_js(ctx),
        "null" => return Ok(Value::new_null(ctx.clone())),
        _ => {}
    }
    if text.starts_with(['{', '[']) {
        match ctx.json_parse(text) {
            Ok(value) => return Ok(value),
            Err(_) => drop(ctx.catch()),
        }
    } else if text.parse::<f64>().is_ok() {
        let number: Value<'js> = rquickjs::String::from_str(ctx.clone(), text)?.into_value();
        let number = number.get::<Coerced<f64>>()?.0.into_js(ctx)?;
        if number.get::<Coerced<String>>()?.0 == text {
            return Ok(number);
        }
    }
    text.into_js(ctx)
}

fn each<'js>(ctx: Ctx<'js>, this: Selections<'js>, call: Function<'js>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    for (index, id) in nodes.ids.iter().enumerate() {
        let element = Element::value(&ctx, &nodes.document, *id)?;
        call.call::<_, Value<'js>>((index as u32, element))?;
    }
    Ok(this.0.into_value())
}

fn map<'js>(ctx: Ctx<'js>, this: Selections<'js>, call: Function<'js>) -> rquickjs::Result<Array<'js>> {
    let nodes = nodes(&this);
    let results = Array::new(ctx.clone())?;
    for (index, id) in nodes.ids.iter().enumerate() {
        let one = Selection::value(&ctx, nodes.leading_to([*id]))?;
        results.set(index, call.call::<_, Value<'js>>((index as u32, one))?)?;
    }
    Ok(results)
}

fn get<'js>(ctx: Ctx<'js>, this: Selections<'js>, index: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let nodes = nodes(&this);
    let element = |id: &NodeId| Element::value(&ctx, &nodes.document, *id);
    match given(index) {
        None => nodes.ids.iter().map(element).collect::<rquickjs::Result<Vec<_>>>()?.into_js(&ctx),
        Some(index) => match position(index.get::<Coerced<f64>>()?.0 as i64, nodes.ids.len()) {
            Some(at) => element(&nodes.ids[at]),
            None => Ok(Value::new_undefined(ctx)),
        },
    }
}

fn to_array<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Vec<Value<'js>>> {
    let nodes = nodes(&this);
    nodes.ids.iter().map(|id| Selection::value(&ctx, nodes.leading_to([*id]))).collect()
}

/// Where the first node is: among its siblings, among what a selector finds, or where the first of others is among
/// these.
fn index<'js>(this: Selections<'js>, of: Opt<Value<'js>>) -> rquickjs::Result<i32> {
    let nodes = nodes(&this);
    let among = |ids: &[NodeId], id: Option<NodeId>| {
        id.and_then(|id| ids.iter().position(|known| *known == id)).map_or(-1, |at| at as i32)
    };
    let first = nodes.ids.first().copied();
    let Some(of) = given(of) else {
        let siblings = nodes.first().and_then(|node| node.parent());
        let siblings: Vec<_> = siblings.iter().flat_map(|p| p.element_children()).map(|n| n.id).collect();
        return Ok(among(&siblings, first));
    };
    if let Some(others) = ids_of(&nodes, &of) {
        return Ok(among(&nodes.ids, others.first().copied()));
    }
    let root = nodes.document.tree.root().id;
    let all = Nodes::new(nodes.document.clone(), vec![root]).find(&of.get::<Coerced<String>>()?.0);
    Ok(among(&all, first))
}

fn serialize(this: Selections<'_>) -> String {
    form::query(&form::fields(&nodes(&this)))
}

fn serialize_array<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Vec<Object<'js>>> {
    form::fields(&nodes(&this))
        .into_iter()
        .map(|(name, value)| {
            let field = Object::new(ctx.clone())?;
            field.set("name", name)?;
            field.set("value", value)?;
            Ok(field)
        })
        .collect()
}

fn serialize_object<'js>(ctx: Ctx<'js>, this: Selections<'js>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx)?;
    for (name, value) in form::fields(&nodes(&this)) {
        object.set(name, value)?;
    }
    Ok(object)
}

/// A method that finds other nodes from each node, and filters them with an optional argument.
fn going<'js>(ctx: &Ctx<'js>, go: fn(&Nodes) -> Vec<NodeId>) -> rquickjs::Result<Function<'js>> {
    native::function(ctx, move |ctx: Ctx<'js>, this: Selections<'js>, filter: Opt<Value<'js>>| {
        let nodes = nodes(&this);
        let ids = filtered(&ctx, &nodes, go(&nodes), filter)?;
        found(&ctx, &nodes, ids)
    })
}

/// A method that goes on until a node passes.
fn going_until<'js>(ctx: &Ctx<'js>, step: Step) -> rquickjs::Result<Function<'js>> {
    let go = move |ctx: Ctx<'js>, this: Selections<'js>, until: Opt<Value<'js>>, filter: Opt<Value<'js>>| {
        let nodes = nodes(&this);
        let until = given(until).map(|until| test(&ctx, &nodes, &until)).transpose()?;
        let ids = filtered(&ctx, &nodes, nodes.walk(step, until.as_ref()), filter)?;
        found(&ctx, &nodes, ids)
    };
    native::function(ctx, go)
}

// Only `parseHTML()` makes selections.
native_class!(Selection, "Selection", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    let set = |name: &str, function: rquickjs::Result<Function<'js>>| {
        prototype.set(name, function?.with_name(name)?)
    };
    set("find", native::function(ctx, find))?;
    set("single", native::function(ctx, single))?;
    set("add", native::function(ctx, add))?;
    set("filter", native::function(ctx, filter))?;
    set("not", native::function(ctx, not))?;
    set("is", native::function(ctx, is))?;
    set("has", native::function(ctx, has))?;
    set("closest", native::function(ctx, closest))?;
    set("end", native::function(ctx, end))?;
    set("eq", native::function(ctx, eq))?;
    set("first", native::function(ctx, first))?;
    set("last", native::function(ctx, last))?;
    set("slice", native::function(ctx, slice))?;
    set("size", native::function(ctx, size))?;
    set("text", native::function(ctx, text))?;
    set("html", native::function(ctx, html))?;
    set("attr", native::function(ctx, attr))?;
    set("val", native::function(ctx, val))?;
    set("data", native::function(ctx, data))?;
    set("each", native::function(ctx, each))?;
    set("map", native::function(ctx, map))?;
    set("get", native::function(ctx, get))?;
    set("toArray", native::function(ctx, to_array))?;
    set("index", native::function(ctx, index))?;
    set("serialize", native::function(ctx, serialize))?;
    set("serializeArray", native::function(ctx, serialize_array))?;
    set("serializeObject", native::function(ctx, serialize_object))?;
    set("children", going(ctx, Nodes::children))?;
    set("contents", going(ctx, Nodes::contents))?;
    set("parent", going(ctx, |nodes| nodes.step(Step::Up)))?;
    set("parents", going(ctx, |nodes| nodes.walk(Step::Up, None)))?;
    set("next", going(ctx, |nodes| nodes.step(Step::Next)))?;
    set("nextAll", going(ctx, |nodes| nodes.walk(Step::Next, None)))?;
    set("prev", going(ctx, |nodes| nodes.step(Step::Previous)))?;
    set("prevAll", going(ctx, |nodes| nodes.walk(Step::Previous, None)))?;
    set("siblings", going(ctx, Nodes::siblings))?;
    set("parentsUntil", going_until(ctx, Step::Up))?;
    set("nextUntil", going_until(ctx, Step::Next))?;
    set("prevUntil", going_until(ctx, Step::Previous))?;
    Ok(prototype)
}
