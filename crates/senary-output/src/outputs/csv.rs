//! `--out csv`: one row per sample, a column per system tag.
//! (<https://grafana.com/docs/k6/latest/results-output/real-time/csv/>)

use std::io::{self, Write};
use std::time::{Duration, Instant};

use senary_metrics::tags::system;
use senary_metrics::{Registry, SampleBatch, Series, SeriesMap, Timestamp};
use senary_words::duration::parse_extended;

use crate::output::{CreateError, Output, OutputContext};
use crate::outputs::file::{LineFile, describe};
use crate::settings::SettingHelp;
use crate::time::TimeWriter;

/// With the argument of `--out csv=…`.
pub(crate) fn create(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    let config = CsvConfig::consolidate(argument, context)?;
    Ok(Box::new(CsvOutput::create(&config, context)?))
}

/// The names of an argument's keys in a configuration file.
const FILE_KEYS: [(&str, &str); 3] =
    [("file_name", "fileName"), ("save_interval", "saveInterval"), ("time_format", "timeFormat")];

/// For `--out help`.
pub(crate) fn settings() -> Vec<SettingHelp> {
    let rows = [
        ("fileName", "K6_CSV_FILENAME", "file.csv", "where the rows go; - is standard output"),
        ("saveInterval", "K6_CSV_SAVE_INTERVAL", "1s", "how often rows are written"),
        (
            "timeFormat",
            "K6_CSV_TIME_FORMAT",
            "unix",
            "unix, unix_milli, unix_micro, unix_nano, rfc3339 or rfc3339_nano",
        ),
    ];
    let help = |(key, variable, default, meaning): (&str, &str, _, _)| SettingHelp {
        key: key.to_owned(),
        variables: vec![variable.to_owned()],
        default,
        meaning,
    };
    rows.map(help).into()
}

/// How the rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CsvConfig {
    file_name: String,
    save_interval: Duration,
    time_format: TimeFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeFormat {
    Unix,
    UnixMilli,
    UnixMicro,
    UnixNano,
    Rfc3339,
    Rfc3339Nano,
}

impl Default for CsvConfig {
    fn default() -> Self {
        let save_interval = Duration::from_secs(1);
        Self { file_name: "file.csv".to_owned(), save_interval, time_format: TimeFormat::Unix }
    }
}

impl CsvConfig {
    /// The environment overrides the configuration file, and the argument overrides both.
    fn consolidate(argument: Option<&str>, context: &OutputContext) -> Result<Self, String> {
        let mut config = Self::default();
        let collector = context.collectors.and_then(|collectors| collectors.get("csv"));
        for (name, value) in collector.and_then(|c| c.as_object()).into_iter().flatten() {
            // The configuration file has its own names; others have no meaning there.
            let Some((_, key)) = FILE_KEYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
                continue;
            };
            if !value.is_null() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                config.set(key, &value).map_err(|reason| format!("collectors.csv.{name}: {reason}"))?;
            }
        }
        let variables = [
            ("K6_CSV_FILENAME", "fileName"),
            ("K6_CSV_SAVE_INTERVAL", "saveInterval"),
            ("K6_CSV_TIME_FORMAT", "timeFormat"),
        ];
        for (variable, key) in variables {
            if let Some(value) = context.variable(variable) {
                config.set(key, value).map_err(|reason| format!("{variable}: {reason}"))?;
            }
        }
        match argument {
            None | Some("") => {}
            Some(path) if !path.contains('=') => path.clone_into(&mut config.file_name),
            Some(pairs) => {
                for pair in pairs.split(',') {
                    let (key, value) = pair
                        .split_once('=')
                        .ok_or_else(|| format!("couldn't parse {pairs:?} as argument for csv output"))?;
                    let key = key.trim();
                    let is_known = FILE_KEYS.iter().any(|(_, known)| *known == key);
                    config
                        .set(key, value.trim())
                        .map_err(|reason| if is_known { format!("{key}: {reason}") } else { reason })?;
                }
            }
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "fileName" => value.clone_into(&mut self.file_name),
            "saveInterval" => {
                let nanos = parse_extended(value).map_err(|error| error.to_string())?;
                self.save_interval = Duration::from_nanos(nanos.max(0).unsigned_abs());
            }
            "timeFormat" => self.time_format = TimeFormat::parse(value)?,
            other => return Err(format!("unknown key {other:?} as argument for csv output")),
        }
        Ok(())
    }
}

