//! A real browser for the tests of pages: chromium, spoken to over the pipe of the DevTools protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The protocol is spoken over the descriptors 3 and 4; the shell makes them of its standard input and output.
const START: &str = r#"exec "$0" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --remote-debugging-pipe \
    --disable-background-networking --disable-component-update --disable-dev-shm-usage --no-first-run \
    --user-data-dir="$1" about:blank 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1"#;
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// One browser with one page; dropping it ends it.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// What the console of the page said: messages, warnings, errors, exceptions that nobody caught.
    pub console: Vec<String>,
    /// The addresses that the page asked for, itself first.
    pub requests: Vec<String>,
    _folder: TempDir,
}

impl Browser {
    /// `None` where no browser is installed; the test then says that it is skipped.
    pub fn start() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let found =
            |name| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists());
        let Some(binary) = NAMES.into_iter().find_map(found) else {
            eprintln!("skipped: no chromium is installed, so no page can be looked at");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", START]).arg(binary).arg(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("a shell");
        let commands = child.stdin.take().expect("a pipe");
        let mut pipe = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while pipe.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let (console, requests) = (Vec::new(), Vec::new());
        let mut browser =
            Self { child, commands, answers, last: 0, session: None, console, requests, _folder: folder };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({}));
        let page =
            targets["targetInfos"].as_array().expect("a list").iter().find(|target| target["type"] == "page");
        let id = page.expect("the browser has a page")["targetId"].clone();
        let session = self.call("Target.attachToTarget", json!({ "targetId": id, "flatten": true }));
        self.session = Some(session["sessionId"].as_str().expect("a session").to_owned());
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Gives the browser a command of the DevTools protocol, and waits for the answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let text = format!("{command}\0");
        self.commands.write_all(text.as_bytes()).expect("the browser takes commands");
        loop {
            let mut answer = self.answers.recv_timeout(LIMIT).expect("the browser answers");
            if answer["id"] == json!(self.last) {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" => self.console.push(params["args"].to_string()),
            "Runtime.exceptionThrown" => self.console.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" => self.console.push(params["entry"].to_string()),
            "Network.requestWillBeSent" => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    /// The size of the window in CSS pixels, and whether the system is dark.
    pub fn window(&mut self, width: u32, height: u32, is_dark: bool) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    pub fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.wait_for("location.href === 'about:blank'");
        self.console.clear();
        self.requests.clear();
        self.call("Page.navigate", json!({ "url": address }));
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    pub fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression holds in the page.
    pub fn wait_for(&mut self, expression: &str) {
        let started = Instant::now();
        while self.value(&format!("Boolean({expression})")) != json!(true) {
            assert!(
                started.elapsed() < LIMIT,
                "{expression} has not come true; the console: {:?}",
                self.console
            );
            std::thread::sleep(POLL);
        }
    }

    /// Presses a key in what has the focus.
    pub fn key(&mut self, name: &str) {
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": name }));
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": name }));
    }

    /// Moves the pointer to a place.
    pub fn point(&mut self, x: f64, y: f64) {
        self.mouse("mouseMoved", x, y, 0);
    }

    /// Presses the button at one place, and lets it go at another at the same height.
    pub fn drag(&mut self, from: f64, to: f64, y: f64) {
        self.point(from, y);
        self.mouse("mousePressed", from, y, 1);
        for step in 1..=10 {
            self.mouse("mouseMoved", from + (to - from) * f64::from(step) / 10.0, y, 1);
        }
        self.mouse("mouseReleased", to, y, 1);
    }

    fn mouse(&mut self, event: &str, x: f64, y: f64, held: u8) {
        let button = if held == 1 { "left" } else { "none" };
        let params =
            json!({ "type": event, "x": x, "y": y, "button": button, "buttons": held, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", params);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
