//! `--out statsd` and `--out datadog`: samples as datagrams to a StatsD server, over UDP or a Unix socket.
//! (<https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>)
//!
//! A Counter, a Rate and a check are counts, which are summed up for each datagram; a Gauge is its latest value; each
//! value of a Trend is sent. What the system accepts counts as arrived: it is never known whether a datagram arrives.

use std::fmt::Write;
use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use senary_metrics::tags::system;
use senary_metrics::{MetricType, Registry, SampleBatch, Series, SeriesMap, builtin};
use senary_words::io_text;

use crate::ledger::Ledger;
use crate::output::{Backlog, CreateError, Output, OutputContext, Urgency};
use crate::settings::{self, Set, Setting, SettingHelp, boolean, list, period, read, read_argument, whole};

/// The size of a datagram that fits into the usual packets of a network, and over a Unix socket.
const UDP_BYTES: usize = 1432;
const UNIX_BYTES: usize = 8192;

/// Text that waits for the next flush is sent before it becomes longer than this.
const MAX_WAITING: usize = 4 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Config {
    addr: String,
    namespace: String,
    push_interval: Duration,
    buffer_size: usize,
    enable_tags: bool,
    tag_blocklist: Vec<String>,
}

impl Config {
    fn new(enable_tags: bool) -> Self {
        Self {
            addr: "localhost:8125".to_owned(),
            namespace: "k6.".to_owned(),
            push_interval: Duration::from_secs(1),
            buffer_size: 20,
            enable_tags,
            tag_blocklist: ["vu", "iter", "url"].map(str::to_owned).into(),
        }
    }
}

/// The table: the same settings, and whether tags are sent, for two families of variables.
macro_rules! table {
    ($tags:literal, $addr:expr, $namespace:expr, $push_interval:expr, $buffer_size:expr, $enable_tags:expr, $blocklist:expr) => {
        &[
            Setting {
                key: "addr",
                variables: $addr,
                default: "localhost:8125",
                meaning: "where the server is: HOST:PORT, or unix:///PATH of a datagram socket",
                set: Set::One(|config, text| {
                    text.clone_into(&mut config.addr);
                    Ok(())
                }),
            },
            Setting {
                key: "namespace",
                variables: $namespace,
                default: "k6.",
                meaning: "what names begin with",
                set: Set::One(|config, text| {
                    text.clone_into(&mut config.namespace);
                    Ok(())
                }),
            },
            Setting {
                key: "pushInterval",
                variables: $push_interval,
                default: "1s",
                meaning: "how often datagrams are sent",
                set: Set::One(|config, text| period(text).map(|period| config.push_interval = period)),
            },
            Setting {
                key: "bufferSize",
                variables: $buffer_size,
                default: "20",
                meaning: "how many values a datagram may have",
                set: Set::One(|config, text| positive(text).map(|size| config.buffer_size = size)),
            },
            Setting {
                key: "enableTags",
                variables: $enable_tags,
                default: $tags,
                meaning: "tags are sent, as DogStatsD has them",
                set: Set::One(|config, text| boolean(text).map(|tags| config.enable_tags = tags)),
            },
            Setting {
                key: "tagBlocklist",
                variables: $blocklist,
                default: "vu,iter,url",
                meaning: "tags that are not",
                set: Set::One(|config, text| {
                    config.tag_blocklist = list(text);
                    Ok(())
                }),
            },
        ]
    };
}

const STATSD: &[Setting<Config>] = table!(
    "false",
    &["K6_STATSD_ADDR"],
    &["K6_STATSD_NAMESPACE"],
    &["K6_STATSD_PUSH_INTERVAL"],
    &["K6_STATSD_BUFFER_SIZE"],
    &["K6_STATSD_ENABLE_TAGS"],
    &["K6_STATSD_TAG_BLOCKLIST"]
);

const DATADOG: &[Setting<Config>] = table!(
    "true",
    &["K6_DATADOG_ADDR"],
    &["K6_DATADOG_NAMESPACE"],
    &["K6_DATADOG_PUSH_INTERVAL"],
    &["K6_DATADOG_BUFFER_SIZE"],
    &["K6_DATADOG_ENABLE_TAGS"],
    &["K6_DATADOG_TAG_BLOCKLIST", "K6_DATADOG_TAG_BLACKLIST"]
);

