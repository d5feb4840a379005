//! `--out junit`: thresholds and checks as test cases, in the XML that build servers read. It is written at the end.
//! (<https://github.com/testmoapp/junitxml>)

use std::fmt::Write;
use std::io;

use senary_metrics::results::{CheckResult, MetricResult, ThresholdResult};
use senary_metrics::{Results, SampleBatch};

use crate::output::{CreateError, Output, OutputContext};
use crate::outputs::file::{LineFile, describe};
use crate::settings::{self, Set, Setting, SettingHelp, read, read_argument};

struct Config {
    file_name: String,
    name: String,
}

const SETTINGS: &[Setting<Config>] = &[
    Setting {
        key: "fileName",
        variables: &["K6_JUNIT_FILENAME"],
        default: "junit.xml",
        meaning: "the file; - is standard output",
        set: Set::One(|config, text| {
            text.clone_into(&mut config.file_name);
            Ok(())
        }),
    },
    Setting {
        key: "name",
        variables: &["K6_JUNIT_NAME"],
        default: "k6",
        meaning: "what the whole is called",
        set: Set::One(|config, text| {
            text.clone_into(&mut config.name);
            Ok(())
        }),
    },
];

pub(crate) fn settings() -> Vec<SettingHelp> {
    settings::help(SETTINGS)
}

pub(crate) fn create(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    let mut config = Config { file_name: "junit.xml".to_owned(), name: "k6".to_owned() };
    read(&mut config, SETTINGS, &["junit"], context)?;
    read_argument(&mut config, SETTINGS, Some("fileName"), argument.unwrap_or_default())?;
    let path = &config.file_name;
    let file = LineFile::create(Some(path)).map_err(|error| describe(path, &error))?;
    Ok(Box::new(Junit { file, name: config.name }))
}

struct Junit {
    file: LineFile,
    name: String,
}

impl Output for Junit {
    fn description(&self) -> String {
        format!("junit ({})", self.file.path().unwrap_or("stdout"))
    }

    fn add(&mut self, _: &SampleBatch) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn conclude(&mut self, results: &Results) {
        self.file.buffer().extend_from_slice(document(&self.name, results).as_bytes());
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.close()
    }
}

/// A test case, and how it ended.
struct Case {
    class: String,
    name: String,
    verdict: Verdict,
}

enum Verdict {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

fn document(name: &str, results: &Results) -> String {
    let thresholds: Vec<_> = results
        .metrics
        .iter()
        .flat_map(|metric| metric.thresholds.iter().map(|threshold| of_threshold(metric, threshold)))
        .collect();
    let checks: Vec<_> = results.checks.iter().map(of_check).collect();
    let suites = [("thresholds", thresholds), ("checks", checks)];
    let suites: Vec<_> = suites.iter().filter(|(_, cases)| !cases.is_empty()).collect();
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for (_, cases) in &suites {
        let counts = counts(cases);
        (tests, failures, skipped) = (tests + counts.0, failures + counts.1, skipped + counts.2);
    }
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let (name, time) = (escaped(name), results.duration);
    let _ = writeln!(
        xml,
        "<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{time:.3}\">"
    );
    for (suite, cases) in suites {
        write_suite(&mut xml, suite, cases, time);
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// All cases, those that failed, those that were skipped.
fn counts(cases: &[Case]) -> (usize, usize, usize) {
    let count = |is: fn(&Verdict) -> bool| cases.iter().filter(|case| is(&case.verdict)).count();
    let failures = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    (cases.len(), failures, count(|verdict| matches!(verdict, Verdict::Skipped(_))))
}

fn write_suite(xml: &mut String, name: &str, cases: &[Case], time: f64) {
    let (tests, failures, skipped) = counts(cases);
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{time:.3}\">"
    );
    for case in cases {
        let (class, name) = (escaped(&case.class), escaped(&case.name));
        let _ = write!(xml, "    <testcase classname=\"{class}\" name=\"{name}\"");
        let _ = match &case.verdict {
            Verdict::Passed => writeln!(xml, "/>"),
            Verdict::Failed(why) => {
                writeln!(xml, ">\n      <failure message=\"{}\"/>\n    </testcase>", escaped(why))
            }
            Verdict::Skipped(why) => {
                writeln!(xml, ">\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(why))
            }
        };
    }
    xml.push_str("  </testsuite>\n");
}

fn of_threshold(metric: &MetricResult, threshold: &ThresholdResult) -> Case {
    let ThresholdResult { spec, ok, has_data, method, value } = threshold;
    let verdict = match (ok, has_data) {
        (true, true) => Verdict::Passed,
        (true, false) => Verdict::Skipped("there was nothing to judge: no data"),
        (false, _) => Verdict::Failed(format!("{method} is {value}")),
    };
    Case { class: metric.name.clone(), name: spec.source.clone(), verdict }
}

fn of_check(check: &CheckResult) -> Case {
    let (passes, all) = (check.passes, check.passes + check.fails);
    let verdict = match check.fails {
        0 => Verdict::Passed,
        fails => Verdict::Failed(format!("{fails} of {all} failed, {passes} passed")),
    };
    Case { class: format!("{}{}", check.scenario, check.group), name: check.name.to_string(), verdict }
}

/// Text as it may stand in an attribute. Characters that XML does not have are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use senary_metrics::threshold::ThresholdSpec;
    use senary_metrics::{MetricType, Sink, ValueType};

    use super::*;

    #[test]
    fn a_document() {
        let threshold = |source: &str, ok, has_data, value| ThresholdResult {
            spec: ThresholdSpec { source: source.to_owned(), abort_on_fail: false, delay_abort_eval: 0 },
            ok,
            has_data,
            method: "p(95)".to_owned(),
            value,
        };
        let metric = MetricResult {
            name: "lag{a:\"b\"}".to_owned(),
            kind: MetricType::Trend,
            contains: ValueType::Time,
            sink: Sink::new(MetricType::Trend),
            thresholds: vec![
                threshold("p(95)<5", false, true, 7.5),
                threshold("p(95)<9", true, true, 7.5),
                threshold("p(95)<0", true, false, 0.0),
            ],
            parent: None,
        };
        let check = |name: &str, fails| CheckResult {
            name: name.into(),
            group: "::g".into(),
            scenario: "default".into(),
            passes: 3,
            fails,
        };
        let checks = vec![check("is ok", 0), check("a & b\n\u{1}", 2)];
        let results = Results { metrics: vec![metric], checks, duration: 1.5, ..Results::default() };
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="k6" tests="5" failures="2" errors="0" skipped="1" time="1.500">
  <testsuite name="thresholds" tests="3" failures="1" errors="0" skipped="1" time="1.500">
    <testcase classname="lag{a:&quot;b&quot;}" name="p(95)&lt;5">
      <failure message="p(95) is 7.5"/>
    </testcase>
    <testcase classname="lag{a:&quot;b&quot;}" name="p(95)&lt;9"/>
    <testcase classname="lag{a:&quot;b&quot;}" name="p(95)&lt;0">
      <skipped message="there was nothing to judge: no data"/>
    </testcase>
  </testsuite>
  <testsuite name="checks" tests="2" failures="1" errors="0" skipped="0" time="1.500">
    <testcase classname="default::g" name="is ok"/>
    <testcase classname="default::g" name="a &amp; b&#10;�">
      <failure message="2 of 5 failed, 3 passed"/>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(document("k6", &results), expected);
    }

    #[test]
    fn nothing_to_tell_is_a_document_all_the_same() {
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"k6\" tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"0.000\">\n</testsuites>\n";
        assert_eq!(document("k6", &Results::default()), expected);
    }
}
