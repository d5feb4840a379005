use proptest::prelude::*;

use super::*;
use crate::testing::{run, with_context};
use senary_js::script_context::{CurrentContext, ScriptContext};

fn install(ctx: &Ctx<'_>, arrays: &SharedArrays) {
    arrays.install(ctx);
    let exports = exports(ctx).unwrap();
    ctx.globals().set(SHARED_ARRAY, exports.get::<_, Value<'_>>(SHARED_ARRAY).unwrap()).unwrap();
}

fn with_array(elements: &str, code: &str) -> String {
    let mut result = String::new();
    with_context(|ctx| {
        install(ctx, &SharedArrays::default());
        result = run(ctx, &format!("'use strict'; const d = new SharedArray('d', () => {elements}); {code}"));
    });
    result
}

const PEOPLE: &str = "[{ name: 'ann', n: [1] }, { name: 'bob' }, 'text', 4, null]";

#[test]
fn reads_like_an_array() {
    let check = |code: &str, expected: &str| {
        assert_eq!(with_array(PEOPLE, &format!("return {code}")), expected, "{code}")
    };
    check("[d.length, d[0].name, d[2], d[3], d[4], d[9], d[-1], d['01'], d[1.5]]", "5,ann,text,4,,,,,");
    check(
        "[Array.isArray(d), typeof d, Object.keys(d), 'length' in d, 3 in d, 5 in d]",
        "true,object,0,1,2,3,4,true,true,false",
    );
    check("JSON.stringify(d)", r#"[{"name":"ann","n":[1]},{"name":"bob"},"text",4,null]"#);
    check("JSON.stringify([...d].length + [0].concat(d).length)", "11");
    check(
        "[d.indexOf(4), d.includes('text'), d.slice(1, 3).length, d.map((x) => typeof x)]",
        "3,true,2,object,object,string,number,object",
    );
    check("d[0] === d[0]", "false");
    check("[d instanceof Array, d instanceof SharedArray, d.constructor === Array]", "true,true,true");
    check(
        "JSON.stringify(Object.getOwnPropertyDescriptor(d, 'length'))",
        r#"{"value":5,"writable":true,"enumerable":false,"configurable":false}"#,
    );
    check("Object.entries(d)[2]", "2,text");
    check("d.at(-1)", "null");
    check("(() => { let n = 0; for (const i in d) n += Number(i); return n })()", "10");
}

#[test]
fn too_many_keys_are_refused() {
    let big = "Array.from({ length: 100001 }, (_, i) => i)";
    assert_eq!(with_array(big, "return [d.length, d[100000], d.includes(7)]"), "100001,100000,true");
    assert!(with_array(big, "return Object.keys(d)").starts_with("RangeError"));
}

#[test]
fn cannot_be_changed() {
    for change in [
        "d[0] = 1",
        "d.push(1)",
        "d.length = 0",
        "delete d[0]",
        "d.sort()",
        "d.extra = 1",
        "Object.defineProperty(d, 'x', {})",
        "Object.freeze(d)",
        "Object.setPrototypeOf(d, null)",
    ] {
        assert_eq!(with_array(PEOPLE, change), "TypeError: SharedArray is immutable", "{change}");
    }
    for change in ["d[0].name = 'x'", "d[0].n.push(2)", "d[1].extra = 1", "delete d[0].n"] {
        assert!(with_array(PEOPLE, change).starts_with("TypeError"), "{change}");
    }
}

#[test]
fn holds_what_json_can_say() {
    assert_eq!(
        with_array("[undefined, () => 1, NaN, , new Date(0)]", "return JSON.stringify(d)"),
        r#"[null,null,null,null,"1970-01-01T00:00:00.000Z"]"#
    );
    assert_eq!(with_array("[]", "return d.length + JSON.stringify(d)"), "0[]");
    assert!(with_array("[1n]", "").starts_with("TypeError"));
    assert_eq!(with_array("new Proxy(['a'], {})", "return d[0]"), "a");
}

#[test]
fn wrong_uses_are_named() {
    with_context(|ctx| {
        install(ctx, &SharedArrays::default());
        let context = CurrentContext::new();
        let _ = ctx.store_userdata(context.clone());
        let check = |arguments: &str, message: &str| {
            assert_eq!(
                run(ctx, &format!("return new SharedArray({arguments}).length")),
                message,
                "{arguments}"
            );
        };
        check("", "GoError: empty name provided to SharedArray's constructor");
        check("'', () => []", "GoError: empty name provided to SharedArray's constructor");
        check("'a'", "GoError: a function is expected as the second argument of SharedArray's constructor");
        check(
            "'a', [1]",
            "GoError: a function is expected as the second argument of SharedArray's constructor",
        );
        check("'a', () => ({})", "GoError: only arrays can be made into SharedArray");
        check("'a', () => { throw new RangeError('inside') }", "RangeError: inside");
        check(
            "'a', async () => [1]",
            "GoError: SharedArray constructor does not support async functions as second argument",
        );
        // A failed build leaves the name free.
        check("'a', () => [1, 2]", "2");
        check("'a', () => [1]", "2");
        check("'outer', () => [new SharedArray('inner', () => [1]).length]", "1");
        context.set(ScriptContext::Vu);
        check("'late', () => [1]", "GoError: new SharedArray must be called in the init context");
    });
}

#[test]
fn is_built_by_the_first_context_alone() {
    let arrays = SharedArrays::default();
    for expected in ["1 true", "1 false"] {
        with_context(|ctx| {
            install(ctx, &arrays);
            assert_eq!(
                run(
                    ctx,
                    "let called = false; const d = new SharedArray('n', () => { called = true; return [1] }); return d[0] + ' ' + called"
                ),
                expected
            );
        });
    }
}

#[test]
fn a_build_is_waited_for_and_passes_on_when_abandoned() {
    let arrays = SharedArrays::default();
    let (first, second) = (Builder(1), Builder(2));
    let Claim::Build(duty) = arrays.claim("a", first) else { panic!("the first must build") };
    assert!(matches!(arrays.claim("a", second), Claim::Wait));
    drop(duty);
    let Claim::Build(duty) = arrays.claim("a", second) else { panic!("the next must build") };
    // A VU that is building an array itself never waits, so that no two wait for each other.
    let Claim::Build(other) = arrays.claim("b", first) else { panic!("the first must build") };
    let Claim::Build(nested) = arrays.claim("a", first) else { panic!("a builder must not wait") };
    drop(nested);
    assert!(matches!(arrays.claim("a", Builder(3)), Claim::Wait));
    let published = duty.finish(Elements::default());
    assert!(matches!(arrays.claim("a", first), Claim::Take(taken) if Arc::ptr_eq(&taken, &published)));
    drop(other);
}

#[test]
fn indices_are_written_one_way() {
    for (text, index) in [
        ("0", Some(0)),
        ("10", Some(10)),
        ("01", None),
        ("1e1", None),
        ("-1", None),
        ("", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(parse_index(text.as_bytes()), index, "{text}");
    }
}

proptest! {
    #[test]
    fn elements_come_back(texts: Vec<String>) {
        let mut elements = Elements::default();
        texts.iter().for_each(|text| elements.push(text));
        for (i, text) in texts.iter().enumerate() {
            prop_assert_eq!(elements.get(i), Some(text.as_str()));
        }
        prop_assert_eq!(elements.get(texts.len()), None);
    }
}
