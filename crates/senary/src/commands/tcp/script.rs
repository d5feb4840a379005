//! The script that does what the flags of `senary tcp` say.

use std::fmt::Write;
use std::rc::Rc;

use senary_modules::framing_of_json;
use senary_wire::framing::{Framing, names};
use senary_words::spelling::nearest;
use serde_json::{Map, Value, json};

use super::TcpError;
use super::escapes::{bytes_of, bytes_of_hex};
use crate::cli::TcpArgs;

const DEFAULT_FRAMING: &str = "lines";
const DEFAULT_SECONDS: f64 = 10.0;

/// Longer than any run: where the count ends it.
const NO_LIMIT: &str = "24h";

/// Makes bytes of hexadecimal digits; only in scripts whose messages are not text.
const BYTES: &str =
    "const bytes = (hex) => Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16))\n";

/// `given` are the options that other flags have set.
pub fn script(args: &TcpArgs, given: Map<String, Value>) -> Result<String, TcpError> {
    let (framing, checked) = framing(args)?;
    let fits = |message: &[u8], what: &dyn Fn() -> String| {
        checked.encode(message, &mut Vec::new()).map_err(|error| TcpError::DoesNotFit {
            what: what(),
            framing: given_framing(args).to_owned(),
            error,
        })
    };
    let mut messages = Vec::new();
    for text in &args.message {
        let bytes = if args.hex == Some(true) { bytes_of_hex(text) } else { bytes_of(text) };
        let bytes = bytes.map_err(|error| TcpError::Message { text: text.clone(), error })?;
        fits(&bytes, &|| format!("{text:?}"))?;
        messages.push(literal(&bytes));
    }
    for file in &args.message_file {
        let path = std::path::absolute(file).map_or_else(|_| file.clone(), |path| path.display().to_string());
        // What cannot be read, the script says; and a pipe can be read only once.
        if std::fs::metadata(&path).is_ok_and(|file| file.is_file())
            && let Ok(content) = std::fs::read(&path)
        {
            fits(&content, &|| format!("in the file {file}"))?;
        }
        messages.push(format!("new Uint8Array(open({}, \"b\"))", text(&path)));
    }
    if messages.is_empty() {
        return Err(TcpError::NoMessage);
    }
    let expect = match &args.expect {
        None => None,
        Some(expect) => {
            let bytes = bytes_of(expect);
            Some(literal(&bytes.map_err(|error| TcpError::Message { text: expect.clone(), error })?))
        }
    };
    let parts = Parts {
        connect: connect(args)?,
        files: files(args),
        framing,
        options: options(args, given)?,
        pump: pump(args, messages.len(), expect),
        messages,
    };
    Ok(parts.write(args))
}

