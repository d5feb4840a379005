//! No example, and no template of `senary new`, is green with a server that is no good, and the first thing told is the cause.

use std::net::SocketAddr;

use senary_testkit::{Behaviour, Certificate, Outcome, Program, Reply, Server, Site, WebSocketPeer};

use super::{BINARY, BOUND, section};

/// What a script speaks with its server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Tcp,
    Tls,
    Http,
    WebSocket,
}

/// A script of the project, whose options say that it is strict, and a server as it wants one.
struct Subject {
    name: String,
    script: String,
    speaks: Speaks,
    behaviour: Behaviour,
    /// For several iterations, in a short time.
    arguments: &'static [&'static str],
}

/// The site of a shop, as an example wants it; it lives until the test ends.
fn shop() -> SocketAddr {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/login" => Reply::ok(r#"{"token":"t"}"#),
        "/products" => Reply::ok(r#"{"products":[{"id":1},{"id":2}]}"#),
        "/orders" => Reply::page(201, &[], &asked.body),
        _ => Reply::ok("<title>Shop</title>"),
    });
    let (_, address) = site.url.split_once("://").expect("a URL");
    address.parse().expect("an address")
}

impl Subject {
    fn new(name: &str, script: String) -> Self {
        let imports = |module: &str| ['"', '\''].iter().any(|q| script.contains(&format!("{q}{module}{q}")));
        let speaks = if imports("k6/http") {
            Speaks::Http
        } else if imports("k6/ws") || imports("k6/websockets") {
            Speaks::WebSocket
        } else if name == "tls.js" {
            Speaks::Tls
        } else {
            Speaks::Tcp
        };
        let behaviour = match (name, speaks) {
            ("redis.js", _) => Behaviour::Resp,
            ("smtp.js", _) => Behaviour::Smtp,
            (_, Speaks::Http) => Behaviour::Relay(shop()),
            (_, Speaks::WebSocket) => Behaviour::WebSocket(WebSocketPeer::Echo),
            (_, Speaks::Tcp | Speaks::Tls) => Behaviour::Echo,
        };
        let arguments: &[&str] = match (name, speaks) {
            // Their own options say so.
            ("options-and-tags.js", _) | (_, Speaks::Http | Speaks::WebSocket) => &[],
            ("load-test.js", _) => &["-e", "RATE=20", "-e", "DURATION=1s"],
            // The server has to be silent for more than five times as long as the machine may have stood still before.
            ("shop.js", _) => &["-e", "DURATION=4s", "--no-thresholds"],
            ("template protocol", _) => &["--duration=1s"],
            _ => &["--vus=4", "--iterations=4"],
        };
        Self { name: name.to_owned(), script, speaks, behaviour, arguments }
    }

    /// `encrypts`: where that is for the script's user to say.
    fn run(&self, address: SocketAddr, encrypts: bool) -> Outcome {
        self.program(address, encrypts).run()
    }

    /// With a good server; how quick it is depends on the machine.
    fn expect_green(&self, server: &Server, encrypts: bool) {
        let program = self.program(server.address(), encrypts);
        let is_untimed = self.arguments.contains(&"--no-thresholds");
        let program = if is_untimed { program } else { program.arg("--no-thresholds") };
        program.run().expect_code(0);
    }

    fn program(&self, address: SocketAddr, encrypts: bool) -> Program {
        let program = Program::script(BINARY, &self.script).args(self.arguments.iter().copied());
        let s = if encrypts { "s" } else { "" };
        let program = program.env("BASE_URL", format!("http{s}://{address}"));
        let program = program.env("WS_URL", format!("ws{s}://{address}/"));
        let program = program.file("ca.pem", Certificate::authority_pem()).env("SSL_CERT_FILE", "ca.pem");
        program.env("TCP_HOST", address.ip()).env("TCP_PORT", address.port()).within(BOUND)
    }

    fn serve(&self, behaviour: Behaviour) -> Server {
        match self.speaks {
            Speaks::Tls => Server::start_tls(behaviour, Certificate::Valid),
            Speaks::Tcp | Speaks::Http | Speaks::WebSocket => Server::start(behaviour),
        }
    }

    /// The run is red, and the first thing told is the cause.
    fn expect_red(&self, fault: &str, outcome: &Outcome, cause: &[&str]) {
        let first = section(outcome).first().copied().unwrap_or_default().to_owned();
        let is_red = matches!(outcome.code(), Some(99 | 107 | 121)) && !first.is_empty();
        if !is_red || !cause.iter().all(|word| first.contains(word)) {
            outcome.fail(&format!("{} with a server that {fault}: {cause:?} expected", self.name));
        }
    }

    fn meet(&self, fault: &str, server: &Server, cause: &[&str]) {
        self.expect_red(fault, &self.run(server.address(), false), cause);
    }

