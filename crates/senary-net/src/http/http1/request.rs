//! The head of a request, as it is written.

use super::body::has_token;
use super::head::is_token;
use crate::http::error::HttpError;
use crate::http::request::HttpRequest;

/// Fields that this client writes itself, whatever the caller gives.
const OWN: [&str; 5] = ["Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer"];

/// Whether a request can be written at all. The texts are the reference's.
pub fn check(request: &HttpRequest) -> Result<(), HttpError> {
    let wrong = |text: String| Err(HttpError::Request(text));
    if request.method.is_empty() || !request.method.bytes().all(is_token) {
        return wrong(format!("net/http: invalid method {:?}", request.method));
    }
    let is_control = |c: u8| c <= b' ' || c == 0x7f;
    if request.target.path.bytes().any(is_control) || request.target.authority.bytes().any(is_control) {
        return wrong("net/http: can't write control character in Request.URL".to_owned());
    }
    for (name, value) in request.headers.iter() {
        if name.is_empty() || !name.bytes().all(is_token) {
            return wrong(format!("net/http: invalid header field name {name:?}"));
        }
        if value.bytes().any(|c| c.is_ascii_control() && c != b'\t') {
            return wrong(format!("net/http: invalid header field value for {name:?}"));
        }
    }
    Ok(())
}

/// What is left of a value on the wire.
pub fn field_value(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Whether the connection is to be closed after the request, which is written into it.
pub(super) fn closes(request: &HttpRequest) -> bool {
    has_token(&request.headers, "close")
}

/// The request line and the fields. `proxied`: for a proxy, which is given the whole URL, and what it asks of its clients.
pub(super) fn head(request: &HttpRequest, close: bool, proxied: Option<Option<&str>>) -> Vec<u8> {
    let HttpRequest { method, target, headers, body, .. } = request;
    let host = headers.get("Host").unwrap_or(&target.authority);
    let mut head = Vec::with_capacity(
        64 + method.len() + target.path.len() + host.len() + headers.size() + 4 * headers.len(),
    );
    let mut put = |parts: &[&str]| parts.iter().for_each(|part| head.extend_from_slice(part.as_bytes()));
    match proxied {
        Some(_) => put(&[method, " http://", &target.authority, &target.path, " HTTP/1.1\r\n"]),
        None => put(&[method, " ", &target.path, " HTTP/1.1\r\n"]),
    }
    let mut field = |name: &str, value: &str| put(&[name, ": ", field_value(value), "\r\n"]);
    field("Host", host);
    if let Some(agent) = headers.get("User-Agent").filter(|agent| !agent.is_empty()) {
        field("User-Agent", agent);
    }
    if close && !closes(request) {
        field("Connection", "close");
    }
    let length = body.as_ref().map_or(0, |body| body.len());
    if length > 0 || matches!(&**method, "POST" | "PUT" | "PATCH") {
        field("Content-Length", itoa::Buffer::new().format(length));
    }
    if let Some(Some(authorization)) = proxied {
        field("Proxy-Authorization", authorization);
    }
    for (name, value) in headers.iter() {
        if !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            field(name, value);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::http::headers::Headers;
    use crate::http::request::{HttpTarget, ResponseBody};

    fn request(method: &str, headers: &[(&str, &str)], body: Option<&'static str>) -> HttpRequest {
        HttpRequest {
            method: method.to_owned().into(),
            target: Rc::new(HttpTarget {
                secure: false,
                host: "host.test".to_owned(),
                port: 81,
                path: "/a?b".to_owned(),
                authority: "host.test:81".to_owned(),
            }),
            headers: headers.iter().copied().collect::<Headers>().into(),
            body: body.map(|body| body.as_bytes().into()),
            deadline: None,
            response_body: ResponseBody::Keep,
            max_body: 1000,
            connection: None,
        }
    }

    fn written(request: &HttpRequest, close: bool, proxied: Option<Option<&str>>) -> String {
        check(request).unwrap();
        String::from_utf8(head(request, close, proxied)).unwrap()
    }

    #[test]
    fn a_head_is_written_as_the_reference_writes_it() {
        let get = request("GET", &[("Accept", "*/*"), ("user-agent", "me"), ("x-Own", " v ")], None);
        let text =
            "GET /a?b HTTP/1.1\r\nHost: host.test:81\r\nUser-Agent: me\r\nAccept: */*\r\nx-Own: v\r\n\r\n";
        assert_eq!(written(&get, false, None), text);
        let own = [("Host", "other"), ("Content-Length", "9"), ("Transfer-Encoding", "chunked")];
        let text = "POST /a?b HTTP/1.1\r\nHost: other\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(written(&request("POST", &own, Some("ab")), true, None), text);
        let text = "PUT http://host.test:81/a?b HTTP/1.1\r\nHost: host.test:81\r\nContent-Length: 0\r\nProxy-Authorization: Basic x\r\n\r\n";
        assert_eq!(written(&request("PUT", &[], Some("")), false, Some(Some("Basic x"))), text);
        let text = "DELETE /a?b HTTP/1.1\r\nHost: host.test:81\r\nConnection: Close\r\n\r\n";
        assert_eq!(written(&request("DELETE", &[("Connection", "Close")], Some("")), true, None), text);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let refused = |request: &HttpRequest| check(request).unwrap_err().to_string();
        assert_eq!(refused(&request("GE T", &[], None)), "net/http: invalid method \"GE T\"");
        assert_eq!(
            refused(&request("GET", &[("a b", "")], None)),
            "net/http: invalid header field name \"a b\""
        );
        assert_eq!(
            refused(&request("GET", &[("a", "b\r\nc: d")], None)),
            "net/http: invalid header field value for \"a\""
        );
        let mut split = request("GET", &[], None);
        Rc::make_mut(&mut split.target).path = "/ HTTP/1.1".to_owned();
        assert_eq!(refused(&split), "net/http: can't write control character in Request.URL");
    }
}