struct Parts {
    connect: Vec<(&'static str, String)>,
    /// What init code has to read, and under which names.
    files: Vec<(&'static str, String)>,
    framing: String,
    options: Value,
    pump: Vec<(&'static str, String)>,
    messages: Vec<String>,
}

impl Parts {
    fn write(&self, args: &TcpArgs) -> String {
        let function = self.function(args);
        let mut out = String::from("import { Socket } from \"senary/tcp\"\n");
        for (used, import) in
            [("sleep(", "import { sleep } from \"k6\"\n"), ("exec.", "import exec from \"k6/execution\"\n")]
        {
            out.push_str(if function.contains(used) { import } else { "" });
        }
        let options = serde_json::to_string_pretty(&self.options).unwrap_or_default();
        let _ = write!(out, "\nexport const options = {options}\n\n");
        if self.messages.iter().chain(self.pump.iter().map(|(_, value)| value)).any(|m| m.contains("bytes("))
        {
            out.push_str(BYTES);
        }
        for (name, path) in &self.files {
            let _ = writeln!(out, "const {name} = open({})", text(path));
        }
        let _ = write!(out, "const messages = [{}]\n\n{function}", self.messages.join(", "));
        out
    }

    /// What a virtual user does.
    fn function(&self, args: &TcpArgs) -> String {
        let pace = if args.churn == Some(true) { churn_pace(args) } else { pace(args) };
        let mut out = format!("{}export default async function () {{\n{}", pace.before, pace.at_the_start);
        let _ = writeln!(out, "  const socket = new Socket({{ framing: {} }})", self.framing);
        out.push_str("  try {\n");
        let _ = writeln!(out, "    await socket.connect({{ {} }})", fields(&self.connect));
        out.push_str(pace.connected);
        let _ = writeln!(out, "    const result = await socket.pump({{ {} }})", fields(&self.pump));
        // A connection that had nothing to send has not failed.
        out.push_str("    if (result.failed > 0 && result.received === 0) throw new Error(`none of ${result.sent} requests was answered`)\n");
        out.push_str("  } finally {\n    socket.destroy()\n  }\n}\n");
        out
    }
}

/// What makes virtual users wait, and where it stands in the script.
#[derive(Default)]
struct Pace {
    before: &'static str,
    at_the_start: String,
    connected: &'static str,
}

/// Connections that stay are opened one after the other, and send in turn: at the same moments they would send in bursts, and
/// each one's first request would come on top of the rate.
fn pace(args: &TcpArgs) -> Pace {
    let mut pace = Pace::default();
    if let Some(rate) = args.connect_rate {
        let _ = writeln!(pace.at_the_start, "  sleep((exec.vu.idInInstance - 1) / {rate})");
    }
    if let Some(rate) = phased_rate(args) {
        // Later than that, nothing is left to send.
        let counted = args.count.map(|count| count as f64 / rate);
        let most = duration(args).into_iter().chain(counted).fold(f64::INFINITY, f64::min);
        let _ =
            writeln!(pace.at_the_start, "  const turn = Math.min((exec.vu.idInTest - 1) / {rate}, {most})");
        pace.connected = "    sleep(turn)\n";
    }
    pace
}

/// The rate, where several connections share it.
fn phased_rate(args: &TcpArgs) -> Option<f64> {
    args.rate.filter(|_| args.connections > 1 && args.churn != Some(true))
}

/// Each request opens a connection, so a virtual user waits between its requests.
fn churn_pace(args: &TcpArgs) -> Pace {
    let Some(rate) = args.connect_rate else { return Pace::default() };
    let users = args.count.map_or(args.connections, |count| args.connections.min(count));
    let gap = 1000.0 / rate;
    let mut lines = vec![format!("if (next === 0) next = Date.now() + (exec.vu.idInTest - 1) * {gap}")];
    match duration(args) {
        None => lines.push("sleep(Math.max(0, next - Date.now()) / 1000)".to_owned()),
        Some(seconds) => lines.extend([
            format!("const end = exec.scenario.startTime + {}", (seconds * 1e3).ceil()),
            "sleep(Math.max(0, Math.min(next, end) - Date.now()) / 1000)".to_owned(),
            "if (Date.now() >= end) return".to_owned(),
        ]),
    }
    lines.push(format!("next = Math.max(next, Date.now()) + {}", gap * users as f64));
    Pace {
        before: "// When this virtual user may open its next connection.\nlet next = 0\n\n",
        at_the_start: lines.iter().map(|line| format!("  {line}\n")).collect(),
        ..Pace::default()
    }
}

fn fields(fields: &[(&'static str, String)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
}

fn connect(args: &TcpArgs) -> Result<Vec<(&'static str, String)>, TcpError> {
    let target = args.target.first().map(String::as_str).unwrap_or_default();
    let mut fields = match (target.contains('/'), target.rsplit_once(':')) {
        // The command line asks for a target unless the test has an echo server.
        _ if args.target.is_empty() => {
            vec![("host", "__ENV.TCP_HOST".to_owned()), ("port", "__ENV.TCP_PORT".to_owned())]
        }
        (true, _) => vec![("path", text(target))],
        (false, Some((host, port))) if !host.is_empty() => {
            let number: u16 =
                port.parse().ok().filter(|port| *port > 0).ok_or(TcpError::Target(target.to_owned()))?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            vec![("host", text(host)), ("port", number.to_string())]
        }
        _ => return Err(TcpError::Target(target.to_owned())),
    };
    fields.push(("timeout", milliseconds(args.timeout.0)));
    let tls = &args.tls;
    let mut own = Vec::new();
    own.extend(tls.tls_servername.iter().map(|name| ("servername", text(name))));
    own.extend(files(args).into_iter().map(|(name, _)| (name, name.to_owned())));
    own.extend(tls.tls_alpn.iter().map(|names| {
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        ("alpn", json!(names).to_string())
    }));
    if !own.is_empty() && tls.tls != Some(true) {
        return Err(TcpError::TlsOff);
    }
    if tls.tls_cert.is_some() != tls.tls_key.is_some() {
        return Err(TcpError::HalfCertificate);
    }
    match (tls.tls, own.is_empty()) {
        (Some(true), true) => fields.push(("tls", "true".to_owned())),
        (Some(true), false) => fields.push(("tls", format!("{{ {} }}", self::fields(&own)))),
        _ => {}
    }
    Ok(fields)
}

/// The files of TLS: what the script calls them is what its options call them.
fn files(args: &TcpArgs) -> Vec<(&'static str, String)> {
    let tls = &args.tls;
    let given = [("ca", &tls.tls_ca), ("cert", &tls.tls_cert), ("key", &tls.tls_key)];
    given.into_iter().filter_map(|(name, path)| Some((name, absolute(path.as_ref()?)))).collect()
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

fn given_framing(args: &TcpArgs) -> &str {
    args.framing.as_deref().unwrap_or(DEFAULT_FRAMING)
}

/// What the script says of the framing, and the framing itself.
fn framing(args: &TcpArgs) -> Result<(String, Rc<Framing>), TcpError> {
    let given = given_framing(args);
    if !given.trim_start().starts_with('{') {
        let named = Framing::named(given)
            .map_err(|error| TcpError::FramingName { error, meant: nearest(given, names::all()) })?;
        return Ok((text(given), Rc::new(named)));
    }
    let description: Value =
        serde_json::from_str(given).map_err(|error| TcpError::Framing(error.to_string()))?;
    let description = description.to_string();
    let described = framing_of_json(&description).map_err(TcpError::FramingDescription)?;
    Ok((description, described))
}

/// What the run is: how many connections, for how long.
fn options(args: &TcpArgs, given: Map<String, Value>) -> Result<Value, TcpError> {
    let seconds = duration(args);
    // Scenarios may not be shorter.
    if args.churn == Some(true) && seconds.is_some_and(|seconds| seconds < 1.0) {
        return Err(TcpError::ShortChurn);
    }
    if args.churn == Some(true) && args.window.is_some_and(|window| window > 1) {
        return Err(TcpError::WindowedChurn);
    }
    let connections = args.connections;
    let scenario = match (args.churn == Some(true), args.rate, args.count, seconds) {
        (false, _, _, seconds) => {
            let opening = args.connect_rate.map_or(0.0, |rate| connections as f64 / rate);
            let limit = seconds.map(|seconds| seconds + opening + args.timeout.0 as f64 / 1e9);
            json!({
                "executor": "per-vu-iterations",
                "vus": connections,
                "iterations": 1,
                "maxDuration": limit.map_or(NO_LIMIT.to_owned(), |limit| format!("{}ms", (limit.max(1.0) * 1e3).ceil())),
            })
        }
        (true, Some(rate), _, Some(seconds)) => json!({
            "executor": "constant-arrival-rate",
            "rate": (rate * 1000.0).round().max(1.0),
            "timeUnit": "1000s",
            "duration": format!("{}ms", (seconds * 1e3).ceil()),
            "preAllocatedVUs": connections,
        }),
        (true, Some(_), _, None) => return Err(TcpError::CountedChurn),
        (true, None, Some(count), _) => json!({
            "executor": "shared-iterations",
            "vus": connections.min(count),
            "iterations": count,
            "maxDuration": seconds.map_or(NO_LIMIT.to_owned(), |seconds| format!("{}ms", (seconds * 1e3).ceil())),
        }),
        (true, None, None, seconds) => json!({
            "executor": "constant-vus",
            "vus": connections,
            "duration": format!("{}ms", (seconds.unwrap_or(DEFAULT_SECONDS) * 1e3).ceil()),
        }),
    };
    let mut options = json!({ "scenarios": { "tcp": scenario }, "strict": true });
    given.into_iter().for_each(|(name, value)| options[name] = value);
    let thresholds = thresholds(args)?;
    if !thresholds.is_empty() {
        options["thresholds"] = Value::Object(thresholds);
    }
    Ok(options)
}

fn thresholds(args: &TcpArgs) -> Result<Map<String, Value>, TcpError> {
    let mut thresholds = Map::new();
    for given in &args.threshold {
        // The tags of a sub-metric have colons of their own.
        let from = given.find('}').unwrap_or(0);
        let (metric, expression) = given[from..]
            .split_once(':')
            .map(|(end, expression)| (given[..from + end.len()].trim(), expression.trim()))
            .filter(|(metric, expression)| !metric.is_empty() && !expression.is_empty())
            .ok_or_else(|| TcpError::Threshold(given.clone()))?;
        let list = thresholds.entry(metric).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!(expression));
        }
    }
    Ok(thresholds)
}

/// In seconds; `None` where the count ends the run.
fn duration(args: &TcpArgs) -> Option<f64> {
    match args.duration {
        Some(duration) => Some(duration.0 as f64 / 1e9),
        None => args.count.is_none().then_some(DEFAULT_SECONDS),
    }
}

fn pump(args: &TcpArgs, messages: usize, expect: Option<String>) -> Vec<(&'static str, String)> {
    let churns = args.churn == Some(true);
    // A pump begins with the first message, and there it is the only one.
    let next = if churns && messages > 1 { "[exec.scenario.iterationInTest % messages.length]" } else { "" };
    let mut fields = vec![("message", format!("messages{next}"))];
    if churns {
        fields.push(("count", "1".to_owned()));
    } else {
        let share = |rate: f64| rate / args.connections as f64;
        fields.extend(args.rate.map(|rate| ("rate", share(rate).to_string())));
        fields.extend(args.window.map(|window| ("window", window.to_string())));
        fields.extend(args.count.map(|count| ("count", shared(count, args.connections))));
        let rest = if phased_rate(args).is_some() { " - 1000 * turn" } else { "" };
        fields
            .extend(duration(args).map(|seconds| ("duration", format!("{}{rest}", (seconds * 1e3).ceil()))));
    }
    fields.extend(expect.map(|expect| ("expect", format!("{{ contains: {expect} }}"))));
    fields.push(("timeout", milliseconds(args.timeout.0)));
    fields
}

/// The share of a connection in a count; the first ones take what is left over.
fn shared(count: u64, connections: u64) -> String {
    match (count / connections, count % connections) {
        (each, 0) => each.to_string(),
        (each, left) => format!("__VU <= {left} ? {} : {each}", each + 1),
    }
}

fn milliseconds(nanos: i64) -> String {
    (nanos as f64 / 1e6).to_string()
}

/// A message as the script has it: text where it is text.
fn literal(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => self::text(text),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("bytes(\"{hex}\")")
        }
    }
}

/// JSON is JavaScript, but for two line ends that are no line ends in JSON.
fn text(text: &str) -> String {
    let json = Value::String(text.to_owned()).to_string();
    json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
