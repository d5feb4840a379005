//! Values of form controls, as a browser would submit them.

use dom_query::NodeRef;

use super::nodes::Nodes;

/// The value of a control: several ones for a `select` that takes several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlValue {
    One(String),
    Many(Vec<String>),
}

/// Controls that are submitted.
const CONTROLS: &str = "input,select,textarea,keygen";

/// Types of `input` that are not.
const NOT_SUBMITTED: [&str; 5] = ["submit", "button", "reset", "image", "file"];

/// The value of an element; `None` if elements like it have none.
pub fn value(node: &NodeRef<'_>) -> Option<ControlValue> {
    let attr = |name: &str| node.attr(name).map(|value| value.to_string());
    match node.node_name()?.as_ref() {
        "input" if is_checkable(node) => {
            Some(ControlValue::One(attr("value").unwrap_or_else(|| "on".to_owned())))
        }
        "input" | "button" | "data" | "param" | "li" | "meter" | "progress" => {
            Some(ControlValue::One(attr("value").unwrap_or_default()))
        }
        "textarea" | "output" => Some(ControlValue::One(node.text().to_string())),
        "option" => Some(ControlValue::One(option(node))),
        "select" => Some(select(node)),
        _ => None,
    }
}

fn select(node: &NodeRef<'_>) -> ControlValue {
    let options: Vec<_> = node.descendants_it().filter(|n| n.has_name("option")).collect();
    let mut selected = options.iter().filter(|n| n.has_attr("selected"));
    if node.has_attr("multiple") {
        return ControlValue::Many(selected.map(option).collect());
    }
    // If no option is marked as selected, a browser takes the first.
    let chosen = selected.next_back().or_else(|| options.iter().find(|n| !n.has_attr("disabled")));
    ControlValue::One(chosen.map(option).unwrap_or_default())
}

fn option(node: &NodeRef<'_>) -> String {
    node.attr("value").map_or_else(|| node.text().trim().to_owned(), |value| value.to_string())
}

fn is_checkable(node: &NodeRef<'_>) -> bool {
    matches!(node.attr("type").as_deref().map(str::to_ascii_lowercase).as_deref(), Some("checkbox" | "radio"))
}

/// Names and values that the controls among these nodes, and those below the forms among them, would submit.
pub fn fields(nodes: &Nodes) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for node in nodes.iter() {
        let controls = Nodes::new(nodes.document.clone(), vec![node.id]);
        let ids = if is_control(&node) { vec![node.id] } else { controls.find(CONTROLS) };
        for control in ids.iter().map(|id| nodes.node(*id)) {
            let Some(name) = control.attr("name").filter(|name| !name.is_empty()) else { continue };
            let kind = control.attr("type").map(|kind| kind.to_ascii_lowercase()).unwrap_or_default();
            // As in the reference, `checked="checked"` counts, and a bare `checked` does not.
            let unchecked = is_checkable(&control) && control.attr("checked").as_deref() != Some("checked");
            if unchecked || control.has_attr("disabled") || NOT_SUBMITTED.contains(&kind.as_str()) {
                continue;
            }
            match value(&control) {
                Some(ControlValue::One(value)) => found.push((name.to_string(), value)),
                Some(ControlValue::Many(values)) => {
                    found.extend(values.into_iter().map(|v| (name.to_string(), v)))
                }
                None => {}
            }
        }
    }
    found
}

fn is_control(node: &NodeRef<'_>) -> bool {
    CONTROLS.split(',').any(|name| node.has_name(name))
}

/// Fields as a query, sorted by name; those of one name stay in order.
pub fn query(fields: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let pairs = sorted.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;
    use std::rc::Rc;

    fn find(html: &str, selector: &str) -> Rc<Nodes> {
        let document = Rc::new(Document::parse(html, None).unwrap());
        let root = document.tree.root().id;
        let all = Nodes::new(document, vec![root]);
        all.leading_to(all.find(selector))
    }

    fn value_of(html: &str, selector: &str) -> Option<ControlValue> {
        value(&find(html, selector).first().unwrap())
    }

    #[test]
    fn controls_have_values() {
        let one = |text: &str| Some(ControlValue::One(text.into()));
        assert_eq!(value_of("<input value=a>", "input"), one("a"));
        assert_eq!(value_of("<input type=Checkbox>", "input"), one("on"));
        assert_eq!(value_of("<textarea>t</textarea>", "textarea"), one("t"));
        assert_eq!(value_of("<select><option value=1>x<option selected>two</select>", "select"), one("two"));
        assert_eq!(value_of("<select><option disabled>no<option>first</select>", "select"), one("first"));
        assert_eq!(
            value_of(
                "<select multiple><option selected>a<option>b<option selected value=3>c</select>",
                "select"
            ),
            Some(ControlValue::Many(vec!["a".into(), "3".into()]))
        );
        assert_eq!(value_of("<p>x</p>", "p"), None);
    }

    #[test]
    fn only_what_a_browser_would_submit() {
        let form = find(
            "<form><input name=b value='1 &'><input name=a disabled><input type=radio name=r value=x><input type=radio name=r value=y checked=checked><input type=checkbox name=c checked>
             <input value=nameless><input type=submit name=s value=go><select name=m multiple><option selected>1<option selected>2</select><button name=z value=1></form>",
            "form",
        );
        let fields = fields(&form);
        let expected = [("b", "1 &"), ("r", "y"), ("m", "1"), ("m", "2")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(query(&fields), "b=1+%26&m=1&m=2&r=y");
    }
}
