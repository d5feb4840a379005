//! The states of a test of many instances, for `bench/run.py --only merge`: as their runs would have written them, in seconds.
//!
//! ```text
//! cargo run --release -p senary-output --example states -- FOLDER [STATES] [METRICS] [VALUES]
//! ```
//!
//! By default it makes 100 states with 50 trends each, and 1,000,000 values in each trend. There are only a few different
//! lists of values: they are packed once, and every state of them has a head of its own.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use senary_metrics::totals::Scope;
use senary_metrics::{Failures, MetricType, Registry, Timestamp, Totals, ValueType};
use senary_output::state::{Declared, Head, Instance, Progress, State, TestFacts};

/// How many lists of values there are.
const LISTS: usize = 4;

/// The line and the version at the start of a state; then, of each section, its kind and its length.
const START: usize = 15;
const SECTION: usize = 9;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("usage: states FOLDER [STATES] [METRICS] [VALUES]");
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (states, metrics, values) = (number(100), number(50), number(1_000_000));
    for list in 0..LISTS.min(states) {
        let registry = Registry::new();
        let totals = totals(&registry, list as u64, metrics, values);
        let bytes = written(list, states, &registry, totals)?;
        let (_, rest) = at_end_of_head(&bytes);
        for at in (list..states).step_by(LISTS) {
            let own = written(at, states, &registry, Totals::default())?;
            let mut file = BufWriter::new(File::create(Path::new(&folder).join(format!("{at}.state")))?);
            file.write_all(at_end_of_head(&own).0)?;
            file.write_all(rest)?;
            file.flush()?;
        }
    }
    Ok(())
}

/// The head is the first section.
fn at_end_of_head(state: &[u8]) -> (&[u8], &[u8]) {
    let length = state[START + 1..START + SECTION].try_into().expect("eight bytes");
    state.split_at(START + SECTION + u64::from_le_bytes(length) as usize)
}

fn written(at: usize, of: usize, registry: &Registry, totals: Totals) -> io::Result<Vec<u8>> {
    let points: Vec<_> = (0..=of).map(|point| format!("{point}/{of}")).collect();
    let instance = Instance {
        id: at.to_string(),
        name: format!("host-{at}"),
        segment: format!("{at}/{of}:{}/{of}", at + 1),
        sequence: points.join(","),
        program: String::new(),
    };
    let test = TestFacts { metrics: Declared::all(registry), ..TestFacts::default() };
    let progress = Progress {
        is_final: true,
        started: Some(Timestamp(0)),
        seconds: 60.0,
        has_run: true,
        ..Progress::default()
    };
    let head = Head { instance, test, progress };
    State { head, totals, failures: Failures::default(), timeline: None, script: None }.write(Vec::new())
}

/// Times as a service takes that mostly answers after some milliseconds, and now and then after a second.
fn totals(registry: &Registry, list: u64, metrics: usize, values: usize) -> Totals {
    let mut totals = Totals::default();
    let mut chance = list + 1;
    for metric in 0..metrics {
        let metric = registry.declare(&format!("lag_{metric:02}"), MetricType::Trend, ValueType::Time);
        let metric = registry.metric(metric.expect("a name of its own")).expect("it was declared");
        let slot = totals.slot(&metric, Scope::Whole);
        for at in 0..values {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let share = (chance >> 11) as f64 / (1_u64 << 53) as f64;
            let nanoseconds = (1e6 / (share + 1e-3)) as u64;
            let milliseconds = Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3;
            totals.add(slot, milliseconds, Timestamp(at as i64));
        }
    }
    totals
}