    /// Meets a good server, and every kind of bad one, all at the same time.
    fn meet_all(&self) {
        let server = self.serve(self.behaviour.clone());
        self.expect_green(&server, false);
        let half = server.bytes() / 2;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let server = self.serve(self.behaviour.clone());
                server.freezes_after(half);
                let peer = server.address().to_string();
                let cause = match self.speaks {
                    Speaks::Tcp | Speaks::Tls => [peer.as_str(), " for "],
                    Speaks::Http => ["request timeout", ""],
                    Speaks::WebSocket => [peer.as_str(), ""],
                };
                self.meet("freezes in mid-run", &server, &cause);
            });
            scope.spawn(|| {
                let server = self.serve(Behaviour::Sink);
                let peer = server.address().to_string();
                let cause = match self.speaks {
                    Speaks::Tcp | Speaks::Tls => [peer.as_str(), "has not answered for "],
                    Speaks::Http => ["request timeout", ""],
                    Speaks::WebSocket => [peer.as_str(), "connecting to"],
                };
                self.meet("never answers", &server, &cause);
            });
            scope.spawn(|| {
                let server = self.serve(Behaviour::Babbles);
                let peer = server.address().to_string();
                let cause = match self.speaks {
                    Speaks::Tcp | Speaks::Tls => [peer.as_str(), " B received"],
                    Speaks::Http | Speaks::WebSocket => ["malformed HTTP", ""],
                };
                self.meet("answers garbage", &server, &cause);
            });
            scope.spawn(|| self.meet_the_end());
            scope.spawn(|| match self.speaks {
                Speaks::Tcp => self.meet_tls_unasked(),
                Speaks::Tls => self.meet_tls_of_sockets(),
                Speaks::Http | Speaks::WebSocket => self.meet_tls_of_the_web(),
            });
        });
    }

    /// Meets one that hangs up in the middle of its first answer, one that does so at once, and then nobody.
    fn meet_the_end(&self) {
        let behaviour = Box::new(self.behaviour.clone());
        let server = self.serve(Behaviour::HangsUpAfter { behaviour, bytes: 2 });
        let address = server.address().to_string();
        let cause = match self.speaks {
            Speaks::Tcp | Speaks::Tls => [address.as_str(), "2 B received"],
            Speaks::Http | Speaks::WebSocket => ["unexpected EOF", ""],
        };
        self.meet("hangs up", &server, &cause);
        if matches!(self.speaks, Speaks::Http | Speaks::WebSocket) {
            self.meet("hangs up at once", &Server::start(Behaviour::ResetAtAccept), &["reset by peer"]);
        }
        let address = server.address();
        drop(server);
        let cause = match self.speaks {
            Speaks::Tcp | Speaks::Tls => ["connect failed ", "ECONNREFUSED"],
            Speaks::Http | Speaks::WebSocket => ["connection refused", ""],
        };
        self.expect_red("is not there", &self.run(address, false), &cause);
    }

    /// The server speaks TLS, the script does not.
    fn meet_tls_unasked(&self) {
        let server = Server::start_tls(Behaviour::Sink, Certificate::Valid);
        // It answers with an alert that is no answer, and closes: whatever comes first, the peer is named.
        self.meet("wants TLS", &server, &[&server.address().to_string()]);
    }

    fn meet_tls_of_sockets(&self) {
        self.meet(
            "says nothing to TLS",
            &Server::start(Behaviour::Sink),
            &["connect failed", "TLS handshake"],
        );
        let server = Server::start(Behaviour::Babbles);
        self.meet("speaks no TLS", &server, &["connect failed", "ERR_TLS_NOT_TLS"]);
        for (certificate, code) in [
            (Certificate::Expired, "ERR_TLS_CERT_EXPIRED"),
            (Certificate::WrongName, "ERR_TLS_CERT_ALTNAME_INVALID"),
            (Certificate::SelfSigned, "ERR_TLS_CERT_UNKNOWN_AUTHORITY"),
        ] {
            let server = Server::start_tls(self.behaviour.clone(), certificate);
            self.meet("shows a wrong certificate", &server, &["connect failed", code]);
        }
    }

    fn meet_tls_of_the_web(&self) {
        let server = Server::start_tls(self.behaviour.clone(), Certificate::Valid);
        self.expect_green(&server, true);
        let cause = if self.speaks == Speaks::WebSocket { "the server speaks TLS" } else { "malformed HTTP" };
        self.meet("wants TLS", &server, &[cause]);
        // A server of WebSocket would wait for the end of a line, and say nothing.
        let server = Server::start(Behaviour::Babbles);
        self.expect_red("speaks no TLS", &self.run(server.address(), true), &["TLS"]);
        for (certificate, cause) in [
            (Certificate::Expired, "expired"),
            (Certificate::WrongName, "certificate"),
            (Certificate::SelfSigned, "unknown authority"),
        ] {
            let server = Server::start_tls(self.behaviour.clone(), certificate);
            let outcome = self.run(server.address(), true);
            self.expect_red("shows a wrong certificate", &outcome, &[cause]);
        }
    }
}

/// All examples, and the templates of `senary new` that talk to a server.
fn subjects() -> Vec<Subject> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a script");
    let mut subjects = Vec::new();
    for entry in std::fs::read_dir(root.join("examples")).expect("examples") {
        let path = entry.expect("an example").path();
        // The scripts of real protocols have a test of their own, with servers that speak those.
        if path.is_dir() {
            continue;
        }
        subjects.push(Subject::new(
            path.file_name().expect("a name in UTF-8").to_str().expect("a name in UTF-8"),
            read(&path),
        ));
    }
    let new = |template: &str| {
        let program = Program::new(BINARY).args(["new", "--template", template, "new.js"]);
        program.within(BOUND).run()
    };
    let refused = new("none of those there are");
    let (_, templates) = refused.stderr.split_once("use ").expect("it says which there are");
    let (templates, _) = templates.split_once(", or the path").expect("all of them");
    for template in templates.split(", ") {
        let script = new(template).expect_code(0).file("new.js");
        let modules = ["k6/x/tcp", "senary/tcp", "k6/http", "k6/ws", "k6/websockets"];
        if modules.iter().any(|module| script.contains(module)) {
            subjects.push(Subject::new(&format!("template {template}"), script));
        }
    }
    subjects
}

#[test]
fn no_example_is_green_against_a_bad_server() {
    let subjects = subjects();
    assert!(subjects.len() >= 12, "all examples, and a template");
    std::thread::scope(|scope| {
        for subject in &subjects {
            scope.spawn(|| subject.meet_all());
        }
    });
}
