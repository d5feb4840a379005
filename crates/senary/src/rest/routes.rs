//! Which request gets which answer.

use hyper::{Method, StatusCode};
use senary_words::percent;
use serde_json::Value;

use super::{RunControl, documents, process};
use crate::http_server::Answer;

/// Of most answers: the reference names no type for them and lets its HTTP library guess.
const TEXT: &str = "text/plain; charset=utf-8";
/// The reference's for the status. Errors are of that type, too.
const JSON: &str = "application/json; charset=utf-8";
/// The reference's for setup data.
const PLAIN_JSON: &str = "application/json";

/// Of a state, which is bytes.
const BYTES: &str = "application/octet-stream";

/// The only route whose answer is no text.
pub(super) const STATE: &str = "/v1/state";

/// An answer, but for what HTTP adds to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: String,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::new(reply.status, reply.content_type, reply.body)
    }
}

impl Reply {
    fn text(status: StatusCode, body: &str) -> Self {
        Self { status, content_type: TEXT, body: body.to_owned() }
    }

    fn document(document: &Value) -> Self {
        Self::text(StatusCode::OK, &document.to_string())
    }

    fn status(run: &dyn RunControl) -> Self {
        Self { content_type: JSON, ..Self::document(&documents::status(&run.status())) }
    }

    pub(super) fn error(status: StatusCode, title: &str, detail: &str) -> Self {
        let body = documents::error(status.as_u16(), title, detail).to_string();
        Self { status, content_type: JSON, body }
    }

    fn not_found(detail: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found", detail)
    }

    pub(super) fn failed(title: &str, detail: &str) -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, title, detail)
    }

    fn wrong_verb() -> Self {
        Self::text(StatusCode::METHOD_NOT_ALLOWED, "")
    }
}

/// Answers with a state, as `--out state=FILE` writes it.
pub(super) fn state(state: Option<Vec<u8>>) -> Answer {
    match state {
        Some(state) => Answer::new(StatusCode::OK, BYTES, state),
        None => {
            let detail = "the run adds up its last samples: ask again in a moment";
            Reply::error(StatusCode::SERVICE_UNAVAILABLE, "No state", detail).into()
        }
    }
}

/// Answers a request for everything but a state. May block, as long as the run takes for what is asked.
pub fn respond(run: &dyn RunControl, method: &Method, path: &str, body: &[u8]) -> Reply {
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    if let Some(name) = path.strip_prefix("/v1/metrics/").filter(|_| *method == get) {
        let metric = documents::metric(run.results(), &percent::decoded_text(name));
        return metric
            .map_or_else(|| Reply::not_found("No metric with that ID was found"), |m| Reply::document(&m));
    }
    if let Some(id) = path.strip_prefix("/v1/groups/").filter(|_| *method == get) {
        let group = documents::group(&run.results(), id);
        return group
            .map_or_else(|| Reply::not_found("No group with that ID was found"), |g| Reply::document(&g));
    }
    match path {
        "/v1/status" if *method == get => Reply::status(run),
        "/v1/status" if *method == Method::PATCH => patch_status(run, body),
        "/v1/metrics" if *method == get => Reply::document(&documents::metrics(run.results())),
        "/v1/groups" if *method == get => Reply::document(&documents::groups(&run.results())),
        "/v1/setup" if *method == get => setup_data(run),
        "/v1/setup" if *method == put => put_setup_data(run, body),
        "/v1/setup" if *method == post => match run.run_setup() {
            Ok(()) => setup_data(run),
            Err(error) => Reply::failed("Error executing setup", &error),
        },
        "/v1/teardown" if *method == post => match run.run_teardown() {
            Ok(()) => Reply::text(StatusCode::OK, ""),
            Err(error) => Reply::failed("Error executing teardown", &error),
        },
        "/metrics" => Reply {
            status: StatusCode::OK,
            content_type: process::CONTENT_TYPE,
            body: process::text(&run.status()),
        },
        _ if is_route(path) => Reply::wrong_verb(),
        // A client that asks for a profile would take `ok` for a broken one.
        _ if ["/debug/pprof", "/debug/vars"].iter().any(|debug| path.starts_with(debug)) => {
            Reply::not_found("Senary has no profiles and variables of Go")
        }
        _ if path == "/v1" || path.starts_with("/v1/") => Reply::not_found(&format!(
            "There is nothing at {path:?}; /v1/status, /v1/metrics, /v1/groups, /v1/setup, /v1/teardown and /v1/state are there"
        )),
        _ => Reply::text(StatusCode::OK, "ok"),
    }
}

