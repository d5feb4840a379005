//! `k6/html`: HTML documents, searched by CSS selectors.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-html/>)
//!
//! A [`Document`] is parsed once and shared by everything that refers to it: a [`Selection`] is a list of its nodes, an
//! [`Element`](element::Element) one of them. Their methods work on the tree ([`nodes`], by [`selector`]s and as
//! [`markup`]); forms have rules of their own ([`form`]).

mod document;
mod element;
mod form;
mod markup;
mod nesting;
mod nodes;
mod selection;
mod selector;

use std::rc::Rc;

use rquickjs::function::Opt;
use rquickjs::{Ctx, Object, Value};
use senary_js::vu::core::VuHandle;
use senary_js::{bytes, errors, native};

use self::document::Document;
use self::nodes::Nodes;
use self::selection::Selection;

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("parseHTML", native::function(ctx, parse_html)?.with_name("parseHTML")?)?;
    Ok(module)
}

fn parse_html<'js>(ctx: Ctx<'js>, source: Opt<Value<'js>>) -> rquickjs::Result<Value<'js>> {
    let source = match &source.0 {
        Some(source) => bytes::of_value(&ctx, source)?,
        None => None,
    };
    let Some(source) = source else {
        return Err(errors::throw_type_error(&ctx, "parseHTML() needs the text of a document"));
    };
    selection(&ctx, &String::from_utf8_lossy(&source), "parseHTML()")
}

/// A selection of a whole document, which `call` is to parse.
pub fn selection<'js>(ctx: &Ctx<'js>, source: &str, call: &str) -> rquickjs::Result<Value<'js>> {
    if nesting::of(source) > nesting::DEEPEST {
        return Err(errors::throw_range_error(ctx, &format!("{call}: the document is nested too deeply")));
    }
    parse(ctx, source)
}

