//! `--out csv`: one row per sample, a column per system tag.
//! (<https://grafana.com/docs/k6/latest/results-output/real-time/csv/>)

use std::io::{self, Write};
use std::time::{Duration, Instant};

use senary_metrics::duration::parse_extended;
use senary_metrics::{Engine, SampleBatch, Series, Timestamp};

use crate::file::{LineFile, describe};
use crate::output::{Output, OutputContext};
use crate::time::TimeWriter;

/// How the rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CsvConfig {
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
    /// The configuration file, over it the environment, over it the argument.
    pub(crate) fn consolidate(argument: Option<&str>, context: &OutputContext) -> Result<Self, String> {
        let mut config = Self::default();
        let collector = context.collectors.and_then(|collectors| collectors.get("csv"));
        for (key, value) in collector.and_then(|c| c.as_object()).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            config.set(key, &value)?;
        }
        let variables = [
            ("K6_CSV_FILENAME", "fileName"),
            ("K6_CSV_SAVE_INTERVAL", "saveInterval"),
            ("K6_CSV_TIME_FORMAT", "timeFormat"),
        ];
        for (variable, key) in variables {
            if let Some(value) = (context.env)(variable).filter(|value| !value.is_empty()) {
                config.set(key, &value)?;
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
                    config.set(key.trim(), value.trim())?;
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

pub struct CsvOutput {
    file: LineFile,
    time: TimeWriter,
    time_format: TimeFormat,
    /// Tags with a column of their own, sorted.
    columns: Vec<String>,
    /// By producer and series.
    series: Vec<Vec<SeriesText>>,
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
    pub(crate) fn create(config: &CsvConfig, system_tags: &[String]) -> Result<Self, String> {
        let name = &config.file_name;
        let file = LineFile::create(Some(name)).map_err(|error| describe(name, &error))?;
        // These two come as metadata.
        let mut columns: Vec<_> =
            system_tags.iter().filter(|tag| !matches!(&***tag, "vu" | "iter")).cloned().collect();
        columns.sort_unstable();
        let mut output = Self {
            file,
            time: TimeWriter::local(),
            time_format: config.time_format,
            columns,
            series: Vec::new(),
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

    fn learn(&mut self, batch: &SampleBatch, engine: &Engine) {
        let producer = batch.producer.0 as usize;
        if self.series.len() <= producer {
            self.series.resize_with(producer + 1, Vec::new);
        }
        for series in &batch.new_series {
            let name = engine.registry().metric(series.metric).map(|metric| metric.name.as_ref().into());
            let text = SeriesText { name: name.unwrap_or_default(), tags: self.tags(series).into() };
            self.series[producer].push(text);
        }
    }

    fn tags(&self, series: &Series) -> String {
        let mut text = String::new();
        for column in &self.columns {
            push_field(&mut text, series.tags.get(column).unwrap_or_default());
            text.push(',');
        }
        let extra = series.tags.iter().filter(|(key, _)| !self.columns.iter().any(|column| column == key));
        push_field(&mut text, &pairs(extra));
        text
    }
}

impl Output for CsvOutput {
    fn kind(&self) -> &'static str {
        "csv"
    }

    fn description(&self) -> String {
        format!("csv ({})", self.file.path().unwrap_or("stdout"))
    }

    fn add(&mut self, batch: &SampleBatch, engine: &Engine) -> io::Result<()> {
        self.learn(batch, engine);
        let series = &self.series[batch.producer.0 as usize];
        let metadata = batch.metadata.iter().map(|metadata| {
            let mut field = String::new();
            push_field(&mut field, &pairs(metadata.iter().map(|(key, value)| (&**key, &**value))));
            field
        });
        let metadata: Vec<_> = metadata.collect();
        for sample in &batch.samples {
            let Some(series) = series.get(sample.series.0 as usize) else { continue };
            let out = self.file.buffer();
            out.extend_from_slice(series.name.as_bytes());
            out.push(b',');
            push_time(out, self.time_format, &mut self.time, sample.time);
            out.push(b',');
            push_value(out, sample.value);
            out.push(b',');
            out.extend_from_slice(series.tags.as_bytes());
            out.push(b',');
            if let Some(metadata) = (sample.metadata as usize).checked_sub(1).and_then(|at| metadata.get(at))
            {
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

/// `k=v&k=v`, the last key first as the reference has it.
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
    } else {
        // Writing to memory cannot fail.
        let _ = write!(out, "{value:.6}");
    }
}

/// Quoted where it has to be.
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