fn positive(text: &str) -> Result<usize, String> {
    let number = whole(text)?;
    usize::try_from(number).ok().filter(|n| *n > 0).ok_or_else(|| format!("{number} is not above 0"))
}

pub(crate) fn statsd_settings() -> Vec<SettingHelp> {
    settings::help(STATSD)
}

pub(crate) fn datadog_settings() -> Vec<SettingHelp> {
    settings::help(DATADOG)
}

pub(crate) fn create_statsd(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    create(Config::new(false), STATSD, &["statsd", "output-statsd"], argument, context)
}

pub(crate) fn create_datadog(
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    create(Config::new(true), DATADOG, &["datadog"], argument, context)
}

fn create(
    mut config: Config,
    table: &[Setting<Config>],
    names: &[&str],
    argument: Option<&str>,
    context: &OutputContext,
) -> Result<Box<dyn Output>, CreateError> {
    read(&mut config, table, names, context)?;
    read_argument(&mut config, table, Some("addr"), argument.unwrap_or_default())?;
    let target = Agent::open(&config.addr).map_err(|error| {
        let variables =
            table.iter().filter(|setting| setting.key == "addr").flat_map(|setting| setting.variables);
        let given = |variable: &&&str| context.variable(variable) == Some(config.addr.as_str());
        let name = variables.into_iter().find(given).unwrap_or(&"addr");
        format!("{name}: {}: {}: write HOST:PORT, or unix:///PATH", config.addr, io_text(&error))
    })?;
    Ok(Box::new(StatsD {
        target,
        registry: context.registry.clone(),
        series: SeriesMap::default(),
        folded: FxHashMap::default(),
        packets: Packets { waiting: Vec::new(), bytes: 0 },
        flushed: Instant::now(),
        ledger: Arc::default(),
        last_error: String::new(),
        name: names[0].to_owned(),
        config,
    }))
}

/// Where datagrams go. Sending never waits.
enum Agent {
    Udp(UdpSocket),
    Unix(UnixDatagram, String),
}

impl Agent {
    fn open(addr: &str) -> io::Result<Self> {
        let path = addr.strip_prefix("unix://").or_else(|| addr.starts_with('/').then_some(addr));
        if let Some(path) = path {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            return Ok(Self::Unix(socket, path.to_owned()));
        }
        let addr = addr.strip_prefix("udp://").unwrap_or(addr);
        let addresses: Vec<_> = addr.to_socket_addrs()?.collect();
        // Most StatsD servers listen on IPv4, and datagrams give no error if nothing listens.
        let to = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        let to = to.ok_or_else(|| io::Error::other("the name has no address"))?;
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(Self::Udp(socket))
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(datagram).map(drop),
            // The server may have made its socket anew.
            Self::Unix(socket, path) => socket.send_to(datagram, path).map(drop),
        }
    }

    fn max_bytes(&self) -> usize {
        match self {
            Self::Udp(_) => UDP_BYTES,
            Self::Unix(..) => UNIX_BYTES,
        }
    }
}

struct StatsD {
    config: Config,
    name: String,
    target: Agent,
    registry: Registry,
    series: SeriesMap<Arc<Line>>,
    /// Counts and gauges since the last flush: the value, and how many samples it is made of.
    folded: FxHashMap<Arc<Line>, (f64, u64)>,
    packets: Packets,
    flushed: Instant,
    ledger: Arc<Ledger>,
    last_error: String,
}

/// The parts of a series' lines that do not change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    kind: Kind,
    /// For a check that has failed, the name is another one.
    names: [Box<str>; 2],
    tags: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Count,
    Gauge,
    Timing,
    /// Counts passes under the first name, and fails under the second.
    Check,
}

/// Lines that wait, with the samples in each.
struct Packets {
    waiting: Vec<(String, u64)>,
    bytes: usize,
}

impl Output for StatsD {
    fn description(&self) -> String {
        format!("{} ({})", self.name, self.config.addr)
    }

    fn urgency(&self) -> Urgency {
        Urgency::Drop(Backlog::of(self.ledger.clone()))
    }

