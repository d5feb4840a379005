//! Options with a shape of their own: stages, `dns`, `hosts`, TLS, thresholds, system tags.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use senary_execution::{Segment, SegmentError, SegmentSequence};
use senary_metrics::tags::system;
use senary_metrics::threshold::ThresholdSpec;
use senary_net::{DnsPolicy, DnsSelect};
use senary_words::duration;
use senary_words::spelling::nearest;
use serde_json::{Map, Value, json};

use super::remarks::Remarks;
use super::value::{
    Fields, Invalid, Nanos, OptionValue, decode_list, expected, parse_go_duration, parse_int, split_list,
};

/// A stage as written: either part may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageOption {
    pub duration: Option<Nanos>,
    pub target: Option<i64>,
}

impl OptionValue for StageOption {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let mut fields = Fields::of(value, "a stage like {duration: \"30s\", target: 10}")?;
        let stage =
            Self { duration: fields.take("duration", remarks)?, target: fields.take("target", remarks)? };
        fields.leave_rest(remarks);
        Ok(Some(stage))
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let (duration, target) = text.split_once(':').unwrap_or((text, ""));
        let mut stage = Self::default();
        if !duration.is_empty() {
            stage.duration = Some(parse_go_duration(duration).map_err(Invalid::new)?);
        }
        if !target.is_empty() {
            stage.target = Some(parse_int(target).map_err(Invalid::new)?);
        }
        Ok(Some(stage))
    }

    fn encode(&self) -> Value {
        let duration = self.duration.map_or(Value::Null, |d| d.encode());
        json!({"duration": duration, "target": self.target})
    }
}

impl OptionValue for Vec<StageOption> {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        decode_list(value, remarks, "a list of stages", "it is a stage without a duration").map(Some)
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        parse_stages(&split_list(text)).map(Some)
    }

    fn encode(&self) -> Value {
        self.iter().map(OptionValue::encode).collect::<Vec<_>>().into()
    }
}

/// Stages of the command line and the environment.
pub fn parse_stages(texts: &[String]) -> Result<Vec<StageOption>, Invalid> {
    let error = |at: usize, e: Invalid| Invalid::new(format!("error for stage {at}: {e}"));
    let stage = |(at, text): (usize, &String)| {
        let stage = StageOption::parse(text, &mut Remarks::default());
        stage.map(Option::unwrap_or_default).map_err(|e| error(at, e))
    };
    texts.iter().enumerate().map(stage).collect()
}

impl OptionValue for Segment {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Self::parse(&String::decode(value, remarks)?.unwrap_or_default(), remarks)
    }

    /// Nothing is the whole test.
    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        text.parse().map(Some).map_err(|e: SegmentError| Invalid::new(e.to_string()))
    }

    fn encode(&self) -> Value {
        self.to_string().into()
    }
}

impl OptionValue for SegmentSequence {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Self::parse(&String::decode(value, remarks)?.unwrap_or_default(), remarks)
    }

    /// Nothing is none.
    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let sequence = Some(text).filter(|text| !text.is_empty()).map(str::parse);
        sequence.transpose().map_err(|e: SegmentError| Invalid::new(e.to_string()))
    }

    fn encode(&self) -> Value {
        self.to_string().into()
    }
}

/// The `dns` option; each part can be set on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsOption {
    pub ttl: Option<String>,
    pub select: Option<String>,
    pub policy: Option<String>,
}

impl DnsOption {
    pub fn config(&self) -> Result<senary_net::DnsConfig, Invalid> {
        let default = senary_net::DnsConfig::default();
        let (select, policy) = self.choices()?;
        Ok(senary_net::DnsConfig {
            ttl: self.ttl()?.unwrap_or(default.ttl),
            select: select.unwrap_or(default.select),
            policy: policy.unwrap_or(default.policy),
        })
    }

    /// How long a resolved name holds. It is judged later than everything else about `dns`.
    pub fn ttl(&self) -> Result<Option<Duration>, Invalid> {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        match self.ttl.as_deref() {
            None => Ok(None),
            Some("inf") => Ok(Some(YEAR)),
            Some(text) => match duration::parse_extended(text).map(Nanos) {
                Ok(ttl) if ttl.0 >= 0 => Ok(Some(ttl.duration())),
                _ => Err(Invalid::new(format!("invalid DNS TTL: {text}"))),
            },
        }
    }

    fn choices(&self) -> Result<(Option<DnsSelect>, Option<DnsPolicy>), Invalid> {
        let error = |e: senary_net::ConfigError| Invalid::new(e.to_string());
        let select = self.select.as_deref().map(str::parse).transpose().map_err(error)?;
        let policy = self.policy.as_deref().map(str::parse).transpose().map_err(error)?;
        Ok((select, policy))
    }
}

