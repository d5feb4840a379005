//! `--http-debug`: heads, or whole requests and responses, in the log.

use senary_js::settings::HttpDebug;

/// At most this many bytes of a body are logged.
const MAX_BODY: usize = 1 << 20;

/// Logs a request that is about to be sent, or was.
pub fn request(debug: HttpDebug, id: &str, head: &str, body: &[u8]) {
    log(debug, "Request", id, head, body);
}

pub fn response(debug: HttpDebug, id: &str, head: &str, body: &[u8]) {
    log(debug, "Response", id, head, body);
}

fn log(debug: HttpDebug, what: &str, id: &str, head: &str, body: &[u8]) {
    if debug == HttpDebug::Off {
        return;
    }
    let head = head.replace("\r\n", "\n");
    let head = head.trim_end();
    let body = match debug {
        HttpDebug::Full if !body.is_empty() => {
            let shown = &body[..body.len().min(MAX_BODY)];
            format!("{}\n", String::from_utf8_lossy(shown).replace("\r\n", "\n"))
        }
        _ => String::new(),
    };
    log::info!(request_id = id; "{what}:\n{head}\n\n{body}");
}

/// A name that a request and its response share in the log.
pub fn new_id() -> String {
    let mut random = [0_u8; 16];
    // Without random numbers nothing else works either.
    let _ = getrandom::fill(&mut random);
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