    fn add(&mut self, batch: &SampleBatch) -> io::Result<()> {
        let (registry, config) = (&self.registry, &self.config);
        self.series.learn(batch, |series| Arc::new(line(registry, config, series)));
        let Self { series, folded, packets, .. } = self;
        for (line, sample) in series.samples(batch) {
            match line.kind {
                Kind::Timing => packets.push(line, 0, sample.value, 1),
                Kind::Check if sample.value == 0.0 => packets.push(line, 1, 1.0, 1),
                Kind::Check | Kind::Count => {
                    let value = if line.kind == Kind::Check { 1.0 } else { sample.value };
                    let sum = folded.entry(line.clone()).or_default();
                    *sum = (sum.0 + value, sum.1 + 1);
                }
                Kind::Gauge => {
                    let latest = folded.entry(line.clone()).or_default();
                    *latest = (sample.value, latest.1 + 1);
                }
            }
        }
        if self.packets.bytes > MAX_WAITING {
            self.send();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.flushed.elapsed() >= self.config.push_interval {
            self.send();
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.send();
        Ok(())
    }
}

impl StatsD {
    fn send(&mut self) {
        self.flushed = Instant::now();
        for (line, (value, samples)) in self.folded.drain() {
            self.packets.push(&line, 0, value, samples);
        }
        let (mut datagram, mut lines, mut samples) = (String::new(), 0, 0);
        for (line, count) in self.packets.take() {
            let is_full = lines == self.config.buffer_size
                || datagram.len() + line.len() >= self.target.max_bytes() && lines > 0;
            if is_full {
                self.datagram(&datagram, samples);
                datagram.clear();
                (lines, samples) = (0, 0);
            }
            if lines > 0 {
                datagram.push('\n');
            }
            datagram.push_str(&line);
            lines += 1;
            samples += count;
        }
        if lines > 0 {
            self.datagram(&datagram, samples);
        }
    }

    fn datagram(&mut self, text: &str, samples: u64) {
        match self.target.send(text.as_bytes()) {
            Ok(()) => self.ledger.arrived(samples),
            Err(error) => {
                let why = match error.kind() {
                    io::ErrorKind::WouldBlock => "the server does not read as fast as values come".to_owned(),
                    _ => io_text(&error),
                };
                self.ledger.lost(samples, &why);
                if self.last_error != why {
                    log::error!(error = why.as_str(); "Couldn't send values to {}", self.config.addr);
                    self.last_error = why;
                }
            }
        }
    }
}

impl Packets {
    fn push(&mut self, line: &Line, name: usize, value: f64, samples: u64) {
        let suffix = match line.kind {
            Kind::Count | Kind::Check => "c",
            Kind::Gauge => "g",
            Kind::Timing => "ms",
        };
        let (name, tags) = (&line.names[name], &line.tags);
        // A gauge with a sign is a change of its value, so a negative one is set to zero first.
        let mut text = String::new();
        if line.kind == Kind::Gauge && value < 0.0 {
            let _ = writeln!(text, "{name}:0|g{tags}");
        }
        let _ = write!(text, "{name}:{value}|{suffix}{tags}");
        self.bytes += text.len();
        self.waiting.push((text, samples));
    }

    fn take(&mut self) -> Vec<(String, u64)> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

fn line(registry: &Registry, config: &Config, series: &Series) -> Line {
    let metric = registry.metric(series.metric);
    let (name, kind) = metric.as_ref().map_or(("", MetricType::Gauge), |metric| (&*metric.name, metric.kind));
    let namespace = &config.namespace;
    let check = series.tags.get(system::CHECK).filter(|_| series.metric == builtin::CHECKS);
    let (kind, names) = match (kind, check) {
        (_, Some(check)) => {
            let name = |end| format!("{namespace}check.{}.{end}", plain(check)).into();
            (Kind::Check, [name("pass"), name("fail")])
        }
        (kind, None) => {
            let kind = match kind {
                MetricType::Counter | MetricType::Rate => Kind::Count,
                MetricType::Gauge => Kind::Gauge,
                MetricType::Trend => Kind::Timing,
            };
            (kind, [format!("{namespace}{}", plain(name)).into(), "".into()])
        }
    };
    let is_sent = |tag: &str, value: &str| {
        let is_blocked = config.tag_blocklist.iter().any(|blocked| blocked == tag);
        let is_in_the_name = check.is_some() && tag == system::CHECK;
        config.enable_tags && !tag.is_empty() && !value.is_empty() && !is_blocked && !is_in_the_name
    };
    let tags = series.tags.iter().filter(|(tag, value)| is_sent(tag, value));
    let tags: Vec<_> = tags.map(|(tag, value)| format!("{}:{}", plain(tag), inner(value))).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("|#{}", tags.join(",")) };
    Line { kind, names, tags: tags.into() }
}

/// A name without what ends it.
fn plain(text: &str) -> String {
    inner(text).replace([':', '@'], "_")
}

/// A value of a tag without what ends it.
fn inner(text: &str) -> String {
    text.replace(['|', ',', '#', '\n', '\r'], "_")
}

#[cfg(test)]
mod tests {
    use senary_metrics::threshold::WatchList;
    use senary_metrics::{MetricId, ProducerId, Recorder, TagSet, Timestamp};

    use super::*;

    fn lines_of(socket: &UdpSocket) -> Vec<String> {
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let (mut lines, mut bytes) = (Vec::new(), [0; 65536]);
        while let Ok(length) = socket.recv(&mut bytes) {
            assert!(length <= UDP_BYTES);
            lines.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned));
        }
        lines.sort();
        lines
    }

