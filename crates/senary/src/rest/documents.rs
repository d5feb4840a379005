//! Figures of a run as JSON:API documents (<https://jsonapi.org/>), in the reference's shapes.

use md5::{Digest, Md5};
use senary_metrics::Results;
use senary_metrics::engine::MetricResult;
use senary_metrics::group::SEPARATOR;
use senary_metrics::sink::Sink;
use serde_json::{Map, Value, json};

use super::Status;

pub fn status(status: &Status) -> Value {
    json!({"data": {"type": "status", "id": "default", "attributes": {
        "status": status.phase.code(),
        "paused": status.paused,
        "vus": status.vus,
        "vus-max": status.vus_max,
        "stopped": status.stopped,
        "running": status.phase.is_running(),
        "tainted": status.tainted,
    }}})
}

/// `data` is JSON, and stays as it is written.
pub fn setup_data(data: Option<&str>) -> String {
    let attributes = data.map(|json| format!(r#"{{"data":{json}}}"#)).unwrap_or_else(|| "{}".to_owned());
    format!(r#"{{"data":{{"type":"setupData","id":"default","attributes":{attributes}}}}}"#)
}

pub fn error(status: u16, title: &str, detail: &str) -> Value {
    json!({"errors": [{"status": status.to_string(), "title": title, "detail": detail}]})
}

pub fn metrics(mut results: Results) -> Value {
    let elapsed = results.duration;
    let metrics: Vec<Value> = results.metrics.iter_mut().map(|metric| resource(metric, elapsed)).collect();
    json!({"data": metrics})
}

pub fn metric(mut results: Results, name: &str) -> Option<Value> {
    let elapsed = results.duration;
    let metric = results.metrics.iter_mut().find(|metric| metric.name == name)?;
    Some(json!({"data": resource(metric, elapsed)}))
}

fn resource(metric: &mut MetricResult, elapsed: f64) -> Value {
    // The field is null for metrics without thresholds.
    let tainted = (!metric.thresholds.is_empty()).then(|| metric.thresholds.iter().any(|t| !t.ok));
    json!({"type": "metrics", "id": metric.name, "attributes": {
        "type": metric.kind.as_str(),
        "contains": metric.contains.as_str(),
        "tainted": tainted,
        "sample": sample(&mut metric.sink, elapsed),
    }})
}

fn sample(sink: &mut Sink, elapsed: f64) -> Value {
    let values = match sink {
        Sink::Counter(s) => {
            vec![("count", s.value()), ("rate", if elapsed > 0.0 { s.value() / elapsed } else { 0.0 })]
        }
        Sink::Gauge(s) => vec![("value", s.value)],
        Sink::Rate(s) => vec![("rate", s.rate())],
        Sink::Trend(s) => vec![
            ("min", s.min()),
            ("max", s.max()),
            ("avg", s.avg()),
            ("med", s.percentile(50.0)),
            ("p(90)", s.percentile(90.0)),
            ("p(95)", s.percentile(95.0)),
        ],
    };
    values.into_iter().map(|(name, value)| (name.to_owned(), number(value))).collect::<Map<_, _>>().into()
}

/// A number as JavaScript and Go print it: whole ones have no decimals.
fn number(value: f64) -> Value {
    const EXACT: f64 = (1u64 << 53) as f64;
    if value.fract() == 0.0 && value.abs() < EXACT { json!(value as i64) } else { json!(value) }
}

pub fn groups(results: &Results) -> Value {
    let paths = paths(results);
    let groups: Vec<Value> = paths.iter().map(|path| group_resource(results, &paths, path)).collect();
    json!({"data": groups})
}

pub fn group(results: &Results, id: &str) -> Option<Value> {
    let paths = paths(results);
    let path = paths.iter().find(|path| hash(path) == id)?;
    Some(json!({"data": group_resource(results, &paths, path)}))
}

/// The root group and all others, parents before children.
fn paths(results: &Results) -> Vec<&str> {
    let mut paths = vec![""];
    let with_checks = results.checks.iter().map(|check| &check.group);
    for path in results.groups.iter().chain(with_checks) {
        let ends = path.match_indices(SEPARATOR).map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
        for prefix in ends.map(|end| &path[..end]) {
            if !paths.contains(&prefix) {
                paths.push(prefix);
            }
        }
    }
    paths
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once(SEPARATOR).map(|(parent, _)| parent)
}

fn group_resource(results: &Results, paths: &[&str], path: &str) -> Value {
    let reference = |path: &str| json!({"type": "groups", "id": hash(path)});
    let children: Vec<Value> =
        paths.iter().filter(|child| parent(child) == Some(path)).map(|child| reference(child)).collect();
    json!({
        "type": "groups",
        "id": hash(path),
        "attributes": {
            "path": path,
            "name": path.rsplit_once(SEPARATOR).map_or(path, |(_, name)| name),
            "checks": checks(results, path),
        },
        "relationships": {
            "groups": {"data": children},
            "parent": {"data": parent(path).map(reference)},
        },
    })
}

/// The checks of a group, over all scenarios, in order of first appearance.
fn checks(results: &Results, group: &str) -> Vec<Value> {
    let mut sums: Vec<(&str, u64, u64)> = Vec::new();
    for check in results.checks.iter().filter(|check| &*check.group == group) {
        match sums.iter_mut().find(|(name, ..)| *name == &*check.name) {
            Some((_, passes, fails)) => {
                *passes += check.passes;
                *fails += check.fails;
            }
            None => sums.push((&check.name, check.passes, check.fails)),
        }
    }
    let document = |(name, passes, fails): (&str, u64, u64)| {
        let path = format!("{group}{SEPARATOR}{name}");
        json!({"id": hash(&path), "path": path, "name": name, "passes": passes, "fails": fails})
    };
    sums.into_iter().map(document).collect()
}

/// Groups and checks are known by the MD5 of their paths.
fn hash(path: &str) -> String {
    Md5::digest(path.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use senary_metrics::engine::{CheckResult, ThresholdResult};
    use senary_metrics::threshold::ThresholdSpec;
    use senary_metrics::{MetricType, Timestamp, ValueType};

    use super::*;

    fn metric(name: &str, kind: MetricType, values: &[f64], holds: Option<bool>) -> MetricResult {
        let mut sink = Sink::new(kind);
        values.iter().for_each(|value| sink.add(*value, Timestamp(0)));
        let threshold = |ok| ThresholdResult {
            has_data: true,
            spec: ThresholdSpec { source: "count<1".into(), abort_on_fail: false, delay_abort_eval: 0 },
            ok,
            method: "count".into(),
            value: 0.0,
        };
        MetricResult {
            name: name.to_owned(),
            kind,
            contains: ValueType::Default,
            sink,
            thresholds: holds.into_iter().map(threshold).collect(),
            parent: None,
        }
    }

    fn check(group: &str, scenario: &str, name: &str, passes: u64, fails: u64) -> CheckResult {
        CheckResult { name: name.into(), group: group.into(), scenario: scenario.into(), passes, fails }
    }

    fn results() -> Results {
        Results {
            metrics: vec![
                metric("c", MetricType::Counter, &[5.0], Some(false)),
                metric("g", MetricType::Gauge, &[7.5], Some(true)),
                metric("r", MetricType::Rate, &[1.0, 0.0], None),
                metric("t", MetricType::Trend, &[10.0, 20.0], None),
            ],
            checks: vec![
                check("", "a", "at root", 1, 0),
                check("::outer::inner", "a", "deep", 0, 1),
                check("", "b", "at root", 2, 3),
            ],
            groups: vec!["::outer::inner".into()],
            parts: Vec::new(),
            duration: 2.0,
        }
    }

    #[test]
    fn metrics_have_the_values_of_their_type() {
        let all = metrics(results());
        let attributes = |index: usize| all["data"][index]["attributes"].to_string();
        assert_eq!(
            attributes(0),
            r#"{"type":"counter","contains":"default","tainted":true,"sample":{"count":5,"rate":2.5}}"#
        );
        assert_eq!(
            attributes(1),
            r#"{"type":"gauge","contains":"default","tainted":false,"sample":{"value":7.5}}"#
        );
        assert_eq!(
            attributes(2),
            r#"{"type":"rate","contains":"default","tainted":null,"sample":{"rate":0.5}}"#
        );
        assert_eq!(
            all["data"][3]["attributes"]["sample"].to_string(),
            r#"{"min":10,"max":20,"avg":15,"med":15,"p(90)":19,"p(95)":19.5}"#
        );
        assert_eq!(super::metric(results(), "g").unwrap()["data"], all["data"][1]);
        assert_eq!(super::metric(results(), "x"), None);
    }

    #[test]
    fn groups_know_each_other_and_their_checks() {
        let all = groups(&results());
        let ids: Vec<&str> =
            all["data"].as_array().unwrap().iter().map(|g| g["id"].as_str().unwrap()).collect();
        let [root, outer, inner] = ids[..] else { panic!("{ids:?}") };
        assert_eq!(root, "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(outer, "c34b428ee7255085dfe7fef53d3394d5");
        assert_eq!(inner, "b6c425bc7b9e3d21a2d56ce7a6de3614");
        let of = |index: usize, what: &str| all["data"][index]["relationships"][what]["data"].to_string();
        assert_eq!(of(0, "groups"), format!(r#"[{{"type":"groups","id":"{outer}"}}]"#));
        assert_eq!(of(0, "parent"), "null");
        assert_eq!(of(2, "parent"), format!(r#"{{"type":"groups","id":"{outer}"}}"#));
        let attributes = &all["data"][0]["attributes"];
        assert_eq!((&attributes["path"], &attributes["name"]), (&json!(""), &json!("")));
        let check = &attributes["checks"][0];
        assert_eq!(
            (&check["path"], &check["passes"], &check["fails"]),
            (&json!("::at root"), &json!(3), &json!(3))
        );
        assert_eq!(group(&results(), inner).unwrap()["data"], all["data"][2]);
        assert_eq!(group(&results(), "0"), None);
    }

    #[test]
    fn numbers_are_short() {
        let text = |value: f64| number(value).to_string();
        assert_eq!((text(5.0), text(-0.25), text(1e300)), ("5".into(), "-0.25".into(), "1e+300".into()));
        assert_eq!(text(f64::NAN), "null");
    }
}