impl DnsOption {
    /// `ttl=5m,select=random,policy=any`.
    pub fn parse_list(text: &str) -> Result<Self, Invalid> {
        let mut dns = Self::default();
        for part in split_list(text) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(Invalid::new(format!("no value for key {part}")));
            };
            let field = match key {
                "ttl" => &mut dns.ttl,
                "select" => &mut dns.select,
                "policy" => &mut dns.policy,
                _ => return Err(Invalid::new(format!("unknown DNS configuration field: {key}"))),
            };
            if value.is_empty() {
                return Err(Invalid::new(format!("no value for key {key}")));
            }
            *field = Some(value.to_owned());
        }
        dns.choices()?;
        Ok(dns)
    }
}

impl OptionValue for DnsOption {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let mut fields = Fields::of(value, "an object with ttl, select and policy")?;
        let dns = Self {
            ttl: fields.take("ttl", remarks)?,
            select: fields.take("select", remarks)?,
            policy: fields.take("policy", remarks)?,
        };
        fields.leave_rest(remarks);
        dns.choices()?;
        Ok(Some(dns))
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Self::parse_list(text).map(Some)
    }

    /// Each part on its own.
    fn over(self, below: Self) -> Self {
        Self {
            ttl: self.ttl.or(below.ttl),
            select: self.select.or(below.select),
            policy: self.policy.or(below.policy),
        }
    }

    fn encode(&self) -> Value {
        json!({"ttl": self.ttl, "select": self.select, "policy": self.policy})
    }
}

/// The `hosts` option: `name[:port]` to `ip[:port]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(pub BTreeMap<String, String>);

impl OptionValue for Hosts {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(BTreeMap::decode(value, remarks)?.map(Self))
    }

    /// JSON, or `name=ip,name=ip`.
    fn parse(text: &str, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        if text.trim_start().starts_with('{') {
            let value =
                serde_json::from_str(text).map_err(|e| Invalid::new(format!("expected JSON: {e}")))?;
            return Self::decode(&value, remarks);
        }
        let pair = |pair: String| match pair.split_once('=') {
            Some((name, ip)) => Ok((name.to_owned(), ip.to_owned())),
            None => Err(Invalid::new(format!("expected name=ip or a JSON object, found {pair:?}"))),
        };
        split_list(text).into_iter().map(pair).collect::<Result<_, _>>().map(|map| Some(Self(map)))
    }

    fn encode(&self) -> Value {
        self.0.encode()
    }
}

/// The `tlsVersion` option; empty for an end left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsVersions {
    pub min: String,
    pub max: String,
}

impl OptionValue for TlsVersions {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        if let Some(version) = value.as_str() {
            return Ok(Some(Self { min: version.to_owned(), max: version.to_owned() }));
        }
        let mut fields = Fields::of(value, "a version like \"tls1.2\", or {min, max}")?;
        let versions = Self {
            min: fields.take("min", remarks)?.unwrap_or_default(),
            max: fields.take("max", remarks)?.unwrap_or_default(),
        };
        fields.leave_rest(remarks);
        Ok(Some(versions))
    }

    /// JSON, or the one version to use.
    fn parse(text: &str, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        match serde_json::from_str(text) {
            Ok(value) => Self::decode(&value, remarks),
            Err(_) => Ok(Some(Self { min: text.to_owned(), max: text.to_owned() })),
        }
    }

    fn encode(&self) -> Value {
        json!({"min": self.min, "max": self.max})
    }
}

/// An entry of `tlsAuth`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsAuth {
    pub cert: String,
    pub key: String,
    pub password: Option<String>,
    pub domains: Option<Vec<String>>,
}

impl OptionValue for TlsAuth {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let mut fields = Fields::of(value, "an object with cert and key")?;
        let auth = Self {
            cert: fields.take("cert", remarks)?.unwrap_or_default(),
            key: fields.take("key", remarks)?.unwrap_or_default(),
            password: fields.take("password", remarks)?,
            domains: fields.take("domains", remarks)?,
        };
        fields.leave_rest(remarks);
        Ok(Some(auth))
    }

    fn encode(&self) -> Value {
        json!({"cert": self.cert, "key": self.key, "password": self.password, "domains": self.domains})
    }
}

impl OptionValue for Vec<TlsAuth> {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        decode_list(value, remarks, "a list of certificates", "it is a certificate without anything in it")
            .map(Some)
    }

    fn encode(&self) -> Value {
        self.iter().map(OptionValue::encode).collect::<Vec<_>>().into()
    }
}

/// The `thresholds` option: expressions by metric, or by selector of a sub-metric.
pub type Thresholds = BTreeMap<String, Vec<ThresholdSpec>>;

