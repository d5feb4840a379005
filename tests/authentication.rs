//! Digest and NTLM against servers that know the password and work the answer out themselves.

use senary_testkit::{Account, DigestGuard, NtlmGuard, Outcome, Program, Site};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");
const ACCOUNT: Account = Account { user: "jo \"é", password: "p@ss:wörd" };
/// The same in a URL.
const USER: &str = "jo%20%22%C3%A9";
const PASSWORD: &str = "p%40ss%3Aw%C3%B6rd";

/// Asks twice as somebody, first with a body, and says what came of it.
fn run(site: &Site, user: &str, auth: &str) -> Outcome {
    let script = "import http from 'k6/http'
const url = __ENV.URL, params = { auth: __ENV.AUTH }
const say = (r) => console.log('>', r.status, r.error_code, r.body, r.timings.duration > 0)
export default function () {
  say(http.post(url, 'a body', params))
  say(http.get(url, params))
}";
    let url = site.url.replace("://", &format!("://{user}@")) + "/deep/page?a=b%20c";
    let outcome = Program::script(BINARY, script).env("URL", url).env("AUTH", auth).run();
    outcome.expect_code(0);
    outcome
}

fn said(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter_map(|line| line.strip_prefix("> ")).collect()
}

fn welcomes() -> [String; 2] {
    ["a body", ""].map(|body| format!("200 0 {} is in: {body} true", ACCOUNT.user))
}

#[test]
fn each_kind_of_digest_is_accepted() {
    for (algorithm, qop, userhash) in [
        ("", "", false),
        ("MD5", "auth", false),
        ("MD5-sess", "auth", false),
        ("SHA-256", "auth, auth-int", false),
        ("SHA-256-sess", "auth", true),
        ("SHA-512-256", "auth", true),
        ("MD5", "auth-int", false),
    ] {
        let guard = DigestGuard { account: ACCOUNT, algorithm, qop, userhash };
        let site = Site::start(move |asked| guard.answer(asked));
        let outcome = run(&site, &format!("{USER}:{PASSWORD}"), "digest");
        assert_eq!(said(&outcome), welcomes(), "{algorithm} {qop}");
        // Each request is challenged first; that is no failure.
        outcome.expect_value("http_reqs", "count", 4.0).expect_value("http_req_failed", "passes", 0.0);
        let asked = site.asked();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|asked| asked.connection == 0), "one connection serves all");
    }
}

#[test]
fn a_wrong_password_is_refused_once() {
    for (user, requests) in [(format!("{USER}:guess"), 4.0), ("other:p".to_owned(), 4.0)] {
        let guard = DigestGuard { account: ACCOUNT, algorithm: "MD5", qop: "auth", userhash: false };
        let site = Site::start(move |asked| guard.answer(asked));
        let outcome = run(&site, &user, "digest");
        assert_eq!(said(&outcome), ["401 1401 no true"; 2]);
        outcome.expect_value("http_reqs", "count", requests).expect_value("http_req_failed", "passes", 2.0);
    }
}

#[test]
fn a_connection_is_authenticated_with_ntlm() {
    for (domain, tells_time, offers) in [
        ("", false, &["NTLM"][..]),
        ("", true, &["Basic realm=\"x\"", "NTLM"]),
        ("DOMAIN", true, &["Negotiate", "NTLM"]),
    ] {
        let guard = NtlmGuard::new(ACCOUNT, domain, tells_time, offers);
        let site = Site::start(move |asked| guard.answer(asked));
        let name = if domain.is_empty() { USER.to_owned() } else { format!("{domain}%5C{USER}") };
        let outcome = run(&site, &format!("{name}:{PASSWORD}"), "ntlm");
        assert_eq!(said(&outcome), welcomes(), "{domain} {tells_time}");
        outcome.expect_value("http_req_failed", "passes", 0.0);
        // The three messages go over the same connection.
        let asked = site.asked();
        assert!(asked.iter().all(|asked| asked.connection == 0), "{asked:?}");
        let authorizations = asked.iter().map(|asked| asked.header("authorization"));
        assert!(authorizations.clone().any(|value| value.contains(" TlRMTVNTUAAB")));
        assert!(authorizations.clone().any(|value| value.contains(" TlRMTVNTUAAD")));
    }
}

#[test]
fn a_wrong_password_for_ntlm_is_an_answer_too() {
    let guard = NtlmGuard::new(ACCOUNT, "", true, &["NTLM"]);
    let site = Site::start(move |asked| guard.answer(asked));
    let outcome = run(&site, &format!("{USER}:guess"), "ntlm");
    assert_eq!(said(&outcome), ["403 1403 wrong true"; 2]);
    outcome.expect_value("http_req_failed", "passes", 2.0);
}
