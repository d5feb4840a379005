//! `--out json`: one JSON object per line, a `Metric` line before the first `Point` of each metric.
//! (<https://grafana.com/docs/k6/latest/results-output/real-time/json/>)
//!
//! Whatever is the same for all points of a time series is written once and kept: what is left per point is
//! a time and a number.

use std::collections::BTreeMap;
use std::io;

use senary_metrics::submetric::Selector;
use senary_metrics::threshold::ThresholdSpec;
use senary_metrics::{Engine, Metadata, MetricId, SampleBatch};
use serde_json::{Map, Value, json};

use crate::file::{LineFile, describe};
use crate::number::push_json;
use crate::output::Output;
use crate::time::TimeWriter;

pub struct JsonOutput {
    file: LineFile,
    time: TimeWriter,
    /// By producer and series.
    series: Vec<Vec<SeriesText>>,
    /// Metrics that have their line.
    described: Vec<bool>,
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
    /// With the argument of `--out json=…`.
    pub(crate) fn create(path: Option<&str>) -> Result<Self, String> {
        let file = LineFile::create(path).map_err(|error| describe(path.unwrap_or_default(), &error))?;
        Ok(Self { file, time: TimeWriter::local(), series: Vec::new(), described: Vec::new() })
    }

    fn learn(&mut self, batch: &SampleBatch, engine: &Engine) {
        let producer = batch.producer.0 as usize;
        if self.series.len() <= producer {
            self.series.resize_with(producer + 1, Vec::new);
        }
        for series in &batch.new_series {
            let name = engine.registry().metric(series.metric).map(|metric| metric.name);
            let name = Value::from(name.as_deref().unwrap_or_default());
            let tags: Map<String, Value> =
                series.tags.iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            self.series[producer].push(SeriesText {
                metric: series.metric,
                before_time: format!(r#"{{"metric":{name},"type":"Point","data":{{"time":""#).into(),
                after_value: format!(r#","tags":{}"#, Value::from(tags)).into(),
            });
        }
    }
}

impl Output for JsonOutput {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn description(&self) -> String {
        match self.file.path() {
            Some(path) => format!("json ({path})"),
            None => "json(stdout)".to_owned(),
        }
    }

    fn add(&mut self, batch: &SampleBatch, engine: &Engine) -> io::Result<()> {
        self.learn(batch, engine);
        let series = &self.series[batch.producer.0 as usize];
        let metadata: Vec<_> = batch.metadata.iter().map(metadata_text).collect();
        for sample in &batch.samples {
            let Some(series) = series.get(sample.series.0 as usize) else { continue };
            let out = self.file.buffer();
            describe_once(&mut self.described, series.metric, engine, out);
            out.extend_from_slice(series.before_time.as_bytes());
            self.time.push_nanos(out, sample.time);
            out.extend_from_slice(b"\",\"value\":");
            push_json(out, sample.value);
            out.extend_from_slice(series.after_value.as_bytes());
            if let Some(metadata) = (sample.metadata as usize).checked_sub(1).and_then(|at| metadata.get(at))
            {
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

fn describe_once(described: &mut Vec<bool>, metric: MetricId, engine: &Engine, out: &mut Vec<u8>) {
    let at = metric.0 as usize;
    if described.len() <= at {
        described.resize(at + 1, false);
    }
    if std::mem::replace(&mut described[at], true) {
        return;
    }
    let Some(found) = engine.registry().metric(metric) else { return };
    let (thresholds, selectors) = engine.watched_on(metric);
    let submetrics: Vec<_> = selectors.iter().map(submetric).collect();
    let line = json!({
        "type": "Metric",
        "data": {
            "name": *found.name,
            "type": found.kind.as_str(),
            "contains": found.contains.as_str(),
            "thresholds": thresholds.iter().map(threshold).collect::<Vec<_>>(),
            "submetrics": if submetrics.is_empty() { Value::Null } else { submetrics.into() },
        },
        "metric": *found.name,
    });
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
}

fn threshold(spec: &ThresholdSpec) -> Value {
    if !spec.abort_on_fail {
        return Value::from(&*spec.source);
    }
    let delay = match spec.delay_abort_eval {
        0 => Value::Null,
        nanos => senary_metrics::duration::format_nanos(nanos).into(),
    };
    json!({ "threshold": spec.source, "abortOnFail": true, "delayAbortEval": delay })
}

fn submetric(selector: &Selector) -> Value {
    let tags: BTreeMap<_, _> = selector.tags.iter().map(|(key, value)| (key, value)).collect();
    json!({ "name": selector.name(), "suffix": selector.suffix, "tags": tags })
}