impl TimeFormat {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "unix" => Self::Unix,
            "unix_milli" => Self::UnixMilli,
            "unix_micro" => Self::UnixMicro,
            "unix_nano" => Self::UnixNano,
            "rfc3339" => Self::Rfc3339,
            "rfc3339_nano" => Self::Rfc3339Nano,
            other => {
                return Err(format!(
                    "{other} is no time format: use unix, unix_milli, unix_micro, unix_nano, rfc3339 or rfc3339_nano"
                ));
            }
        })
    }
}

struct CsvOutput {
    file: LineFile,
    time: TimeWriter,
    time_format: TimeFormat,
    registry: Registry,
    /// Tags with a column of their own, sorted.
    columns: Vec<String>,
    series: SeriesMap<SeriesText>,
    save_interval: Duration,
    saved: Instant,
}

/// The parts of a row that its series determines.
struct SeriesText {
    name: Box<str>,
    /// The columns of tags, and the extra tags.
    tags: Box<str>,
}

impl CsvOutput {
    fn create(config: &CsvConfig, context: &OutputContext) -> Result<Self, String> {
        let name = &config.file_name;
        let file = LineFile::create(Some(name)).map_err(|error| describe(name, &error))?;
        // These two come as metadata.
        let mut columns: Vec<_> =
            context.system_tags.iter().filter(|tag| !system::is_metadata(tag)).cloned().collect();
        columns.sort_unstable();
        let mut output = Self {
            file,
            time: TimeWriter::local(),
            time_format: config.time_format,
            registry: context.registry.clone(),
            columns,
            series: SeriesMap::default(),
            save_interval: config.save_interval,
            saved: Instant::now(),
        };
        output.header();
        Ok(output)
    }

    fn header(&mut self) {
        let mut line = "metric_name,timestamp,metric_value".to_owned();
        for column in &self.columns {
            line.push(',');
            push_field(&mut line, column);
        }
        line.push_str(",extra_tags,metadata\n");
        self.file.buffer().extend_from_slice(line.as_bytes());
    }

    fn learn(&mut self, batch: &SampleBatch) {
        let (columns, registry) = (&self.columns, &self.registry);
        self.series.learn(batch, |series| {
            let name = registry.metric(series.metric).map(|metric| metric.name.as_ref().into());
            SeriesText { name: name.unwrap_or_default(), tags: tags(columns, series).into() }
        });
    }
}

fn tags(columns: &[String], series: &Series) -> String {
    let mut text = String::new();
    for column in columns {
        push_field(&mut text, series.tags.get(column).unwrap_or_default());
        text.push(',');
    }
    let extra = series.tags.iter().filter(|(key, _)| !columns.iter().any(|column| column == key));
    push_field(&mut text, &pairs(extra));
    text
}

impl Output for CsvOutput {
    fn description(&self) -> String {
        format!("csv ({})", self.file.path().unwrap_or("stdout"))
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        self.learn(batch);
        let metadata = batch.metadata.iter().map(|metadata| {
            let mut field = String::new();
            push_field(&mut field, &pairs(metadata.iter().map(|(key, value)| (&**key, &**value))));
            field
        });
        let metadata: Vec<_> = metadata.collect();
        for (series, sample) in self.series.samples(batch) {
            let out = self.file.buffer();
            out.extend_from_slice(series.name.as_bytes());
            out.push(b',');
            push_time(out, self.time_format, &mut self.time, sample.time);
            out.push(b',');
            push_value(out, sample.value);
            out.push(b',');
            out.extend_from_slice(series.tags.as_bytes());
            out.push(b',');
            if let Some(metadata) = sample.metadata_index().and_then(|at| metadata.get(at)) {
                out.extend_from_slice(metadata.as_bytes());
            }
            out.push(b'\n');
            self.file.write_if_full()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.saved.elapsed() < self.save_interval {
            return Ok(());
        }
        self.saved = Instant::now();
        self.file.flush()
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.close()
    }
}

/// `k=v&k=v`; the last key comes first, as in the reference.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    pairs.reverse();
    pairs.join("&")
}

