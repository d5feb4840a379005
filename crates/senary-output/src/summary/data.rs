//! The JSON documents made of a summary: what `handleSummary()` receives, old and new, and what
//! `--summary-export` writes.
//!
//! Shapes: <https://grafana.com/docs/k6/latest/results-output/end-of-test/custom-summary/>.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::group::{Check, Group};
use super::{Metric, Summary, Values, all_checks};
use crate::number;

/// The version of the new format.
const SCHEMA: &str = "1.0.0";

impl Summary {
    /// What `handleSummary()` receives.
    pub fn legacy_json(&self) -> Value {
        let options = &self.options;
        let mut data = json!({
            "root_group": group(&self.root),
            "options": {
                "summaryTrendStats": options.trend_stats.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "summaryTimeUnit": options.time_unit.map_or("", |unit| unit.as_str()),
                "noColor": options.no_color,
            },
            "state": {
                "isStdOutTTY": options.stdout_is_terminal,
                "isStdErrTTY": options.stderr_is_terminal,
                "testRunDurationMs": number::json(self.duration * 1e3),
            },
            "metrics": self.by_name(|metric| {
                let mut object = json!({
                    "type": metric.kind.as_str(),
                    "contains": metric.contains.as_str(),
                    "values": values(metric),
                });
                if !metric.thresholds.is_empty() {
                    object["thresholds"] = thresholds(metric, |ok| json!({ "ok": ok }));
                }
                object
            }),
        });
        self.add_failures(&mut data);
        self.add_instances(&mut data);
        self.add_setup_data(&mut data);
        data
    }

    /// What `handleSummary()` receives with `--new-machine-readable-summary`.
    ///
    /// In addition to the reference's, trends have every statistic that `summaryTrendStats` names.
    pub fn machine_readable(&self) -> Value {
        let listed =
            self.metrics.iter().filter(|metric| !matches!(&*metric.name, "checks" | "group_duration"));
        let mut results = Map::new();
        if let Some((passes, total)) = all_checks(&self.metrics) {
            results.insert("checks".to_owned(), self.checks_object(passes, total));
        }
        results.insert("metrics".to_owned(), listed.map(described).collect());
        json!({
            "version": SCHEMA,
            "config": {
                "duration": number::json(self.duration),
                "execution": "local",
                "script": self.options.script,
            },
            "metadata": {
                "k6_version": self.options.version,
                "generated_at": crate::time::rfc3339(SystemTime::now()),
            },
            "results": results,
        })
    }

    /// The file of `--summary-export`.
    pub fn export_json(&self) -> Vec<u8> {
        let mut data = json!({
            "root_group": keyed_group(&self.root),
            "metrics": self.by_name(|metric| {
                let mut flat = values(metric);
                if matches!(metric.values, Values::Rate { .. })
                    && let Some(rate) = flat.shift_remove("rate")
                {
                    flat.insert("value".to_owned(), rate);
                }
                if !metric.thresholds.is_empty() {
                    // The old format says which thresholds were crossed.
                    flat.insert("thresholds".to_owned(), thresholds(metric, |ok| Value::Bool(!ok)));
                }
                Value::Object(flat)
            }),
        });
        self.add_instances(&mut data);
        self.add_setup_data(&mut data);
        pretty(&data)
    }

    fn add_failures(&self, data: &mut Value) {
        if !self.wrong.failures.is_empty() {
            data["failures"] = self.wrong.json();
        }
    }

    fn add_instances(&self, data: &mut Value) {
        if let Some(instances) = &self.options.instances {
            data["instances"] = instances.json();
            data["missing"] = instances.objections.clone().into();
        }
    }

    fn add_setup_data(&self, data: &mut Value) {
        if let Some(setup) = &self.options.setup_data {
            data["setup_data"] = setup.clone();
        }
    }

    /// The file of `--summary-export` with `--new-machine-readable-summary`.
    pub fn machine_readable_export(&self) -> Vec<u8> {
        let mut data = self.machine_readable();
        self.add_failures(&mut data);
        self.add_instances(&mut data);
        pretty(&data)
    }

    fn by_name(&self, object: impl Fn(&Metric) -> Value) -> Map<String, Value> {
        let mut entries: Vec<_> =
            self.metrics.iter().map(|metric| (metric.name.clone(), object(metric))).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.into_iter().collect()
    }

    fn checks_object(&self, passes: u64, total: u64) -> Value {
        let share = |name: &str, matches: u64| {
            json!({
                "name": name,
                "type": "rate",
                "contains": "default",
                "values": { "rate": rate_of(matches, total), "matches": matches, "total": total },
            })
        };
        let lines = self
            .checks
            .iter()
            .map(|check| json!({ "name": check.name, "passes": check.passes, "fails": check.fails }));
        json!({
            "metrics": [
                { "name": "checks_total", "type": "counter", "contains": "default", "values": { "count": total } },
                share("checks_succeeded", passes),
                share("checks_failed", total - passes),
            ],
            "results": lines.collect::<Vec<_>>(),
        })
    }
}

