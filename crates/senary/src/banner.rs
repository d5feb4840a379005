//! What a run says before it starts: a banner, where its samples go, and the plan of its load.
//!
//! Labels and values are the reference's, since people and programs search for them.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use senary_execution::plan::DEFAULT;
use senary_execution::{ExecutorConfig, LoadPlan, Scenario, Share};
use senary_words::duration::format_go;

/// Six dots and six strokes: _senary_ is counting by six.
const BANNER: &str = r"
      ●  ●      ___  ___ _ __   __ _ _ __ _   _
     ●  ● ●    / __|/ _ \ '_ \ / _` | '__| | | |
      ● ●      \__ \  __/ | | | (_| | |  | |_| |
               |___/\___|_| |_|\__,_|_|   \__, |
                                          |___/
";

/// What the banner says of a run.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// The script as it was named on the command line.
    pub script: &'a str,
    /// Where the dashboard is, if there is one.
    pub dashboard: Option<&'a str>,
    /// How each output names itself: `json (results.json)`.
    pub outputs: &'a [String],
    pub plan: &'a LoadPlan,
    pub color: bool,
}

/// The banner and everything below it.
pub fn text(run: &Description<'_>) -> String {
    let (art, value) = match run.color {
        true => (AnsiColor::Green.on_default(), AnsiColor::Cyan.on_default()),
        false => (Style::new(), Style::new()),
    };
    let mut text = String::new();
    for line in BANNER.lines() {
        // Writing to a string does not fail, here and below.
        let _ = if line.is_empty() { writeln!(text) } else { writeln!(text, "{art}{line}{art:#}") };
    }
    let output = if run.outputs.is_empty() { "-".to_owned() } else { run.outputs.join(", ") };
    let _ = writeln!(text);
    let dashboard = run.dashboard.map(|url| ("web dashboard", url));
    let facts = [("execution", "local"), ("script", run.script)].into_iter().chain(dashboard);
    for (label, what) in facts.chain([("output", output.as_str())]) {
        let _ = writeln!(text, "{label:>14}: {value}{what}{value:#}");
    }
    let scenarios = run.plan.scenarios();
    let _ = writeln!(
        text,
        "\n{:>14}: {value}({}) {} scenario{}, {} max VUs, {} max duration (incl. graceful stop):{value:#}",
        "scenarios",
        run.plan.segment().segment().percent(),
        scenarios.len(),
        if scenarios.len() == 1 { "" } else { "s" },
        run.plan.max_vus(),
        format_go(run.plan.max_duration())
    );
    for scenario in scenarios {
        let load = describe(scenario, &run.plan.share(scenario));
        let _ = writeln!(text, "{:>15} {}: {value}{load}{value:#}", "*", scenario.name);
    }
    text
}

/// The load of a scenario, by what falls to this process, in one line.
pub fn describe(scenario: &Scenario, share: &Share) -> String {
    let vus = share.vus;
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push(format!("{name}: {value}"));
    let load = match &scenario.executor {
        ExecutorConfig::SharedIterations { max_duration, .. } => {
            fact("maxDuration", format_go(*max_duration));
            format!("{} iterations shared among {vus} VUs", share.iterations.unwrap_or_default())
        }
        ExecutorConfig::PerVuIterations { iterations, max_duration, .. } => {
            fact("maxDuration", format_go(*max_duration));
            format!("{iterations} iterations for each of {vus} VUs")
        }
        ExecutorConfig::ConstantVus { duration, .. } => {
            format!("{vus} looping VUs for {}", format_go(*duration))
        }
        ExecutorConfig::RampingVus { stages, graceful_ramp_down, .. } => {
            fact("gracefulRampDown", format_go(*graceful_ramp_down));
            let duration = format_go(scenario.executor.regular_duration());
            format!("Up to {vus} looping VUs for {duration} over {} stages", stages.len())
        }
        ExecutorConfig::ConstantArrivalRate { duration, .. } => {
            fact("maxVUs", max_vus(share));
            format!("{} for {}", rate(share), format_go(*duration))
        }
        ExecutorConfig::RampingArrivalRate { stages, .. } => {
            fact("maxVUs", max_vus(share));
            let duration = format_go(scenario.executor.regular_duration());
            format!("Up to {} for {duration} over {} stages", rate(share), stages.len())
        }
    };
    if scenario.exec != DEFAULT {
        fact("exec", scenario.exec.clone());
    }
    for (name, duration) in [("startTime", scenario.start_time), ("gracefulStop", scenario.graceful_stop)] {
        if duration > Duration::ZERO {
            fact(name, format_go(duration));
        }
    }
    if facts.is_empty() { load } else { format!("{load} ({})", facts.join(", ")) }
}

fn rate(share: &Share) -> String {
    format!("{:.2} iterations/s", share.rate.unwrap_or_default())
}

/// Those made before the start, and how many they may become.
fn max_vus(share: &Share) -> String {
    if share.max_vus > share.vus { format!("{}-{}", share.vus, share.max_vus) } else { share.vus.to_string() }
}