    fn record(recorder: &mut Recorder, metric: MetricId, tags: &[(&str, &str)], values: &[f64]) {
        let tags = recorder.intern(&TagSet::new(tags.iter().copied()));
        let series = recorder.series(metric, tags);
        values.iter().for_each(|value| recorder.record(series, *value, Timestamp(0)));
    }

    fn sent(argument: &str, datadog: bool) -> Vec<String> {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (registry, watched) = (Registry::new(), WatchList::default());
        let context = OutputContext::of(&registry, &watched);
        let argument = format!("{},{argument}", server.local_addr().unwrap());
        let create = if datadog { create_datadog } else { create_statsd };
        let mut output = create(Some(&argument), &context).ok().unwrap();
        let mut recorder = Recorder::new(ProducerId(0));
        record(&mut recorder, builtin::ITERATIONS, &[("scenario", "a|b"), ("url", "x")], &[1.0; 7]);
        record(&mut recorder, builtin::VUS, &[], &[3.0, 5.0]);
        record(&mut recorder, builtin::ITERATION_DURATION, &[("group", "::g")], &[1.5, 20.0]);
        record(&mut recorder, builtin::CHECKS, &[("check", "is: ok")], &[1.0, 0.0, 1.0]);
        output.add(&recorder.take_batch().unwrap()).unwrap();
        output.close().unwrap();
        lines_of(&server)
    }

    #[test]
    fn lines_of_all_kinds() {
        let expected = [
            "k6.check.is_ ok.fail:1|c",
            "k6.check.is_ ok.pass:2|c",
            "k6.iteration_duration:1.5|ms",
            "k6.iteration_duration:20|ms",
            "k6.iterations:7|c",
            "k6.vus:5|g",
        ];
        assert_eq!(sent("", false), expected);
        let expected = [
            "x_check.is_ ok.fail:1|c",
            "x_check.is_ ok.pass:2|c",
            "x_iteration_duration:1.5|ms|#group:::g",
            "x_iteration_duration:20|ms|#group:::g",
            "x_iterations:7|c|#scenario:a_b",
            "x_vus:5|g",
        ];
        assert_eq!(sent("namespace=x_,bufferSize=2", true), expected);
    }

    #[test]
    fn what_cannot_be_is_told() {
        let (registry, watched) = (Registry::new(), WatchList::default());
        let context = OutputContext::of(&registry, &watched);
        for (argument, error) in [
            ("bufferSize=0", "bufferSize: 0 is not above 0"),
            ("enableTags=maybe", "enableTags: strconv.ParseBool: parsing \"maybe\": invalid syntax"),
        ] {
            let refusal = create_statsd(Some(argument), &context).err().unwrap();
            assert_eq!(refusal, CreateError::from(error.to_owned()));
        }
    }
}