fn is_route(path: &str) -> bool {
    const ROUTES: [&str; 6] = ["/v1/status", "/v1/metrics", "/v1/groups", "/v1/setup", "/v1/teardown", STATE];
    ROUTES.contains(&path) || path.starts_with("/v1/metrics/") || path.starts_with("/v1/groups/")
}

/// What a PATCH asks for: what is missing, or null, stays as it is.
struct StatusPatch {
    paused: Option<bool>,
    stopped: Option<bool>,
    /// An attribute that the reference does not have.
    linger: Option<bool>,
    vus: Option<i64>,
    vus_max: Option<i64>,
}

impl StatusPatch {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let document: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let attributes = member(member(&document, "data")?, "attributes")?;
        let truth = |name| scalar(attributes, name, Value::as_bool, "true or false");
        let number = |name| scalar(attributes, name, Value::as_i64, "a whole number");
        Ok(Self {
            paused: truth("paused")?,
            stopped: truth("stopped")?,
            linger: truth("linger")?,
            vus: number("vus")?,
            vus_max: number("vus-max")?,
        })
    }
}

/// A member of an object, null if there is none.
fn member<'a>(of: &'a Value, name: &str) -> Result<&'a Value, String> {
    match of {
        Value::Null => Ok(of),
        Value::Object(members) => Ok(members.get(name).unwrap_or(&Value::Null)),
        _ => Err(format!("expected an object with {name:?} in it, and not {of}")),
    }
}

fn scalar<T>(
    of: &Value,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
    what: &str,
) -> Result<Option<T>, String> {
    match member(of, name)? {
        Value::Null => Ok(None),
        value => read(value).map(Some).ok_or_else(|| format!("{name:?} should be {what}, and not {value}")),
    }
}

fn patch_status(run: &dyn RunControl, body: &[u8]) -> Reply {
    let patch = match StatusPatch::parse(body) {
        Ok(patch) => patch,
        Err(error) => return Reply::error(StatusCode::BAD_REQUEST, "Invalid data", &error),
    };
    if patch.linger == Some(false) {
        run.end_linger();
    }
    if patch.stopped == Some(true) {
        run.stop();
        return Reply::status(run);
    }
    if let Some(paused) = patch.paused
        && let Err(error) = run.set_paused(paused)
    {
        return Reply::failed("Pause error", &error.to_string());
    }
    if patch.vus.is_some() || patch.vus_max.is_some() {
        return Reply::failed("Execution config error", "live VU configuration updates are not supported");
    }
    Reply::status(run)
}

fn setup_data(run: &dyn RunControl) -> Reply {
    let body = documents::setup_data(run.setup_data().as_deref());
    Reply { status: StatusCode::OK, content_type: PLAIN_JSON, body }
}