impl OptionValue for Thresholds {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let object = value.as_object();
        let object = object.ok_or_else(|| expected("an object of lists of expressions", value))?;
        let mut thresholds = Self::new();
        for (name, list) in object {
            let list = remarks.within(name, |remarks| decode_thresholds(list, remarks));
            thresholds.insert(name.clone(), list.map_err(|e| e.within(name))?);
        }
        Ok(Some(thresholds))
    }

    fn encode(&self) -> Value {
        let list = |specs: &Vec<ThresholdSpec>| specs.iter().map(OptionValue::encode).collect::<Vec<_>>();
        self.iter()
            .map(|(name, specs)| (name.clone(), Value::from(list(specs))))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// The thresholds on one metric.
fn decode_thresholds(list: &Value, remarks: &mut Remarks) -> Result<Vec<ThresholdSpec>, Invalid> {
    if list.is_null() {
        remarks.null("no threshold is on that metric");
        return Ok(Vec::new());
    }
    decode_list(list, remarks, "a list of thresholds", "it is a threshold without an expression")
}

impl OptionValue for ThresholdSpec {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        if let Some(source) = value.as_str() {
            let source = source.to_owned();
            return Ok(Some(Self { source, abort_on_fail: false, delay_abort_eval: 0 }));
        }
        let mut fields = Fields::of(value, "an expression, or {threshold, abortOnFail, delayAbortEval}")?;
        let delay: Option<Nanos> = fields.take("delayAbortEval", remarks)?;
        let spec = Self {
            source: fields.take("threshold", remarks)?.unwrap_or_default(),
            abort_on_fail: fields.take("abortOnFail", remarks)?.unwrap_or_default(),
            delay_abort_eval: delay.unwrap_or_default().0,
        };
        fields.leave_rest(remarks);
        Ok(Some(spec))
    }

    fn encode(&self) -> Value {
        if !self.abort_on_fail && self.delay_abort_eval == 0 {
            return self.source.as_str().into();
        }
        let delay = (self.delay_abort_eval != 0).then(|| Nanos(self.delay_abort_eval).encode());
        json!({"threshold": self.source, "abortOnFail": self.abort_on_fail, "delayAbortEval": delay})
    }
}

/// The system tags there are, and whether each is on by default.
const SYSTEM_TAGS: [(&str, bool); 18] = [
    (system::CHECK, true),
    ("error", true),
    ("error_code", true),
    ("expected_response", true),
    (system::GROUP, true),
    ("ip", false),
    (system::ITER, false),
    ("method", true),
    ("name", true),
    ("ocsp_status", false),
    ("proto", true),
    (system::SCENARIO, true),
    ("service", true),
    ("status", true),
    ("subproto", true),
    ("tls_version", true),
    ("url", true),
    (system::VU, false),
];

/// The `systemTags` option; sorted, unknown names left out as the reference does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemTagSet {
    tags: BTreeSet<&'static str>,
    /// Names that were given, and are none.
    unknown: Vec<String>,
}

impl Default for SystemTagSet {
    fn default() -> Self {
        let tags = SYSTEM_TAGS.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        Self { tags, unknown: Vec::new() }
    }
}

impl SystemTagSet {
    /// Those of these names that there are; there may be none.
    pub fn of(names: &[String]) -> Self {
        let is_known = |name: &str| SYSTEM_TAGS.iter().any(|(known, _)| *known == name);
        let unknown = names.iter().filter(|name| !name.is_empty() && !is_known(name)).cloned().collect();
        let known = SYSTEM_TAGS.iter().map(|(name, _)| *name);
        Self { tags: known.filter(|known| names.iter().any(|name| name == known)).collect(), unknown }
    }

    /// A warning for each name that is not a system tag.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.unknown.iter().map(|name| {
            let meant = match nearest(name, SYSTEM_TAGS.iter().map(|(known, _)| *known)) {
                Some(meant) => format!("did you mean {meant}?"),
                None => {
                    let known: Vec<_> = SYSTEM_TAGS.iter().map(|(known, _)| *known).collect();
                    format!("the known ones are {}", known.join(", "))
                }
            };
            format!("there is no system tag {name:?}; {meant}")
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.tags.contains(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.tags.iter().copied()
    }
}

impl OptionValue for SystemTagSet {
    /// An empty list is a set without any tag.
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Vec::decode(value, remarks)?.as_deref().map(Self::of))
    }

    fn parse(text: &str, _: &mut Remarks) -> Result<Option<Self>, Invalid> {
        Ok(Some(Self::of(&split_list(text))))
    }

    /// A set without any tag is written as a name that is none: the reference reads an empty list in an archive as not
    /// set.
    fn encode(&self) -> Value {
        let names: Vec<_> = self.iter().map(Value::from).collect();
        if names.is_empty() { json!([""]) } else { names.into() }
    }
}
