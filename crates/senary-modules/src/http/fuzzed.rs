//! What holds for the texts and bodies that servers send, whatever is in them. For the fuzz target and tests like it.

use std::cell::Cell;

use super::cookie::{self, SetCookie};
use super::gjson::{self, Search};
use super::jar::CookieJar;
use super::{compression, header, redirect};
use crate::go_url::Url;

/// What a search in JSON may take here: bytes, and steps. A test must not take long for one path.
const ROOM: usize = 1 << 22;
const STEPS: usize = 50_000;

/// A `Set-Cookie` of a response to that URL: what is kept is sent back as it was, and to nobody else.
pub fn cookie(url: &str, set_cookie: &str) {
    let jar = CookieJar::default();
    let Ok(url) = Url::parse(url) else { return };
    jar.store(&url, [set_cookie]);
    if let Some(sent) = jar.header_for(&url) {
        assert!(!sent.contains(char::is_control), "{sent:?}");
    }
    let Some(read) = SetCookie::parse(set_cookie) else {
        assert_eq!(jar.header_for(&url), None);
        return;
    };
    let again = SetCookie::parse(&cookie::pair(&read.name, &read.value)).expect("what was a cookie is one");
    assert_eq!((again.name, again.value), (read.name.clone(), read.value));
    let elsewhere = Url::parse("https://elsewhere.invalid/").expect("a URL");
    if !"elsewhere.invalid"
        .ends_with(url.host_name().trim_end_matches('.').rsplit('.').next().unwrap_or_default())
    {
        assert_eq!(jar.header_for(&elsewhere), None);
    }
    jar.delete(&url, &read.name);
    assert_eq!(jar.header_for(&url), None);
}

/// A `Location` of a response to that URL: where it leads can be written down and read again, breaks no request, and learns no secrets.
pub fn redirect(url: &str, location: &str, status: u16) {
    let Ok(from) = Url::parse(url) else { return };
    let Some(Ok(next)) = redirect::of(status, location, &"POST".into(), &from) else { return };
    let written = next.url.to_string();
    let read = Url::parse(&written).unwrap_or_else(|error| panic!("{error} from {location:?}"));
    assert_eq!(read.to_string(), written);
    let given: Vec<_> =
        ["Authorization", "Cookie", "Content-Type"].map(|n| (n.to_owned(), n.to_owned())).into();
    let headers = redirect::headers(&given, &from, &from, &next, location);
    let (host, first) = (next.url.host_name(), from.host_name());
    if host != first && !host.ends_with(&format!(".{first}")) {
        assert_eq!(header::get(&headers, "Authorization"), None);
        assert_eq!(header::get(&headers, "Cookie"), None);
    }
    for (name, value) in &headers {
        assert_eq!(header::refusal(name, value), None);
        assert_eq!(header::canonical(&header::canonical(name)), header::canonical(name));
    }
    if let Ok(target) = next.url.target() {
        let breaks = |text: &str| text.contains(|c: char| c == ' ' || c.is_control());
        assert!(!breaks(&target.path) && target.path.starts_with('/'), "{target:?}");
        assert!(!breaks(&target.authority) && !breaks(&target.host), "{target:?}");
    }
}

/// A body under that `Content-Encoding`: it does not become longer than what may be kept.
pub fn body(encoding: &str, body: &[u8], limit: usize) {
    if let Some(Ok(decoded)) = compression::decode(encoding, body, limit) {
        assert!(decoded.len() <= limit);
    }
}

/// A selector and the JSON that a server sends: what is found is the same each time, and is no more than there is room for.
pub fn selector(path: &str, json: &[u8]) {
    let expected = serde_json::from_slice(json).ok();
    let search = || {
        let left = Cell::new(STEPS);
        let may_go_on = move || left.replace(left.get().saturating_sub(1)) > 0;
        let search = Search::new(ROOM, &may_go_on);
        let json = search.read(json);
        if search.ended().is_none() {
            assert_eq!(json, expected);
        }
        let text = gjson::get(&search, &json?, path).and_then(|found| search.text_of(&found));
        assert!(search.ended().is_none() || text.is_none());
        text
    };
    let text = search();
    assert_eq!(search(), text);
    if let Some(text) = text {
        assert!(text.len() <= ROOM);
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(read) => assert_eq!(read.to_string(), text),
            // A path may put what is nested deeply into more.
            Err(error) => assert!(error.to_string().contains("recursion limit"), "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cookie_is_read(
            host in "[a-z]{1,3}(\\.[a-z]{1,3}){0,2}|127\\.0\\.0\\.1", path in "[a-z/]{0,6}",
            cookie in "[a-b]{1,2}=[ -~é]{0,6}(; ?(Domain=[.a-z0-9]{0,8}|Path=[/a-z]{0,4}|Max-Age=[-0-9]{1,3}|Expires=[ -~]{0,20}|Secure))*",
        ) {
            super::cookie(&format!("https://{host}/{path}"), &cookie);
        }

        #[test]
        fn any_redirect_is_read(
            location in "((https?:)?//[a-z@:.\\[\\]0-9]{0,9})?[ -~é]{0,12}", status in 300..310u16,
        ) {
            super::redirect("https://user:secret@first.test:8443/a/b/../c?d#e", &location, status);
        }

        #[test]
        fn any_body_and_selector_are_read(
            body in proptest::collection::vec(any::<u8>(), 0..100),
            path in r#"[a-b.#|@(){}\[\]"=<>!%*?\\~: 0-9]{0,20}"#,
        ) {
            for encoding in ["gzip", "deflate", "br", "zstd", "gzip,br"] {
                super::body(encoding, &body, 1000);
            }
            super::selector(&path, br#"{"a":[{"b":1},{"b":"x"},[[2]]],"b":{"a":null}}"#);
        }
    }
}
