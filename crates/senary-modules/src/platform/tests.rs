//! The globals from outside: what a script sees of them, by the standards they follow.

use super::install;
use crate::testing::{run, with_context};

/// Runs each body of a function and compares what it returns.
fn expect(cases: &[(&str, &str)]) {
    with_context(|ctx| {
        crate::text_codec::install(ctx).unwrap();
        install(ctx).unwrap();
        for (code, expected) in cases {
            assert_eq!(run(ctx, code), *expected, "{code}");
        }
    });
}

#[test]
fn globals_can_be_replaced_and_belong_together() {
    expect(&[
        ("URL = 5; return typeof URL + typeof new URLSearchParams('a=1')", "numberobject"),
        ("delete globalThis.Event; return typeof Event", "undefined"),
        ("return new AbortController().signal instanceof EventTarget", "true"),
        (
            "return Object.keys(Object.getOwnPropertyDescriptors(globalThis)).includes('structuredClone')",
            "true",
        ),
    ]);
}

#[test]
fn urls_are_parsed_and_changed_as_the_standard_says() {
    expect(&[
        ("return new URL('../c?x#y', 'HTTP://u:p@Example.com:80/a/b').href", "http://u:p@example.com/c?x#y"),
        ("return new URL('https://bücher.example/ä b').href", "https://xn--bcher-kva.example/%C3%A4%20b"),
        (
            "const u = new URL('http://a:1/?x=1'); u.searchParams.append('y', 'ä &'); u.hash = 'h'; return u",
            "http://a:1/?x=1&y=%C3%A4+%26#h",
        ),
        ("const u = new URL('http://a:1/?x=1'); u.search = '?z=2'; return u.searchParams.get('z')", "2"),
        (
            "const u = new URL('http://a:1/'); u.port = 'no'; u.protocol = 'https'; return u.href + u.origin",
            "https://a:1/https://a:1",
        ),
        ("const u = new URL('http://a/'); u.href = 'nothing'", "TypeError: Invalid URL: nothing"),
        ("new URL('nothing', 'http:a b')", "TypeError: Invalid URL: nothing (base http:a b)"),
        ("return [URL.canParse('a:b'), URL.canParse('b'), URL.parse('b')].join()", "true,false,"),
        ("return JSON.stringify({ u: new URL('tcp://h:1/p') })", r#"{"u":"tcp://h:1/p"}"#),
        ("return new URL('a:\\ud800').href", "a:%EF%BF%BD"),
        ("new URL()", "TypeError: new URL() needs an argument, not 0"),
        ("URL('a:b')", "TypeError: class constructors must be invoked with 'new'"),
    ]);
}

#[test]
fn search_parameters() {
    expect(&[
        ("return new URLSearchParams('?a=1&b=%20x+y&a')", "a=1&b=+x+y&a="),
        ("return new URLSearchParams({ a: 1, b: null })", "a=1&b=null"),
        ("return new URLSearchParams([['a', 1], new Set(['b', 2])])", "a=1&b=2"),
        ("return new URLSearchParams(new URLSearchParams('c=3'))", "c=3"),
        (
            "new URLSearchParams([['a']])",
            "TypeError: URLSearchParams needs pairs of a name and a value, not 1 items",
        ),
        (
            "const p = new URLSearchParams('b=1&a=2&b=3'); p.sort(); p.set('b', 9); p.delete('a', 'no'); return p + '|' + p.size",
            "a=2&b=9|2",
        ),
        (
            "const p = new URLSearchParams('a=1&b=2'); return JSON.stringify([[...p], [...p.keys()], p.getAll('a'), p.has('a', '2')])",
            r#"[[["a","1"],["b","2"]],["a","b"],["1"],false]"#,
        ),
        (
            "const seen = []; new URLSearchParams('a=1').forEach((value, name) => seen.push(name, value)); return seen",
            "a,1",
        ),
    ]);
}

#[test]
fn events_reach_their_listeners_in_order() {
    expect(&[
        (
            "const t = new EventTarget(), seen = []; t.addEventListener('a', () => seen.push(1)); t.addEventListener('a', { handleEvent: (e) => { seen.push(2); e.stopImmediatePropagation() } }, { once: true }); t.addEventListener('a', () => seen.push(3)); t.dispatchEvent(new Event('a')); t.dispatchEvent(new Event('a')); return seen",
            "1,2,1,3",
        ),
        (
            "const t = new EventTarget(); t.addEventListener('a', (e) => e.preventDefault()); return [t.dispatchEvent(new Event('a')), t.dispatchEvent(new Event('a', { cancelable: true }))]",
            "true,false",
        ),
        (
            "const t = new EventTarget(); let inner; t.addEventListener('a', (e) => { try { t.dispatchEvent(e) } catch (error) { inner = error.name } }); t.dispatchEvent(new Event('a')); return inner",
            "InvalidStateError",
        ),
        (
            "const e = new CustomEvent('a', { detail: 5 }); return [e.detail, e instanceof Event, e.type, e.target, String(e)]",
            "5,true,a,,[object CustomEvent]",
        ),
        ("new EventTarget().dispatchEvent({})", "TypeError: dispatchEvent() needs an Event"),
        (
            "const c = new AbortController(), t = new EventTarget(); let n = 0; t.addEventListener('a', () => n++, { signal: c.signal }); t.dispatchEvent(new Event('a')); c.abort(); t.dispatchEvent(new Event('a')); return n",
            "1",
        ),
    ]);
}

#[test]
fn signals_abort_once_and_together() {
    expect(&[
        (
            "const c = new AbortController(), any = AbortSignal.any([c.signal]); let n = 0; c.signal.onabort = any.onabort = () => n++; c.abort('why'); c.abort('again'); return [n, any.reason, c.signal.aborted]",
            "2,why,true",
        ),
        (
            "const { reason } = AbortSignal.abort(); return [reason.name, reason instanceof DOMException]",
            "AbortError,true",
        ),
        ("try { AbortSignal.abort(5).throwIfAborted() } catch (e) { return e }", "5"),
        (
            "new AbortSignal()",
            "TypeError: an AbortSignal is made by AbortController, AbortSignal.abort(), timeout() or any()",
        ),
        ("AbortSignal.any([5])", "TypeError: AbortSignal.any() needs AbortSignals"),
        (
            "AbortSignal.timeout(-1)",
            "TypeError: AbortSignal.timeout() needs a number of milliseconds that is not negative",
        ),
    ]);
}

#[test]
fn clones_are_deep_and_keep_what_they_refer_to() {
    expect(&[
        (
            "const a = { d: new Date(5), r: /x/gi, m: new Map([[{ k: 1 }, new Set([2])]]), n: 10n, u: undefined, b: Object(true) }; a.self = a; const c = structuredClone(a); return [c !== a, c.self === c, c.d.getTime(), c.r, [...c.m.keys()][0].k, [...c.m.values()][0].has(2), c.n, 'u' in c, typeof c.b]",
            "true,true,5,/x/gi,1,true,10,true,object",
        ),
        (
            "const c = structuredClone(new RangeError('no', { cause: { a: 1 } })); return [c instanceof RangeError, c.name, c.message, c.cause.a]",
            "true,RangeError,no,1",
        ),
        (
            "const b = new Uint8Array([1, 2, 3, 4]), [x, y] = structuredClone([b.subarray(1, 3), b]); return [x, x.buffer === y.buffer, x.buffer !== b.buffer]",
            "2,3,true,true",
        ),
        (
            "const b = new ArrayBuffer(4), c = structuredClone({ b, v: new Uint8Array(b, 1) }, { transfer: [b] }); return [b.byteLength, c.v.buffer === c.b, c.v.byteOffset]",
            "0,true,1",
        ),
        (
            "class P { q = 1 } const c = structuredClone(new P()); return [c.q, Object.getPrototypeOf(c) === Object.prototype]",
            "1,true",
        ),
        (
            "let deep = {}, at = deep; for (let i = 0; i < 2e4; i++) at = at.x = {}; return typeof structuredClone(deep)",
            "object",
        ),
        ("return structuredClone([1, , 3]).hasOwnProperty(1)", "false"),
        ("structuredClone()", "TypeError: structuredClone() needs an argument"),
    ]);
    for value in [
        "() => {}",
        "{ f() {} }",
        "Symbol('s')",
        "Promise.resolve()",
        "new Proxy({}, {})",
        "new WeakMap()",
        "new TextEncoder()",
    ] {
        expect(&[(
            &format!("try {{ structuredClone({value}) }} catch (e) {{ return e.name }}"),
            "DataCloneError",
        )]);
    }
}

#[test]
fn numbers_are_formatted_in_english() {
    expect(&[
        ("return (1234567.891).toLocaleString('en-US')", "1,234,567.891"),
        ("return (1234.5).toLocaleString() + (10n).toLocaleString()", "1234.510"),
        ("return (12345678901234567890n).toLocaleString('en')", "12,345,678,901,234,567,890"),
        (
            "return new Intl.NumberFormat('en-US', { style: 'currency', currency: 'EUR' }).format(-1.005)",
            "-€1.01",
        ),
        ("return Intl.NumberFormat(undefined, { style: 'percent' }).format(0.256)", "26%"),
        (
            "return new Intl.NumberFormat('en', { minimumIntegerDigits: 2, useGrouping: false }).format(5)",
            "05",
        ),
        ("return new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }).format(999999)", "1,000,000"),
        ("return new Intl.NumberFormat('en', { notation: 'compact' }).format(1549)", "1.5K"),
        (
            "return new Intl.NumberFormat('en', { style: 'unit', unit: 'hour', unitDisplay: 'long' }).format(2)",
            "2 hours",
        ),
        (
            "return JSON.stringify(new Intl.NumberFormat('en').formatToParts(-1234.5))",
            r#"[{"type":"minusSign","value":"-"},{"type":"integer","value":"1"},{"type":"group","value":","},{"type":"integer","value":"234"},{"type":"decimal","value":"."},{"type":"fraction","value":"5"}]"#,
        ),
        (
            "new Intl.NumberFormat('en', { style: 'currency' })",
            "TypeError: Currency code is required with currency style.",
        ),
        ("return new Intl.PluralRules('en', { type: 'ordinal' }).select(22)", "two"),
        ("return new Intl.RelativeTimeFormat('en', { numeric: 'auto' }).format(-1, 'day')", "yesterday"),
        ("return new Intl.ListFormat('en').format(['a', 'b', 'c'])", "a, b, and c"),
    ]);
}

#[test]
fn dates_are_formatted_in_any_time_zone() {
    let date = "const d = new Date(Date.UTC(2024, 6, 5, 3, 4, 5, 678));";
    let case = |code: &str| format!("{date} return {code}");
    let cases = [
        ("d.toLocaleString('en-US', { timeZone: 'America/New_York' })", "7/4/2024, 11:04:05 PM"),
        ("d.toLocaleDateString('en-GB', { timeZone: 'UTC', dateStyle: 'full' })", "Friday, 5 July 2024"),
        ("d.toLocaleTimeString('en-US', { timeZone: 'Asia/Kolkata', hour12: false })", "08:34:05"),
        ("d.toLocaleDateString('en-CA', { timeZone: 'UTC' })", "2024-07-05"),
        (
            "new Intl.DateTimeFormat('en-US', { timeZone: 'europe/berlin', timeZoneName: 'short' }).format(d)",
            "7/5/2024, GMT+2",
        ),
        (
            "new Intl.DateTimeFormat('en-US', { timeZone: '-03:30', hour: 'numeric', minute: '2-digit' }).format(d)",
            "11:34 PM",
        ),
        (
            "new Intl.DateTimeFormat('en-US', { timeZone: 'UTC', hour: '2-digit', fractionalSecondDigits: 3, second: 'numeric', minute: 'numeric', hourCycle: 'h23' }).format(d)",
            "03:04:05.678",
        ),
        (
            "new Intl.DateTimeFormat('en-US', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(d).map((p) => `${p.type}=${p.value}`)",
            "month=07,literal=/,day=05,literal=/,year=2024",
        ),
        (
            "JSON.stringify(Intl.DateTimeFormat('de', { timeZone: 'Europe/Berlin' }).resolvedOptions())",
            r#"{"locale":"en-US","calendar":"gregory","numberingSystem":"latn","timeZone":"Europe/Berlin","year":"numeric","month":"numeric","day":"numeric"}"#,
        ),
        ("Intl.DateTimeFormat.supportedLocalesOf(['de', 'en-us', 'en'])", "en-US,en"),
        ("typeof Intl.DateTimeFormat().resolvedOptions().timeZone", "string"),
        (
            "new Intl.DateTimeFormat('en', { timeZone: 'Mars/Olympus' })",
            "RangeError: Invalid time zone specified: Mars/Olympus",
        ),
        ("new Intl.DateTimeFormat('en').format(NaN)", "RangeError: Invalid time value"),
        ("new Date(NaN).toLocaleString('en')", "Invalid Date"),
        ("new Date(d.toLocaleString('en-US', { timeZone: 'UTC' })) - new Date(2024, 6, 5, 3, 4, 5)", "0"),
        ("Intl.supportedValuesOf('timeZone').includes('Europe/Berlin')", "true"),
        // Without a locale these are the reference's.
        ("new Date(2024, 0, 2, 13, 4, 5).toLocaleString()", "01/02/2024, 13:04:05"),
        (
            "new Date(2024, 0, 2).toLocaleDateString() + new Date(2024, 0, 2).toLocaleTimeString()",
            "01/02/202400:00:00",
        ),
        ("[Date.prototype.toLocaleString.length, Date.prototype.toLocaleString.name]", "0,toLocaleString"),
    ];
    for (code, expected) in cases {
        expect(&[(&case(code), expected)]);
    }
}

/// What a virtual user that uses none of it pays for all of this.
#[test]
fn what_is_not_used_takes_hardly_any_memory() {
    let runtime = rquickjs::Runtime::new().unwrap();
    let context = rquickjs::Context::full(&runtime).unwrap();
    let before = runtime.memory_usage().malloc_size;
    context.with(|ctx| install(&ctx).unwrap());
    let taken = runtime.memory_usage().malloc_size - before;
    assert!(taken < 2048, "{taken} bytes");
}