fn described(metric: &Metric) -> Value {
    let values = match &metric.values {
        Values::Counter { count, .. } => json!({ "count": number::json(*count) }),
        Values::Gauge { .. } => Value::Object(values(metric)),
        Values::Rate { passes, total } => {
            json!({ "rate": rate_of(*passes, *total), "matches": passes, "total": total })
        }
        Values::Trend { all, .. } => {
            all.iter().map(|(stat, figure)| (stat.key(), number::json(*figure))).collect()
        }
    };
    json!({ "name": metric.name, "type": metric.kind.as_str(), "contains": metric.contains.as_str(), "values": values })
}

/// The share of 0 in 0 is 0.
fn rate_of(part: u64, whole: u64) -> Value {
    number::json(part as f64 / whole.max(1) as f64)
}

fn values(metric: &Metric) -> Map<String, Value> {
    let figures: Vec<(String, Value)> = match &metric.values {
        Values::Counter { count, rate } => {
            vec![("count".into(), number::json(*count)), ("rate".into(), number::json(*rate))]
        }
        Values::Gauge { value, min, max } => vec![
            ("value".into(), number::json(*value)),
            ("min".into(), number::json(*min)),
            ("max".into(), number::json(*max)),
        ],
        Values::Rate { passes, total } => vec![
            ("rate".into(), rate_of(*passes, *total)),
            ("passes".into(), (*passes).into()),
            ("fails".into(), (total - passes).into()),
        ],
        Values::Trend { shown, .. } => {
            shown.iter().map(|(stat, figure)| (stat.to_string(), number::json(*figure))).collect()
        }
    };
    figures.into_iter().collect()
}

fn thresholds(metric: &Metric, judgement: impl Fn(bool) -> Value) -> Value {
    let judged = metric.thresholds.iter().map(|t| (t.spec.source.clone(), judgement(t.ok)));
    Value::Object(judged.collect())
}

fn group(of: &Group) -> Value {
    json!({
        "name": of.name,
        "path": of.path,
        "id": of.id(),
        "groups": of.groups.iter().map(group).collect::<Vec<_>>(),
        "checks": of.checks.iter().map(check).collect::<Vec<_>>(),
    })
}

/// The content of a group by name, as in the old export.
fn keyed_group(of: &Group) -> Value {
    json!({
        "name": of.name,
        "path": of.path,
        "id": of.id(),
        "groups": of.groups.iter().map(|group| (group.name.clone(), keyed_group(group))).collect::<Map<_, _>>(),
        "checks": of.checks.iter().map(|of| (of.name.clone(), check(of))).collect::<Map<_, _>>(),
    })
}

fn check(of: &Check) -> Value {
    json!({ "name": of.name, "path": of.path, "id": of.id(), "passes": of.passes, "fails": of.fails })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    // Writing to memory cannot fail, and every key is a string.
    let _ = value.serialize(&mut serializer);
    bytes
}

#[cfg(test)]
mod tests {
    use senary_metrics::MetricType::{Counter, Gauge, Trend};
    use senary_metrics::ValueType::{Default as Plain, Time};

    use super::*;
    use crate::summary::testing::Run;
    use crate::summary::{SummaryOptions, TrendStat};

    fn summary(options: SummaryOptions) -> Summary {
        let mut run = Run::new();
        run.metric("hits", Counter, Plain);
        run.metric("level", Gauge, Plain);
        run.metric("lag", Trend, Time);
        run.add("hits", &[("kind", "a")], &[2.0, 0.5]);
        run.add("level", &[("kind", "a")], &[-1.0, 3.0, 2.0]);
        run.add("lag", &[("kind", "a")], &[1.0, 4.0]);
        run.add("checks", &[("check", "c"), ("group", "::g")], &[1.0, 0.0, 1.0, 1.0]);
        let thresholds: &[(&str, &[&str])] =
            &[("hits", &["count>0", "count>100"]), ("lag{ kind:a }", &["avg<1"])];
        Summary::new(run.results(thresholds), options)
    }

    fn percentile(text: &str) -> TrendStat {
        TrendStat::parse(text).unwrap()
    }