/// A selection of a whole document.
pub fn parse<'js>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<Value<'js>> {
    element::install(ctx)?;
    let vu = ctx.userdata::<VuHandle>().map(|vu| vu.0.clone());
    let Ok(document) = Document::parse(source, vu.as_ref()) else {
        return Err(errors::throw_range_error(
            ctx,
            "the HTML document is larger than --vu-memory-limit allows",
        ));
    };
    let document = Rc::new(document);
    let root = document.tree.root().id;
    Selection::value(ctx, Nodes::new(document, vec![root]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, with_context};

    /// What `code`, the body of a function with the document as `doc`, returns.
    fn with_document(html: &str, code: &str) -> String {
        let mut result = String::new();
        with_context(|ctx| {
            ctx.globals().set("html", exports(ctx).unwrap()).unwrap();
            ctx.globals().set("source", html).unwrap();
            result = run(
                ctx,
                &format!(
                    "const doc = html.parseHTML(source); const ids = (s) => s.map((_, e) => e.attr('id')).join(); {code}"
                ),
            );
        });
        result
    }

    const LIST: &str = "<ul id=u><li id=a>1<li id=b class='x y' data-foo-bar=5 data-n=007 data-j='[1]'><b id=i>2</b><li id=c>3</ul><p id=p>4</p>";

    #[test]
    fn selections_are_narrowed_and_widened() {
        for (code, expected) in [
            ("ids(doc.find('li').filter((i, e) => i > 0 && e.text() !== '3'))", "b"),
            ("ids(doc.find('li').filter(doc.find('#c')))", "c"),
            ("ids(doc.find('li').not('#a'))", "b,c"),
            ("ids(doc.find('li').not((i, e) => e.is('.y')))", "a,c"),
            ("ids(doc.find('li').has('b'))", "b"),
            ("ids(doc.find('li').has(doc.find('b')))", "b"),
            ("ids(doc.find('#a').add('#p').add(doc.find('#c')))", "a,p,c"),
            ("ids(doc.find('li').slice(1, -1))", "b"),
            ("ids(doc.find('li').eq(-1))", "c"),
            ("ids(doc.find('li').first().end())", "a,b,c"),
            ("ids(doc.find('#i').parents('ul'))", "u"),
            ("ids(doc.find('#i').parentsUntil('#u'))", "b"),
            ("ids(doc.find('#a').nextUntil(doc.find('#c')))", "b"),
            ("ids(doc.find('#a').nextAll('.x'))", "b"),
            ("ids(doc.find('#c').prevAll())", "b,a"),
            ("ids(doc.find('#b').siblings())", "a,c"),
            ("ids(doc.single('li'))", "a"),
            ("ids(doc.find('ul').find(doc.find('li')))", "a,b,c"),
            ("doc.find('li').is((i) => i === 2) + '' + doc.find('li').is('p')", "truefalse"),
            (
                "[doc.find('#c').index(), doc.find('#c').index('li'), doc.find('li').index(doc.find('#b')), doc.find('#p').index('li')].join()",
                "2,2,1,-1",
            ),
            ("doc.find('[').size() + doc.find('li').filter(':::').size()", "0"),
            ("ids(doc.find('li:contains(\"2\")').add(':root').add('li[class!=x]:first-child'))", "b,,a"),
            ("ids(doc.find('li').filter(':has(b)'))", "b"),
            ("ids(doc.find('li').not(':matches(^[12])'))", "c"),
            ("ids(doc.find('#i').closest(':haschild(b)'))", "b"),
            ("doc.find('#b').is(':nth-last-child(2)')", "true"),
            ("doc.find('ul').html().slice(-37)", "<b id=\"i\">2</b></li><li id=\"c\">3</li>"),
        ] {
            assert_eq!(with_document(LIST, &format!("return {code}")), expected, "{code}");
        }
    }

    #[test]
    fn data_attributes_keep_what_they_say() {
        let code = "const b = doc.find('#b'); return JSON.stringify([b.data('fooBar'), b.data('foo-bar'), b.data('n'), b.data('j'), b.data('none'), b.data()])";
        assert_eq!(with_document(LIST, code), r#"[5,5,"007",[1],null,{"fooBar":5,"n":"007","j":[1]}]"#);
    }

    #[test]
    fn elements_know_their_surroundings() {
        for (code, expected) in [
            (
                "[e.nodeName(), e.nodeType(), e.nodeValue(), e.id(), e.className(), e.classList().join('+')].join()",
                "li,1,,b,x y,x+y",
            ),
            (
                "[e.firstChild().nodeName(), e.firstChild().firstChild().nodeName(), e.firstChild().firstChild().nodeValue()].join()",
                "b,#text,2",
            ),
            (
                "[e.previousElementSibling().id(), e.nextElementSibling().id(), e.parentElement().id(), e.parentNode().id()].join()",
                "a,c,u,u",
            ),
            (
                "[e.attributes().length, e.attributes()[0].name, e.attributes().class.value, e.getAttributeNode('ID').value].join()",
                "5,id,x y,b",
            ),
            (
                "((a) => [a.ownerElement.id(), a.localName(), a.namespaceURI(), a.prefix(), JSON.stringify(a)].join())(e.getAttributeNode('id'))",
                r#"b,id,,,{"name":"id","value":"b"}"#,
            ),
            (
                "[e.hasAttribute('Class'), e.getAttribute('nope'), e.hasAttributes(), e.hasChildNodes(), e.childElementCount()].join()",
                "true,,true,true,1",
            ),
            (
                "[e.matches('ul .x'), e.contains(e.firstChild()), e.isSameNode(doc.find('#b').get(0)), e.isEqualNode(doc.find('#a').get(0))].join()",
                "true,true,true,false",
            ),
            (
                "[e.querySelector('b').id(), e.querySelectorAll('p').length, e.ownerDocument().getElementsByTagName('li').length, e.ownerDocument().getElementsByClassName('y x').length].join()",
                "i,0,3,1",
            ),
            (
                "[e.innerHTML(), e.textContent(), String(e), e.selection().text(), e.children()[0].id(), e.childNodes().length].join('|')",
                "<b id=\"i\">2</b>|2|[object html.Node]|2|i|1",
            ),
            (
                "[e.ownerDocument().nodeName(), e.ownerDocument().parentElement(), e.namespaceURI(), e.isDefaultNamespace()].join()",
                "#document,,http://www.w3.org/1999/xhtml,true",
            ),
        ] {
            assert_eq!(
                with_document(LIST, &format!("const e = doc.find('#b').get(0); return {code}")),
                expected,
                "{code}"
            );
        }
    }

    #[test]
    fn kinds_of_elements_have_what_they_are_for() {
        let html = "<a href='https://u:p@Host.test:81/p/q?x=1#h' rel='a b' target=_blank>go</a>
            <form id=f name=n action=/do method=POST><label for=i id=l>L</label><input id=i value=v maxlength=5 required readonly type=EMAIL>
            <select id=s multiple><option value=1>one<option selected>two<option selected disabled>three</select><textarea>t</textarea><button formmethod=get>b</button></form>
            <table><tr><td id=c1><td id=c2 colspan=2></table><img src=x.png width=7><progress max=4 value=1></progress>";
        let get = |selector: &str, code: &str| {
            with_document(html, &format!("const e = doc.find('{selector}').get(0); return [{code}].join()"))
        };
        assert_eq!(
            get(
                "a",
                "e.protocol(), e.username(), e.password(), e.hostname(), e.port(), e.host(), e.pathname(), e.search(), e.hash(), e.origin()"
            ),
            "https:,u,p,host.test,81,host.test:81,/p/q,?x=1,#h,https://host.test:81"
        );
        assert_eq!(get("a", "e.relList().length, e.target(), e.text(), e.download()"), "2,_blank,go,");
        assert_eq!(
            get("form", "e.method(), e.action(), e.enctype(), e.length(), e.autocomplete()"),
            "post,/do,application/x-www-form-urlencoded,4,on"
        );
        assert_eq!(
            get(
                "#i",
                "e.value(), e.type(), e.required(), e.readOnly(), e.readonly(), e.disabled(), e.maxLength(), e.minLength(), e.form().id(), e.labels()[0].id()"
            ),
            "v,email,true,true,true,false,5,-1,f,l"
        );
        assert_eq!(get("#l", "e.control().id(), e.htmlFor()"), "i,i");
        assert_eq!(
            get(
                "#s",
                "e.type(), e.length(), e.selectedIndex(), e.selectedOptions().length, e.size(), e.value()"
            ),
            "select-multiple,3,1,2,4,two"
        );
        assert_eq!(
            get("option[selected]", "e.index(), e.text(), e.label(), e.value(), e.form().id()"),
            "1,two,two,two,f"
        );
        assert_eq!(get("button", "e.type(), e.formMethod(), e.formAction()"), "submit,get,/do");
        assert_eq!(
            get(
                "#c2",
                "e.cellIndex(), e.colSpan(), e.rowSpan(), e.parentElement().rowIndex(), e.parentElement().cells().length"
            ),
            "1,2,1,0,2"
        );
        assert_eq!(get("img", "e.src(), e.width(), e.height(), e.alt()"), "x.png,7,0,");
        assert_eq!(get("progress", "e.position(), e.max()"), "0.25,4");
        assert_eq!(get("textarea", "e.value(), e.cols(), e.type()"), "t,20,textarea");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        with_context(|ctx| {
            ctx.globals().set("html", exports(ctx).unwrap()).unwrap();
            assert!(run(ctx, "html.parseHTML()").starts_with("TypeError: parseHTML()"));
            assert!(run(ctx, "html.parseHTML(5)").starts_with("TypeError: parseHTML()"));
            let deep = run(ctx, "html.parseHTML('<div>'.repeat(1e6))");
            assert_eq!(deep, "RangeError: parseHTML(): the document is nested too deeply");
            assert_eq!(run(ctx, "return html.parseHTML('<p>x<br>'.repeat(2e4)).find('p').size()"), "20000");
            assert_eq!(run(ctx, "return html.parseHTML('').find('body').size()"), "1");
            assert!(
                run(ctx, "html.parseHTML('<p>').find('p').filter(5)").starts_with("TypeError: a selector")
            );
            for (code, expected) in [
                ("p.each(5)", "TypeError: each() needs a function, not a number"),
                ("p.map()", "TypeError: map() needs an argument"),
                (
                    "const { text } = p; text()",
                    "TypeError: text() belongs to a Selection, and cannot be used with undefined",
                ),
            ] {
                let code = format!("const p = html.parseHTML('<p>').find('p'); {code}");
                assert_eq!(run(ctx, &code), expected, "{code}");
            }
        });
    }
}
