//! Requests to the REST API: a method, a path and a body, a line each.
#![no_main]

use std::sync::Mutex;

use libfuzzer_sys::fuzz_target;
use senary::gate::{Gate, PauseError};
use senary::run_phase::RunPhase;
use senary::rest::{RunControl, Status, respond};
use senary_metrics::{Engine, Registry, Results};

/// A run that does what it is told.
struct Run {
    gate: Gate,
    setup_data: Mutex<Option<String>>,
}

impl RunControl for Run {
    fn status(&self) -> Status {
        let paused = self.gate.is_paused();
        let phase = if paused { RunPhase::PausedBeforeRun } else { RunPhase::Running };
        Status { phase, paused, vus: 2, vus_max: 3, stopped: false, tainted: false }
    }

    fn set_paused(&self, paused: bool) -> Result<(), PauseError> {
        self.gate.set_paused(paused)
    }

    fn stop(&self) {}

    fn results(&self) -> Results {
        Engine::new(Registry::new(), &Vec::new(), true, false).expect("no thresholds").results(1.0)
    }

    fn setup_data(&self) -> Option<String> {
        self.setup_data.lock().expect("one thread").clone()
    }

    fn set_setup_data(&self, json: Option<String>) {
        *self.setup_data.lock().expect("one thread") = json;
    }

    fn run_setup(&self) -> Result<(), String> {
        Ok(())
    }

    fn run_teardown(&self) -> Result<(), String> {
        Err("it threw".to_owned())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let run = Run { gate: Gate::new(true, "constant-vus", "a"), setup_data: Mutex::default() };
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, path, body) = (next(), next(), next());
    let (Ok(method), Ok(path)) = (method.try_into(), std::str::from_utf8(path)) else { return };
    let reply = respond(&run, &method, path, body);
    // What is said of the setup data is JSON whatever was put there.
    if path == "/v1/setup" && reply.status.is_success() {
        serde_json::from_str::<serde_json::Value>(&reply.body).expect("JSON");
    }
});