#[cfg(test)]
mod tests {
    use senary_execution::{SegmentTuple, Stage};
    use senary_metrics::TagSet;

    use super::*;

    fn scenario(name: &str, executor: ExecutorConfig) -> Scenario {
        Scenario {
            name: name.to_owned(),
            executor,
            start_time: Duration::ZERO,
            graceful_stop: secs(30),
            exec: DEFAULT.to_owned(),
            env: Vec::new(),
            tags: TagSet::default(),
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ms(ms: u64, target: u64) -> Stage {
        Stage { duration: Duration::from_millis(ms), target }
    }

    fn all() -> Vec<Scenario> {
        let ramp = ExecutorConfig::RampingVus {
            start_vus: 0,
            stages: vec![ms(1000, 2)],
            graceful_ramp_down: secs(1),
        };
        let mut two = scenario("two", ramp);
        two.exec = "two".to_owned();
        two.start_time = Duration::from_millis(100);
        two.graceful_stop = secs(2);
        let mut three = scenario("three", ExecutorConfig::ConstantVus { vus: 1, duration: secs(1) });
        three.graceful_stop = Duration::ZERO;
        vec![
            scenario(
                "one",
                ExecutorConfig::PerVuIterations { vus: 2, iterations: 3, max_duration: secs(60) },
            ),
            two,
            three,
            scenario(
                "four",
                ExecutorConfig::ConstantArrivalRate {
                    rate: 3,
                    time_unit: secs(2),
                    duration: secs(1),
                    pre_allocated_vus: 1,
                    max_vus: 2,
                },
            ),
            scenario(
                "five",
                ExecutorConfig::RampingArrivalRate {
                    start_rate: 1,
                    time_unit: secs(1),
                    stages: vec![ms(500, 2), ms(500, 0)],
                    pre_allocated_vus: 1,
                    max_vus: 1,
                },
            ),
            scenario(
                "six",
                ExecutorConfig::SharedIterations { vus: 2, iterations: 2, max_duration: secs(90) },
            ),
        ]
    }

    fn below_the_art(plan: &LoadPlan, outputs: &[String]) -> String {
        let text = text(&Description { script: "script.js", dashboard: None, outputs, plan, color: false });
        text[text.find("     execution").unwrap()..].to_owned()
    }

    #[test]
    fn the_whole_plan() {
        let plan = LoadPlan::new(all(), SegmentTuple::full());
        let outputs = ["json (a.json)".to_owned(), "csv (b.csv)".to_owned()];
        let expected = "     execution: local
        script: script.js
        output: json (a.json), csv (b.csv)

     scenarios: (100.00%) 6 scenarios, 9 max VUs, 2m0s max duration (incl. graceful stop):
              * five: Up to 2.00 iterations/s for 1s over 2 stages (maxVUs: 1, gracefulStop: 30s)
              * four: 1.50 iterations/s for 1s (maxVUs: 1-2, gracefulStop: 30s)
              * one: 3 iterations for each of 2 VUs (maxDuration: 1m0s, gracefulStop: 30s)
              * six: 2 iterations shared among 2 VUs (maxDuration: 1m30s, gracefulStop: 30s)
              * three: 1 looping VUs for 1s
              * two: Up to 2 looping VUs for 1s over 1 stages (gracefulRampDown: 1s, exec: two, startTime: 100ms, gracefulStop: 2s)
";
        assert_eq!(below_the_art(&plan, &outputs), expected);
    }

    #[test]
    fn a_share_of_the_plan() {
        let segment = SegmentTuple::new(Some("0:1/3".parse().unwrap()), Some("0,1/3,2/3,1".parse().unwrap()));
        let load = vec![
            scenario(
                "a",
                ExecutorConfig::SharedIterations { vus: 5, iterations: 12, max_duration: secs(60) },
            ),
            scenario(
                "b",
                ExecutorConfig::ConstantArrivalRate {
                    rate: 10,
                    time_unit: secs(1),
                    duration: secs(1),
                    pre_allocated_vus: 3,
                    max_vus: 30,
                },
            ),
        ];
        let text = below_the_art(&LoadPlan::new(load, segment.unwrap()), &[]);
        assert!(
            text.contains("output: -\n\n     scenarios: (33.33%) 2 scenarios, 12 max VUs, 1m30s"),
            "{text}"
        );
        assert!(text.contains("* a: 5 iterations shared among 2 VUs (maxDuration: 1m0s"), "{text}");
        assert!(text.contains("* b: 3.33 iterations/s for 1s (maxVUs: 1-10, gracefulStop: 30s)"), "{text}");
    }

    #[test]
    fn colours_only_when_asked_for() {
        let plan = LoadPlan::new(all(), SegmentTuple::full());
        let with = |color| {
            text(&Description {
                script: "s.js",
                dashboard: Some("http://127.0.0.1:5665"),
                outputs: &[],
                plan: &plan,
                color,
            })
        };
        assert!(!with(false).contains('\x1b'));
        assert!(with(true).contains("script: \x1b[36ms.js\x1b[0m\n"));
    }
}