fn push_time(out: &mut Vec<u8>, format: TimeFormat, writer: &mut TimeWriter, time: Timestamp) {
    let divisor = match format {
        TimeFormat::Unix => 1_000_000_000,
        TimeFormat::UnixMilli => 1_000_000,
        TimeFormat::UnixMicro => 1_000,
        TimeFormat::UnixNano => 1,
        TimeFormat::Rfc3339 => return writer.push_seconds(out, time),
        TimeFormat::Rfc3339Nano => return writer.push_nanos(out, time),
    };
    out.extend_from_slice(itoa::Buffer::new().format(time.0.div_euclid(divisor)).as_bytes());
}

/// Six decimals, always.
fn push_value(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        out.extend_from_slice(b".000000");
    } else if value.is_finite() {
        // Writing to memory cannot fail.
        let _ = write!(out, "{value:.6}");
    } else {
        let text: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"+Inf"
        } else {
            b"-Inf"
        };
        out.extend_from_slice(text);
    }
}

/// Quoted if necessary.
fn push_field(line: &mut String, field: &str) {
    let quoted = field.contains(['"', ',', '\n', '\r']) || field.starts_with([' ', '\t']) || field == "\\.";
    if quoted {
        line.push('"');
        line.push_str(&field.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::fs;
    use std::sync::Arc;

    use proptest::prelude::*;
    use senary_metrics::threshold::WatchList;
    use senary_metrics::{Metadata, MetricType, ProducerId, Recorder, TagSet, ValueType};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_file_has_names_of_its_own() {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let of = |csv: serde_json::Value| {
            let collectors = json!({"csv": csv, "json": {"x": 1}});
            let context = OutputContext::of(&registry, &watched);
            CsvConfig::consolidate(None, &OutputContext { collectors: Some(&collectors), ..context })
        };
        let config = of(json!({"file_name": "a", "SAVE_INTERVAL": "2s", "time_format": "rfc3339"})).unwrap();
        let save_interval = Duration::from_secs(2);
        let time_format = TimeFormat::Rfc3339;
        assert_eq!(config, CsvConfig { file_name: "a".to_owned(), save_interval, time_format });
        assert_eq!(of(json!({"save_interval": 500})).unwrap().save_interval, Duration::from_millis(500));
        assert_eq!(of(json!({"fileName": "a", "more": [1], "file_name": null})), Ok(CsvConfig::default()));
        assert!(of(json!({"time_format": "moon"})).is_err());
    }

    /// The file after one sample.
    fn written(
        format: TimeFormat,
        columns: &[&str],
        tags: TagSet,
        value: f64,
        metadata: &Metadata,
    ) -> String {
        let registry = Registry::new();
        let hits = registry.get_or_register("hits", MetricType::Counter, ValueType::Default).unwrap();
        let mut recorder = Recorder::new(ProducerId(0));
        let tags = recorder.intern(&tags);
        let series = recorder.series(hits, tags);
        recorder.record_with(series, value, Timestamp(1_795_451_192_939_094_099), metadata);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv").display().to_string();
        let config = CsvConfig { file_name: path.clone(), time_format: format, ..CsvConfig::default() };
        let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
        let watched = WatchList::default();
        let context = OutputContext { system_tags: &columns, ..OutputContext::of(&registry, &watched) };
        let mut output = CsvOutput::create(&config, &context).unwrap();
        assert_eq!(output.description(), format!("csv ({path})"));
        output.add(&recorder.take_batch().unwrap()).unwrap();
        output.close().unwrap();
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn rows() {
        let tags = TagSet::new([("check", "with \"quotes\""), ("kind", "a"), ("other", "b,c"), ("url", "")]);
        let metadata: Metadata = Arc::new([("iter".into(), "0".into()), ("vu".into(), "1".into())]);
        assert_eq!(
            written(TimeFormat::Unix, &["url", "iter", "check", "vu"], tags, 2.0, &metadata),
            "metric_name,timestamp,metric_value,check,url,extra_tags,metadata
hits,1795451192,2.000000,\"with \"\"quotes\"\"\",,\"other=b,c&kind=a\",vu=1&iter=0
"
        );
    }

    #[test]
    fn times_and_values() {
        let none: Metadata = Arc::new([]);
        let row = |format, value| {
            let text = written(format, &[], TagSet::default(), value, &none);
            text.lines().nth(1).unwrap().to_owned()
        };
        assert_eq!(row(TimeFormat::UnixMilli, -1.5), "hits,1795451192939,-1.500000,,");
        assert_eq!(row(TimeFormat::UnixMicro, 0.1234567), "hits,1795451192939094,0.123457,,");
        assert_eq!(row(TimeFormat::UnixNano, 1e15), "hits,1795451192939094099,1000000000000000.000000,,");
        let seconds = row(TimeFormat::Rfc3339, 0.0);
        let nanos = row(TimeFormat::Rfc3339Nano, 0.0);
        assert_eq!(seconds.len(), nanos.len() - ".939094099".len());
        assert!(nanos.contains(":32.939094099"), "{nanos}");
    }

    #[test]
    fn the_argument_beats_the_environment_and_that_the_configuration_file() {
        let none = BTreeMap::new();
        let env = [("K6_CSV_FILENAME", "from-env"), ("K6_CSV_SAVE_INTERVAL", "3s")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let file =
            json!({ "csv": { "file_name": "from-file", "time_format": "rfc3339", "save_interval": "5s" } });
        let (registry, watched) = (Registry::new(), WatchList::default());
        let read = |argument, env, collectors| {
            let context = OutputContext { env, collectors, ..OutputContext::of(&registry, &watched) };
            CsvConfig::consolidate(argument, &context)
        };
        assert_eq!(read(None, &none, None), Ok(CsvConfig::default()));
        let config = read(None, &env, Some(&file)).unwrap();
        assert_eq!((&*config.file_name, config.save_interval), ("from-env", Duration::from_secs(3)));
        assert_eq!(config.time_format, TimeFormat::Rfc3339);
        assert_eq!(read(Some("plain.csv.gz"), &env, None).unwrap().file_name, "plain.csv.gz");
        let config =
            read(Some("fileName=f,saveInterval=200ms,timeFormat=unix_nano"), &env, Some(&file)).unwrap();
        let expected = CsvConfig {
            file_name: "f".to_owned(),
            save_interval: Duration::from_millis(200),
            time_format: TimeFormat::UnixNano,
        };
        assert_eq!(config, expected);
        for (argument, error) in [
            ("fileName=f,x", "couldn't parse \"fileName=f,x\" as argument for csv output"),
            ("nope=1", "unknown key \"nope\" as argument for csv output"),
            ("saveInterval=soon", "saveInterval: time: invalid duration \"soon\""),
            (
                "timeFormat=iso",
                "timeFormat: iso is no time format: use unix, unix_milli, unix_micro, unix_nano, rfc3339 or rfc3339_nano",
            ),
        ] {
            assert_eq!(read(Some(argument), &none, None), Err(error.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn any_tag_is_one_field(column in ".{0,12}", extra in ".{0,12}") {
            let tags = TagSet::new([("url", column.as_str()), ("x", extra.as_str())]);
            let none: Metadata = Arc::new([]);
            let text = written(TimeFormat::Unix, &["url"], tags, 1.0, &none);
            let mut rows = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let row = rows.records().nth(1).unwrap().unwrap();
            prop_assert_eq!(row.len(), 6);
            prop_assert_eq!(&row[3], column);
            prop_assert_eq!(&row[4], format!("x={extra}"));
        }
    }
}
