//! `--out json`: one JSON object per line, a `Metric` line before the first `Point` of each metric.
//! (<https://grafana.com/docs/k6/latest/results-output/real-time/json/>)
//!
//! Whatever is the same for all points of a time series is written once and kept: what is left per point is
//! a time and a number.

use std::collections::BTreeMap;
use std::io;

use senary_metrics::submetric::Selector;
use senary_metrics::threshold::{ThresholdSpec, WatchList};
use senary_metrics::{Metadata, MetricId, Registry, SampleBatch, SeriesMap};
use serde_json::{Map, Value, json};

use crate::number::push_json;
use crate::output::{CreateError, Output, OutputContext};
use crate::outputs::file::{LineFile, describe};
use crate::time::TimeWriter;

/// With the argument of `--out json=…`.
pub(crate) fn create(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    Ok(Box::new(JsonOutput::create(argument, context)?))
}

struct JsonOutput {
    file: LineFile,
    time: TimeWriter,
    series: SeriesMap<SeriesText>,
    descriptions: Descriptions,
}

/// The lines that describe metrics.
struct Descriptions {
    registry: Registry,
    watched: WatchList,
    /// Metrics that have their line.
    written: Vec<bool>,
}

/// The parts of a point's line that its series determines.
struct SeriesText {
    metric: MetricId,
    /// `{"metric":"hits","type":"Point","data":{"time":"`
    before_time: Box<str>,
    /// `,"tags":{"group":""}`
    after_value: Box<str>,
}

impl JsonOutput {
    fn create(path: Option<&str>, context: &OutputContext) -> Result<Self, String> {
        let file = LineFile::create(path).map_err(|error| describe(path.unwrap_or_default(), &error))?;
        Ok(Self {
            file,
            time: TimeWriter::local(),
            series: SeriesMap::default(),
            descriptions: Descriptions {
                registry: context.registry.clone(),
                watched: context.watched.clone(),
                written: Vec::new(),
            },
        })
    }