    #[test]
    fn legacy() {
        let options = SummaryOptions {
            trend_stats: vec![TrendStat::Avg, percentile("p(99.9)"), TrendStat::Count],
            no_color: true,
            stderr_is_terminal: true,
            setup_data: Some(json!({ "from": "setup" })),
            ..SummaryOptions::default()
        };
        let expected = json!({
            "root_group": {
                "name": "", "path": "", "id": "d41d8cd98f00b204e9800998ecf8427e",
                "groups": [{
                    "name": "g", "path": "::g", "id": "652e756c89643c3ada0b451cbd88a9d3",
                    "groups": [],
                    "checks": [{
                        "name": "c", "path": "::g::c", "id": "29c7ecfc22a9514dddfc70191ad1b230",
                        "passes": 3, "fails": 1,
                    }],
                }],
                "checks": [],
            },
            "options": {
                "summaryTrendStats": ["avg", "p(99.9)", "count"], "summaryTimeUnit": "", "noColor": true,
            },
            "state": { "isStdOutTTY": false, "isStdErrTTY": true, "testRunDurationMs": 10_000 },
            "metrics": {
                "checks": {
                    "type": "rate", "contains": "default",
                    "values": { "rate": 0.75, "passes": 3, "fails": 1 },
                },
                "hits": {
                    "type": "counter", "contains": "default",
                    "values": { "count": 2.5, "rate": 0.25 },
                    "thresholds": { "count>0": { "ok": true }, "count>100": { "ok": false } },
                },
                "lag": {
                    "type": "trend", "contains": "time",
                    "values": { "avg": 2.5, "p(99.9)": 3.9970000000000003, "count": 2 },
                },
                "lag{kind:a}": {
                    "type": "trend", "contains": "time",
                    "values": { "avg": 2.5, "p(99.9)": 3.9970000000000003, "count": 2 },
                    "thresholds": { "avg<1": { "ok": false } },
                },
                "level": {
                    "type": "gauge", "contains": "default",
                    "values": { "value": 2, "min": -1, "max": 3 },
                },
            },
            "setup_data": { "from": "setup" },
        });
        let got = summary(options).legacy_json();
        assert_eq!(
            serde_json::to_string_pretty(&got).unwrap(),
            serde_json::to_string_pretty(&expected).unwrap()
        );
    }

    #[test]
    fn old_export() {
        let options = SummaryOptions { trend_stats: vec![TrendStat::Max], ..SummaryOptions::default() };
        let expected = r#"{
    "root_group": {
        "name": "",
        "path": "",
        "id": "d41d8cd98f00b204e9800998ecf8427e",
        "groups": {
            "g": {
                "name": "g",
                "path": "::g",
                "id": "652e756c89643c3ada0b451cbd88a9d3",
                "groups": {},
                "checks": {
                    "c": {
                        "name": "c",
                        "path": "::g::c",
                        "id": "29c7ecfc22a9514dddfc70191ad1b230",
                        "passes": 3,
                        "fails": 1
                    }
                }
            }
        },
        "checks": {}
    },
    "metrics": {
        "checks": {
            "passes": 3,
            "fails": 1,
            "value": 0.75
        },
        "hits": {
            "count": 2.5,
            "rate": 0.25,
            "thresholds": {
                "count>0": false,
                "count>100": true
            }
        },
        "lag": {
            "max": 4
        },
        "lag{kind:a}": {
            "max": 4,
            "thresholds": {
                "avg<1": true
            }
        },
        "level": {
            "value": 2,
            "min": -1,
            "max": 3
        }
    }
}"#;
        assert_eq!(String::from_utf8(summary(options).export_json()).unwrap(), expected);
    }

    #[test]
    fn machine_readable_keeps_the_percentiles_asked_for() {
        let options = SummaryOptions {
            trend_stats: vec![percentile("p(99)"), TrendStat::Avg],
            script: "export default () => {}".to_owned(),
            version: "2.2.0".to_owned(),
            ..SummaryOptions::default()
        };
        let summary = summary(options);
        let mut got = summary.machine_readable();
        let generated = got["metadata"]["generated_at"].take();
        assert!(generated.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{generated}");
        let trend = json!({ "avg": 2.5, "min": 1, "med": 2.5, "max": 4, "p90": 3.7, "p95": 3.8499999999999996, "p99": 3.9699999999999998 });
        let rate = |name: &str, rate: f64, matches: u64| {
            json!({
                "name": name, "type": "rate", "contains": "default",
                "values": { "rate": rate, "matches": matches, "total": 4 },
            })
        };
        let expected = json!({
            "version": "1.0.0",
            "config": { "duration": 10, "execution": "local", "script": "export default () => {}" },
            "metadata": { "k6_version": "2.2.0", "generated_at": null },
            "results": {
                "checks": {
                    "metrics": [
                        { "name": "checks_total", "type": "counter", "contains": "default", "values": { "count": 4 } },
                        rate("checks_succeeded", 0.75, 3),
                        rate("checks_failed", 0.25, 1),
                    ],
                    "results": [{ "name": "c", "passes": 3, "fails": 1 }],
                },
                "metrics": [
                    { "name": "hits", "type": "counter", "contains": "default", "values": { "count": 2.5 } },
                    { "name": "lag", "type": "trend", "contains": "time", "values": trend },
                    { "name": "lag{kind:a}", "type": "trend", "contains": "time", "values": trend },
                    {
                        "name": "level", "type": "gauge", "contains": "default",
                        "values": { "value": 2, "min": -1, "max": 3 },
                    },
                ],
            },
        });
        assert_eq!(
            serde_json::to_string_pretty(&got).unwrap(),
            serde_json::to_string_pretty(&expected).unwrap()
        );
        assert!(summary.machine_readable_export().starts_with(b"{\n    \"version\": \"1.0.0\",\n"));
    }
}
