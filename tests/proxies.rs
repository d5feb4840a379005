//! Proxies that the environment names: of HTTP and of SOCKS5, plain and over TLS, in front of plain and encrypted servers; for requests,
//! for WebSockets and for what is imported.

use senary_testkit::{
    Behaviour, Certificate, Outcome, Program, Proxy, ProxyManner, Reply, Server, Site, WebSocketPeer,
};

const BINARY: &str = env!("CARGO_BIN_EXE_senary");

/// A script that asks `modules.test`, a name that only the proxy can reach.
const ASKS: &str = "import http from 'k6/http'
export const options = { iterations: 2, vus: 1 }
export default function () {
  const r = http.get(`${__ENV.SCHEME}://modules.test:${__ENV.PORT}/page`, { timeout: 5000 })
  console.log('>', r.status, r.error_code, r.error, r.body)
}";

fn said(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter_map(|line| line.strip_prefix("> ")).collect()
}

/// Runs a script with both variables set to this.
fn run(script: &str, proxy: &str, site: &str, args: &[&str]) -> Outcome {
    let (scheme, rest) = site.split_once("://").expect("a URL");
    let port = rest.rsplit(':').next().expect("a port");
    let program = Program::script(BINARY, script).file("ca.pem", Certificate::authority_pem());
    let program = program.env("SSL_CERT_FILE", "ca.pem").env("HTTP_PROXY", proxy).env("https_proxy", proxy);
    program.env("SCHEME", scheme).env("PORT", port).args(args.iter().copied()).run()
}

fn start(encrypted: bool, manner: ProxyManner) -> Proxy {
    if encrypted { Proxy::start_tls(manner) } else { Proxy::start(manner) }
}

fn site(encrypted: bool) -> Site {
    let answer =
        |asked: &senary_testkit::Asked| Reply::ok(format!("{}|{}", asked.path, asked.header("x-via")));
    if encrypted { Site::start_tls(answer) } else { Site::start(answer) }
}

#[test]
fn each_kind_of_proxy_leads_to_each_kind_of_server() {
    for (scheme, encrypted) in [("http", false), ("https", true), ("socks5", false), ("socks5h", false)] {
        for secure in [false, true] {
            for (manner, user) in [(ProxyManner::Open, ""), (ProxyManner::Asks, "user:p%40ss@")] {
                let (proxy, site) = (start(encrypted, manner), site(secure));
                let port = proxy.address().port();
                let outcome = run(ASKS, &format!("{scheme}://{user}127.0.0.1:{port}"), &site.url, &[]);
                let forwarded = !secure && scheme.starts_with("http");
                let line = if forwarded { "200 0  /page|proxy" } else { "200 0  /page|" };
                outcome.expect_code(0).expect_value("http_reqs", "count", 2.0);
                assert_eq!(said(&outcome), [line; 2], "{scheme} {secure} {manner:?}");
                let to = site.url.rsplit(':').next().expect("a port");
                let asked = proxy.asked();
                // A tunnel is made once; requests that are forwarded are each seen.
                let (count, line) = match (forwarded, scheme) {
                    (true, _) => (2, format!("GET http://modules.test:{to}/page HTTP/1.1")),
                    (false, "http" | "https") => (1, format!("CONNECT modules.test:{to} HTTP/1.1")),
                    _ => (1, format!("SOCKS modules.test:{to}")),
                };
                let user = match (manner, scheme) {
                    (ProxyManner::Open, _) => "",
                    (_, "http" | "https") => " Basic dXNlcjpwQHNz",
                    _ => " user:p@ss",
                };
                assert_eq!(asked, vec![format!("{line}{user}"); count], "{scheme} {secure}");
            }
        }
    }
}

#[test]
fn a_proxy_that_does_not_serve_is_an_error_of_the_request() {
    for (manner, scheme, text) in [
        (ProxyManner::Asks, "http", "0 1000 Who are you"),
        (ProxyManner::Refuses, "http", "0 1000 Not today"),
        (ProxyManner::Breaks, "http", "0 1000 unexpected EOF"),
        (ProxyManner::Babbles, "http", "0 1000 the proxy answered CONNECT with more than 16384 bytes"),
        (ProxyManner::Asks, "socks5", "no acceptable authentication methods"),
        (ProxyManner::Refuses, "socks5", "unknown error host unreachable"),
        (ProxyManner::Breaks, "socks5", "0 1000 unexpected EOF"),
        (ProxyManner::Open, "https", "0 1300 "),
    ] {
        let (proxy, site) = (Proxy::start(manner), site(true));
        let url = format!("{scheme}://127.0.0.1:{}", proxy.address().port());
        let outcome = run(ASKS, &url, &site.url, &[]);
        outcome.expect_code(0).expect_value("http_reqs", "count", 2.0);
        outcome.expect_value("http_req_failed", "passes", 2.0);
        for line in said(&outcome) {
            assert!(line.contains(text), "{manner:?} {scheme}: {line}");
        }
        assert!(site.asked().is_empty());
    }
    let outcome = run(ASKS, "ftp://127.0.0.1:1", "http://127.0.0.1:1", &[]);
    outcome.expect_code(0).expect_text("\"ftp://127.0.0.1:1\" is not a usable proxy");
}

