//! Redirects: where they lead, and which parts of a request are sent along (as in Go's client).

use senary_words::beginning;

use super::header;
use super::request::{Headers, Method};
use crate::go_url::Url;

/// Headers that another host must not see.
const SECRET: [&str; 6] =
    ["Authorization", "Www-Authenticate", "Cookie", "Cookie2", "Proxy-Authorization", "Proxy-Authenticate"];

/// Headers about a body that is not sent along.
const OF_BODY: [&str; 4] = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"];

/// The longest text, in bytes, of the error for an invalid target. The text repeats what the server sent, and it becomes a tag.
const LONGEST_ERROR: usize = 1024;

/// What a response redirects to.
#[derive(Debug, PartialEq, Eq)]
pub struct Redirect {
    pub url: Url,
    pub method: Method,
    pub keeps_body: bool,
}

/// The redirect in a response; `None` if it is not a redirect, and an error if it has no valid target.
pub fn of(status: u16, location: &str, method: &Method, url: &Url) -> Option<Result<Redirect, String>> {
    let keeps_all = match status {
        301..=303 => false,
        307 | 308 => true,
        _ => return None,
    };
    if location.is_empty() {
        return None;
    }
    let redirect = match url.join(location) {
        Ok(url) => Ok(Redirect {
            url,
            method: if keeps_all || matches!(&**method, "GET" | "HEAD") {
                method.clone()
            } else {
                "GET".into()
            },
            keeps_body: keeps_all,
        }),
        Err(error) => {
            let text = format!("failed to parse Location header {location:?}: {error}");
            Err(beginning(&text, LONGEST_ERROR).into_owned())
        }
    };
    Some(redirect)
}

/// The headers of the next request. `first` is the URL that the script asked for, `last` the one that redirected.
pub fn headers(of_first: &Headers, first: &Url, last: &Url, next: &Redirect, location: &str) -> Headers {
    let mut headers = of_first.clone();
    if !is_same_or_below(&next.url.host_name(), &first.host_name()) {
        headers.retain(|(name, _)| !SECRET.contains(&name.as_str()));
    }
    if !next.keeps_body {
        headers.retain(|(name, _)| !OF_BODY.contains(&name.as_str()));
    }
    let is_absolute = Url::parse(location).is_ok_and(|url| !url.scheme.is_empty());
    if is_absolute {
        headers.retain(|(name, _)| name != header::HOST);
    }
    if header::get(&headers, "referer").is_none() && (!last.is_secure() || next.url.is_secure()) {
        header::set(&mut headers, "Referer", last.without_user());
    }
    headers
}

fn is_same_or_below(host: &str, of: &str) -> bool {
    host == of || host.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn methods_change_as_browsers_do_it() {
        let location = "/to?x";
        for (status, method, expected, keeps_body) in [
            (301, "POST", "GET", false),
            (302, "GET", "GET", false),
            (303, "HEAD", "HEAD", false),
            (303, "DELETE", "GET", false),
            (307, "POST", "POST", true),
            (308, "PUT", "PUT", true),
        ] {
            let redirect = of(status, location, &method.into(), &url("http://h:1/a/b")).unwrap().unwrap();
            assert_eq!(
                redirect,
                Redirect { url: url("http://h:1/to?x"), method: expected.into(), keeps_body }
            );
        }
        assert!(of(200, location, &"GET".into(), &url("http://h/")).is_none());
        assert!(of(304, location, &"GET".into(), &url("http://h/")).is_none());
        assert!(of(302, "", &"GET".into(), &url("http://h/")).is_none());
        assert!(
            of(302, "http://a b/", &"GET".into(), &url("http://h/"))
                .unwrap()
                .unwrap_err()
                .contains("\"http://a b/\"")
        );
    }

    #[test]
    fn secrets_stay_with_their_host() {
        let names = |to: &str, keeps_body| {
            let given =
                ["Authorization", "Content-Type", "Host", "X-Own"].map(|n| (n.to_owned(), n.to_owned()));
            let next = Redirect {
                url: url("http://first.test/").join(to).unwrap(),
                method: "GET".into(),
                keeps_body,
            };
            let (first, last) = (url("http://first.test/"), url("http://u:p@first.test/a#f"));
            let headers = headers(&given.to_vec(), &first, &last, &next, to);
            assert_eq!(header::get(&headers, "referer"), Some("http://first.test/a"));
            headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("/b", true), "Authorization Content-Type Host X-Own Referer");
        assert_eq!(names("http://sub.first.test/", false), "Authorization X-Own Referer");
        assert_eq!(names("http://notfirst.test/", true), "Content-Type X-Own Referer");
    }

    #[test]
    fn a_secure_url_is_not_told_to_others() {
        let next = Redirect { url: url("http://h/"), method: "GET".into(), keeps_body: false };
        let headers = headers(&Vec::new(), &url("https://h/"), &url("https://h/"), &next, "http://h/");
        assert_eq!(headers, Vec::new());
    }
}