/// Takes the body, if there is one, in the place of what `setup()` returns.
fn put_setup_data(run: &dyn RunControl, body: &[u8]) -> Reply {
    if body.is_empty() {
        run.set_setup_data(None);
        return setup_data(run);
    }
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => {
            run.set_setup_data(Some(text.into_owned()));
            setup_data(run)
        }
        Err(error) => Reply::error(StatusCode::BAD_REQUEST, "Error parsing request body", &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use senary_metrics::{Engine, Registry, Results};

    use super::*;
    use crate::gate::{Gate, PauseError};
    use crate::rest::Status;
    use crate::run_phase::RunPhase;

    /// A run that does what it is told.
    struct Run {
        gate: Gate,
        stopped: Mutex<bool>,
        setup_data: Mutex<Option<String>>,
        calls: Mutex<Vec<&'static str>>,
    }

    fn run(paused: bool) -> Run {
        Run {
            gate: Gate::new(paused, "constant-vus", "a"),
            stopped: Mutex::default(),
            setup_data: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    impl RunControl for Run {
        fn status(&self) -> Status {
            let stopped = *self.stopped.lock().unwrap();
            let paused = self.gate.is_paused();
            let phase = if paused { RunPhase::PausedBeforeRun } else { RunPhase::Running };
            Status { phase, paused, vus: 2, vus_max: 3, stopped, tainted: false }
        }

        fn end_linger(&self) {
            self.calls.lock().unwrap().push("end_linger");
        }

        fn set_paused(&self, paused: bool) -> Result<(), PauseError> {
            self.gate.set_paused(paused)
        }

        fn stop(&self) {
            *self.stopped.lock().unwrap() = true;
        }

        fn results(&self) -> Results {
            Engine::new(Registry::new(), &Vec::new(), true, false).unwrap().results(1.0)
        }

        fn setup_data(&self) -> Option<String> {
            self.setup_data.lock().unwrap().clone()
        }

        fn set_setup_data(&self, json: Option<String>) {
            *self.setup_data.lock().unwrap() = json;
        }

        fn run_setup(&self) -> Result<(), String> {
            self.calls.lock().unwrap().push("setup");
            self.set_setup_data(Some(r#"{"from":"script"}"#.to_owned()));
            Ok(())
        }

        fn run_teardown(&self) -> Result<(), String> {
            self.calls.lock().unwrap().push("teardown");
            Err("it threw".to_owned())
        }
    }

    fn ask(run: &Run, method: &str, path: &str, body: &str) -> (u16, String) {
        let reply = respond(run, &method.parse().unwrap(), path, body.as_bytes());
        (reply.status.as_u16(), reply.body)
    }

    #[test]
    fn answers_have_the_references_types() {
        let type_of =
            |method: &str, path: &str| respond(&run(false), &method.parse().unwrap(), path, b"").content_type;
        for (method, path, content_type) in [
            ("GET", "/v1/status", "application/json; charset=utf-8"),
            ("PATCH", "/v1/status", "application/json; charset=utf-8"),
            ("GET", "/v1/setup", "application/json"),
            ("PUT", "/v1/setup", "application/json"),
            ("POST", "/v1/setup", "application/json"),
            ("GET", "/v1/metrics", "text/plain; charset=utf-8"),
            ("GET", "/v1/groups", "text/plain; charset=utf-8"),
            ("GET", "/ping", "text/plain; charset=utf-8"),
            ("GET", "/v1/other", "application/json; charset=utf-8"),
        ] {
            assert_eq!(type_of(method, path), content_type, "{method} {path}");
        }
    }

    fn ask_running(method: &str, path: &str, body: &str) -> (u16, String) {
        ask(&run(false), method, path, body)
    }

    fn patch(run: &Run, attributes: &str) -> (u16, String) {
        let body = format!(r#"{{"data":{{"type":"status","id":"default","attributes":{attributes}}}}}"#);
        ask(run, "PATCH", "/v1/status", &body)
    }

    #[test]
    fn the_status_of_a_running_test() {
        let text = r#"{"data":{"type":"status","id":"default","attributes":{"status":7,"paused":false,"vus":2,"vus-max":3,"stopped":false,"running":true,"tainted":false}}}"#;
        assert_eq!(ask_running("GET", "/v1/status", ""), (200, text.to_owned()));
    }

    #[test]
    fn a_paused_test_is_started_once() {
        let run = run(true);
        let (code, body) = patch(&run, r#"{"paused":true}"#);
        assert_eq!(code, 500);
        assert!(body.contains(r#""title":"Pause error","detail":"execution is already paused""#), "{body}");
        let (code, body) = patch(&run, r#"{"paused":false,"stopped":false}"#);
        assert_eq!(code, 200);
        assert!(body.contains(r#""paused":false"#), "{body}");
        let (code, body) = patch(&run, r#"{"paused":true}"#);
        assert_eq!(code, 500);
        assert!(body.contains("constant-vus executor 'a' doesn't support pause and resume"), "{body}");
    }

    #[test]
    fn a_test_is_stopped_whatever_else_is_asked() {
        let (code, body) = patch(&run(true), r#"{"stopped":true,"paused":true,"vus":5}"#);
        assert_eq!(code, 200);
        assert!(body.contains(r#""stopped":true"#), "{body}");
    }

    #[test]
    fn a_run_is_told_not_to_linger() {
        let run = run(false);
        assert_eq!(patch(&run, r#"{"linger":false}"#).0, 200);
        assert_eq!(patch(&run, r#"{"linger":null}"#).0, 200);
        assert_eq!(*run.calls.lock().unwrap(), ["end_linger"]);
    }

    #[test]
    fn vus_cannot_be_changed() {
        for attributes in [r#"{"vus":5}"#, r#"{"vus-max":5}"#] {
            let (code, body) = patch(&run(false), attributes);
            let detail = "live VU configuration updates are not supported";
            let error = format!(r#"{{"status":"500","title":"Execution config error","detail":"{detail}"}}"#);
            assert_eq!((code, body), (500, format!(r#"{{"errors":[{error}]}}"#)));
        }
        assert_eq!(patch(&run(false), r#"{"vus":null}"#).0, 200);
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for body in ["{nonsense", "", "5", "[]", r#"{"data":7}"#, r#"{"data":{"attributes":{"paused":1}}}"#] {
            let (code, reply) = ask_running("PATCH", "/v1/status", body);
            assert_eq!(code, 400);
            assert!(reply.starts_with(r#"{"errors":[{"status":"400","title":"Invalid data","#), "{reply}");
            assert!(!reply.contains("struct"), "what it is in this program is nobody's business: {reply}");
        }
    }

    #[test]
    fn what_is_not_asked_for_stays_as_it_is() {
        let run = run(true);
        let status = ask(&run, "GET", "/v1/status", "");
        for body in ["{}", "null", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":{"attributes":{}}}"#] {
            assert_eq!(ask(&run, "PATCH", "/v1/status", body), status, "{body}");
        }
        assert_eq!(patch(&run, r#"{"paused":null,"stopped":null,"vus-max":null}"#), status);
    }

    #[test]
    fn setup_data_is_read_replaced_and_made() {
        let run = run(true);
        let document = |attributes: &str| {
            format!(r#"{{"data":{{"type":"setupData","id":"default","attributes":{attributes}}}}}"#)
        };
        assert_eq!(ask(&run, "GET", "/v1/setup", ""), (200, document("{}")));
        let replaced = document(r#"{"data":{"from": "api"}}"#);
        assert_eq!(ask(&run, "PUT", "/v1/setup", r#"{"from": "api"}"#), (200, replaced));
        let made = document(r#"{"data":{"from":"script"}}"#);
        assert_eq!(ask(&run, "POST", "/v1/setup", ""), (200, made.clone()));
        let (code, reply) = ask(&run, "PUT", "/v1/setup", "{broken");
        assert_eq!(code, 400);
        assert!(reply.contains(r#""title":"Error parsing request body""#), "{reply}");
        assert_eq!(ask(&run, "GET", "/v1/setup", ""), (200, made));
        assert_eq!(ask(&run, "PUT", "/v1/setup", ""), (200, document("{}")));
        assert_eq!(*run.calls.lock().unwrap(), ["setup"]);
    }

    #[test]
    fn failures_of_the_script_are_told() {
        let (code, reply) = ask_running("POST", "/v1/teardown", "");
        assert_eq!(code, 500);
        assert!(reply.contains(r#""title":"Error executing teardown","detail":"it threw""#), "{reply}");
    }

    #[test]
    fn what_is_not_there() {
        for path in [
            "/v1/metrics/nothing",
            "/v1/groups/0",
            "/v1",
            "/v1/",
            "/v1/status/",
            "/v1/other",
            "/debug/pprof/",
            "/debug/pprof/heap",
            "/debug/vars/",
        ] {
            let (code, reply) = ask_running("GET", path, "");
            assert_eq!(code, 404);
            assert!(reply.contains(r#""title":"Not Found""#), "{reply}");
        }
        for (method, path) in [
            ("DELETE", "/v1/status"),
            ("POST", "/v1/metrics"),
            ("PUT", "/v1/metrics/x"),
            ("POST", "/v1/groups"),
            ("PATCH", "/v1/setup"),
            ("GET", "/v1/teardown"),
            ("PUT", "/v1/state"),
        ] {
            assert_eq!(ask_running(method, path, ""), (405, String::new()), "{method} {path}");
        }
        for path in ["/", "/ping", "/whatever", "/v10", "/v2/other"] {
            assert_eq!(ask_running("POST", path, ""), (200, "ok".to_owned()));
        }
    }

    #[test]
    fn figures_of_the_process() {
        let (code, text) = ask_running("GET", "/metrics", "");
        assert_eq!(code, 200);
        assert!(text.contains("\n# TYPE senary_vus gauge\nsenary_vus 2\n"), "{text}");
    }
}
