//! The messages for modules that cannot be imported: removed from k6, not available in Senary yet, or unknown to both.

/// Modules of the reference that Senary does not have, and what to do instead.
const NOT_HERE: [(&str, &str); 7] = [
    ("k6/browser", "run tests of a browser with k6, and send the requests that the pages make with k6/http"),
    ("k6/net/grpc", "call the service through its HTTP gateway with k6/http, or run this test with k6"),
    ("k6/x/dns", "ask the name server over TCP with the framing \"dns\" of senary/tcp"),
    ("k6/x/icmp", "measure the connect to a TCP port with k6/x/tcp, or run this test with k6"),
    ("k6/x/mqtt", "speak MQTT with the framing \"mqtt\" of senary/tcp, as docs/protocols.md shows"),
    ("k6/x/redis", "speak Redis with the framing \"resp\" of senary/tcp, as docs/protocols.md shows"),
    ("k6/x/tls", "connect with senary/tcp and read the certificate from the property tls of its Socket"),
];

/// Modules the reference no longer has, and what took their place.
const REMOVED: [(&str, &str); 6] = [
    ("k6/experimental/browser", "it is k6/browser now"),
    ("k6/experimental/grpc", "it is k6/net/grpc now"),
    ("k6/experimental/redis", "it is the extension k6/x/redis now"),
    (
        "k6/experimental/timers",
        "use k6/timers, or the global functions setTimeout, setInterval, clearTimeout and clearInterval",
    ),
    ("k6/experimental/tracing", "use https://jslib.k6.io/http-instrumentation-tempo"),
    ("k6/experimental/webcrypto", "use the global object crypto"),
];

/// The message for an import of a native module that is not there.
pub fn why_missing(name: &str) -> String {
    if let Some((_, instead)) = REMOVED.iter().find(|(removed, _)| *removed == name) {
        return format!("the module {name} has been removed: {instead}. Change the import in your script.");
    }
    if let Some((_, instead)) = NOT_HERE.iter().find(|(missing, _)| *missing == name) {
        return format!("unknown module {name:?}: Senary does not have it; {instead}");
    }
    let more = match name.starts_with("k6/x/") {
        true => {
            ". It loads no extensions: speak their protocols over TCP with senary/tcp, or run this test with k6"
        }
        false => "",
    };
    format!("unknown module {name:?}: Senary has no such module; check the name in the import{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told() {
        let grpc = why_missing("k6/net/grpc");
        assert!(grpc.starts_with(r#"unknown module "k6/net/grpc": Senary does not have it; call"#), "{grpc}");
        assert!(why_missing("k6/experimental/redis").contains("k6/x/redis"));
        assert!(why_missing("k6/x/nope").contains("It loads no extensions: speak their protocols"));
        assert!(why_missing("k6/nope").contains("no such module; check the name"));
    }

    #[test]
    fn what_is_there_is_not_missing() {
        for name in NOT_HERE.iter().chain(&REMOVED).map(|(name, _)| name) {
            assert!(crate::MODULES.get(name).is_none(), "{name}");
        }
    }
}