#[test]
fn what_no_proxy_names_is_asked_directly() {
    let (proxy, site) = (Proxy::start(ProxyManner::Refuses), site(false));
    let script = ASKS.replace("iterations: 2", "iterations: 1, hosts: { 'modules.test': '127.0.0.1' }");
    let url = format!("socks5://127.0.0.1:{}", proxy.address().port());
    let port = site.url.rsplit(':').next().expect("a port");
    let program = Program::script(BINARY, &script).env("HTTP_PROXY", &url).env("NO_PROXY", ".test");
    let outcome = program.env("SCHEME", "http").env("PORT", port).run();
    outcome.expect_code(0);
    assert_eq!((said(&outcome), proxy.asked()), (vec!["200 0  /page|"], Vec::new()));
}

#[test]
fn websockets_go_through_a_tunnel() {
    let script = |import: &str, call: &str| {
        format!(
            "{import}
            const url = `${{__ENV.SCHEME}}://modules.test:${{__ENV.PORT}}/x`
            const hello = (ws) => {{ ws.send('hello') }}
            export default function () {{ {call} }}"
        )
    };
    for (import, call) in [
        (
            "import { WebSocket } from 'k6/websockets'",
            "const ws = new WebSocket(url)
            ws.onopen = () => hello(ws)
            ws.onerror = (e) => console.log('>', e.error)
            ws.onmessage = (e) => { console.log('>', e.data); ws.close() }",
        ),
        (
            "import ws from 'k6/ws'",
            "const r = ws.connect(url, {}, (ws) => {
              ws.on('open', () => hello(ws))
              ws.on('message', (data) => { console.log('>', data); ws.close() })
            })
            if (r.error) console.log('>', r.error)",
        ),
    ] {
        let script = script(import, call);
        for (scheme, encrypted) in [("http", false), ("https", true), ("socks5", false)] {
            for secure in [false, true] {
                let peer = Behaviour::WebSocket(WebSocketPeer::Echo);
                let (name, server) = match secure {
                    true => ("wss", Server::start_tls(peer, Certificate::Valid)),
                    false => ("ws", Server::start(peer)),
                };
                let proxy = start(encrypted, ProxyManner::Asks);
                let url = format!("{scheme}://user:p%40ss@127.0.0.1:{}", proxy.address().port());
                let outcome = run(&script, &url, &format!("{name}://127.0.0.1:{}", server.port()), &[]);
                outcome.expect_code(0).expect_value("ws_sessions", "count", 1.0);
                assert_eq!(said(&outcome), ["hello"], "{scheme} {name} {import}");
                assert_eq!(proxy.asked().len(), 1);
                assert!(server.all_closed(std::time::Duration::from_secs(10)));
            }
        }
        let proxy = Proxy::start(ProxyManner::Refuses);
        let url = format!("http://127.0.0.1:{}", proxy.address().port());
        let outcome = run(&script, &url, "ws://127.0.0.1:7", &[]);
        assert_eq!(said(&outcome), ["Not today"]);
    }
}

/// The other client, of what happens around a test.
#[test]
fn modules_come_through_each_kind_of_proxy() {
    for (scheme, encrypted) in [("http", false), ("https", true), ("socks5", false)] {
        let proxy = start(encrypted, ProxyManner::Asks);
        let site = Site::start_tls(|_| Reply::ok("export const hello = 'from afar'"));
        let port = site.url.rsplit(':').next().expect("a port");
        let script = format!(
            "import {{ hello }} from 'https://modules.test:{port}/hello.js'\nexport default () => console.log('>', hello)"
        );
        let url = format!("{scheme}://user:p%40ss@127.0.0.1:{}", proxy.address().port());
        let outcome = run(&script, &url, &site.url, &[]);
        outcome.expect_code(0);
        assert_eq!(said(&outcome), ["from afar"], "{scheme}");
        assert_eq!(proxy.asked().len(), 1);
    }
}
