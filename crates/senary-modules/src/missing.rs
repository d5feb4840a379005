//! What to say of modules that cannot be had: removed from k6, not there yet in Senary, or unknown to both.

/// Modules of the reference that Senary does not have yet.
const NOT_YET: [&str; 11] = [
    "k6/browser",
    "k6/experimental/websockets",
    "k6/http",
    "k6/net/grpc",
    "k6/websockets",
    "k6/ws",
    "k6/x/dns",
    "k6/x/icmp",
    "k6/x/mqtt",
    "k6/x/redis",
    "k6/x/tls",
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
    if NOT_YET.contains(&name) {
        return format!("unknown module {name:?}: Senary does not support {name} yet");
    }
    format!(
        "unknown module {name:?}: Senary has no such module, and does not load extensions; check the name in the import"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told() {
        assert_eq!(
            why_missing("k6/http"),
            r#"unknown module "k6/http": Senary does not support k6/http yet"#
        );
        assert!(why_missing("k6/experimental/redis").contains("k6/x/redis"));
        assert!(why_missing("k6/x/nope").contains("no such module"));
    }

    #[test]
    fn what_is_there_is_not_missing() {
        for name in NOT_YET.iter().chain(REMOVED.iter().map(|(name, _)| name)) {
            assert!(crate::MODULES.get(name).is_none(), "{name}");
        }
    }
}