    fn learn(&mut self, batch: &SampleBatch) {
        let registry = &self.descriptions.registry;
        self.series.learn(batch, |series| {
            let name = registry.metric(series.metric).map(|metric| metric.name);
            let name = Value::from(name.as_deref().unwrap_or_default());
            let tags: Map<String, Value> =
                series.tags.iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            SeriesText {
                metric: series.metric,
                before_time: format!(r#"{{"metric":{name},"type":"Point","data":{{"time":""#).into(),
                after_value: format!(r#","tags":{}"#, Value::from(tags)).into(),
            }
        });
    }
}

impl Output for JsonOutput {
    fn description(&self) -> String {
        match self.file.path() {
            Some(path) => format!("json ({path})"),
            None => "json(stdout)".to_owned(),
        }
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.learn(batch);
        let metadata: Vec<_> = batch.metadata.iter().map(metadata_text).collect();
        for (series, sample) in self.series.samples(batch) {
            let out = self.file.buffer();
            self.descriptions.write_once(series.metric, out);
            out.extend_from_slice(series.before_time.as_bytes());
            self.time.push_nanos(out, sample.time);
            out.extend_from_slice(b"\",\"value\":");
            push_json(out, sample.value);
            out.extend_from_slice(series.after_value.as_bytes());
            if let Some(metadata) = sample.metadata_index().and_then(|at| metadata.get(at)) {
                out.extend_from_slice(metadata.as_bytes());
            }
            out.extend_from_slice(b"}}\n");
            self.file.write_if_full()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.close()
    }
}

fn metadata_text(metadata: &Metadata) -> String {
    if metadata.is_empty() {
        return String::new();
    }
    let object: Map<String, Value> = metadata.iter().map(|(k, v)| (k.to_string(), (&**v).into())).collect();
    format!(r#","metadata":{}"#, Value::from(object))
}

impl Descriptions {
    fn write_once(&mut self, metric: MetricId, out: &mut Vec<u8>) {
        let at = metric.0 as usize;
        if self.written.len() <= at {
            self.written.resize(at + 1, false);
        }
        if std::mem::replace(&mut self.written[at], true) {
            return;
        }
        let Some(found) = self.registry.metric(metric) else { return };
        let submetrics: Vec<_> = self.watched.submetrics_of(&found.name).map(submetric).collect();
        let line = json!({
            "type": "Metric",
            "data": {
                "name": *found.name,
                "type": found.kind.as_str(),
                "contains": found.contains.as_str(),
                "thresholds": self.watched.thresholds_of(&found.name).map(threshold).collect::<Vec<_>>(),
                "submetrics": if submetrics.is_empty() { Value::Null } else { submetrics.into() },
            },
            "metric": *found.name,
        });
        out.extend_from_slice(line.to_string().as_bytes());
        out.push(b'\n');
    }
}

fn threshold(spec: &ThresholdSpec) -> Value {
    if !spec.abort_on_fail {
        return Value::from(&*spec.source);
    }
    let delay = match spec.delay_abort_eval {
        0 => Value::Null,
        nanos => senary_words::duration::format_nanos(nanos).into(),
    };
    json!({ "threshold": spec.source, "abortOnFail": true, "delayAbortEval": delay })
}

fn submetric(selector: &Selector) -> Value {
    let tags: BTreeMap<_, _> = selector.tags.iter().map(|(key, value)| (key, value)).collect();
    json!({ "name": selector.name(), "suffix": selector.suffix, "tags": tags })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::sync::Arc;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use senary_metrics::{MetricType, ProducerId, Recorder, TagSet, Timestamp, ValueType};

    use super::*;

    fn written(path: &str, registry: &Registry, watched: &WatchList, batches: &[SampleBatch]) -> Vec<u8> {
        let mut output = JsonOutput::create(Some(path), &OutputContext::of(registry, watched)).unwrap();
        for batch in batches {
            output.add(batch).unwrap();
        }
        output.close().unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn lines() {
        let registry = Registry::new();
        let hits = registry.get_or_register("hits", MetricType::Counter, ValueType::Default).unwrap();
        let lag = registry.get_or_register("lag", MetricType::Trend, ValueType::Time).unwrap();
        let spec = |source: &str, abort_on_fail, seconds: i64| ThresholdSpec {
            source: source.into(),
            abort_on_fail,
            delay_abort_eval: seconds * 1_000_000_000,
        };
        let plan = vec![
            (
                "hits".to_owned(),
                vec![spec("count>1", false, 0), spec("count<9", true, 0), spec("rate<9", true, 90)],
            ),
            ("hits{ size:big,kind:a }".to_owned(), vec![spec("count>0", false, 0)]),
        ];
        let watched = WatchList::new(&plan, true);
        let metadata: Metadata = Arc::new([("iter".into(), "0".into()), ("vu".into(), "1".into())]);
        let mut recorder = Recorder::new(ProducerId(3));
        let plain = recorder.intern(&TagSet::default());
        let tagged = recorder.intern(&TagSet::new([("scenario", "main"), ("check", "a \"b\" <&>\n\u{1}")]));
        let series = recorder.series(hits, plain);
        recorder.record(series, 1.0, Timestamp(0));
        let mut batches = vec![recorder.take_batch().unwrap()];
        recorder.record_with(series, 0.5, Timestamp(1), &metadata);
        let series = recorder.series(lag, tagged);
        recorder.record_with(series, 1e-7, Timestamp(1_500_000_000), &metadata);
        recorder.record(series, -3.25e21, Timestamp(60_000_000_000));
        batches.push(recorder.take_batch().unwrap());

        let folder = tempfile::tempdir().unwrap();
        let text =
            written(&folder.path().join("out.json").display().to_string(), &registry, &watched, &batches);
        let zone = {
            let mut out = Vec::new();
            TimeWriter::local().push_seconds(&mut out, Timestamp(0));
            String::from_utf8(out).unwrap()[19..].to_owned()
        };
        // The expectations are in UTC; elsewhere only the shape can be compared.
        if zone == "Z" {
            assert_eq!(
                String::from_utf8(text).unwrap(),
                r#"{"type":"Metric","data":{"name":"hits","type":"counter","contains":"default","thresholds":["count>1",{"threshold":"count<9","abortOnFail":true,"delayAbortEval":null},{"threshold":"rate<9","abortOnFail":true,"delayAbortEval":"1m30s"}],"submetrics":[{"name":"hits{size:big,kind:a}","suffix":"size:big,kind:a","tags":{"kind":"a","size":"big"}}]},"metric":"hits"}
{"metric":"hits","type":"Point","data":{"time":"1970-01-01T00:00:00Z","value":1,"tags":{}}}
{"metric":"hits","type":"Point","data":{"time":"1970-01-01T00:00:00.000000001Z","value":0.5,"tags":{},"metadata":{"iter":"0","vu":"1"}}}
{"type":"Metric","data":{"name":"lag","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"lag"}
{"metric":"lag","type":"Point","data":{"time":"1970-01-01T00:00:01.5Z","value":1e-7,"tags":{"check":"a \"b\" <&>\n\u0001","scenario":"main"},"metadata":{"iter":"0","vu":"1"}}}
{"metric":"lag","type":"Point","data":{"time":"1970-01-01T00:01:00Z","value":-3.25e+21,"tags":{"check":"a \"b\" <&>\n\u0001","scenario":"main"}}}
"#
            );
        }
    }

    #[test]
    fn compressed_files_hold_the_same_lines() {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let mut recorder = Recorder::new(ProducerId(0));
        let tags = recorder.intern(&TagSet::new([("scenario", "default")]));
        let series = recorder.series(senary_metrics::builtin::ITERATIONS, tags);
        for at in 0..5_000 {
            recorder.record(series, 1.0, Timestamp(at));
        }
        let batches = [recorder.take_batch().unwrap()];
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let plain = written(&path("out.json"), &registry, &watched, &batches);
        let compressed = written(&path("out.json.gz"), &registry, &watched, &batches);
        assert!(compressed.len() < plain.len() / 5);
        let mut unpacked = Vec::new();
        GzDecoder::new(&*compressed).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain);
        assert_eq!(plain.iter().filter(|byte| **byte == b'\n').count(), 5_001);
    }

    #[test]
    fn descriptions() {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let of = |path| create(path, &OutputContext::of(&registry, &watched)).unwrap().description();
        assert_eq!(of(None), "json(stdout)");
        assert_eq!(of(Some("-")), "json(stdout)");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f").display().to_string();
        assert_eq!(of(Some(&path)), format!("json ({path})"));
    }

    proptest! {
        #[test]
        fn points_read_back_the_same(
            value in prop::num::f64::NORMAL | prop::num::f64::ZERO,
            nanos in 0i64..4_000_000_000_000_000_000,
            tags in prop::collection::btree_map(".{0,10}", ".{0,10}", 0..4),
            noted in prop::collection::btree_map(".{0,10}", ".{0,10}", 0..3),
        ) {
            let (registry, watched) = (Registry::new(), WatchList::default());
            let mut recorder = Recorder::new(ProducerId(0));
            let id = recorder.intern(&TagSet::new(tags.iter().map(|(k, v)| (k.as_str(), v.as_str()))));
            let series = recorder.series(senary_metrics::builtin::VUS, id);
            let metadata: Metadata = noted.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
            recorder.record_with(series, value, Timestamp(nanos), &metadata);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out").display().to_string();
            let text = String::from_utf8(written(&path, &registry, &watched, &[recorder.take_batch().unwrap()])).unwrap();
            let point: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
            let data = &point["data"];
            prop_assert_eq!(&point["metric"], "vus");
            // The reader is not exact to the last bit; the numbers themselves are tested elsewhere.
            let read = data["value"].as_f64().unwrap();
            prop_assert!((read - value).abs() <= value.abs() * 1e-15, "{read} instead of {value}");
            prop_assert_eq!(&data["tags"], &json!(tags));
            prop_assert_eq!(data.get("metadata").cloned(), (!noted.is_empty()).then(|| json!(noted)));
            let time: jiff::Timestamp = data["time"].as_str().unwrap().parse().unwrap();
            prop_assert_eq!(time.as_nanosecond(), i128::from(nanos));
        }
    }
}
