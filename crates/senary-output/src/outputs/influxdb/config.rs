//! The settings of the output: the environment overrides the configuration file, and the URL after `--out influxdb=`
//! overrides both.

use std::time::Duration;

use senary_words::percent::decoded_text;
use senary_words::spelling::nearest;
use url::Url;

use crate::output::OutputContext;
use crate::settings::{Set, Setting, boolean, period, read, read_argument, set_key, whole};

use super::line::{Fields, Precision};

/// The parameters that a URL may have, and the settings they are.
const PARAMETERS: [(&str, &str); 12] = [
    ("insecure", "insecure"),
    ("payload_size", "payloadSize"),
    ("pushInterval", "pushInterval"),
    ("concurrentWrites", "concurrentWrites"),
    ("precision", "precision"),
    ("retention", "retention"),
    ("consistency", "consistency"),
    ("tagsAsFields", "tagsAsFields"),
    ("proxy", "proxy"),
    ("organization", "organization"),
    ("bucket", "bucket"),
    ("token", "token"),
];

/// Why the settings cannot be used, apart from single ones that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SettingError {
    #[error("unknown query parameter: {0}{hint}", hint = hint(.0))]
    Parameter(String),
    #[error("Unsupported protocol scheme: {0}, your address must start with http:// or https://")]
    Scheme(String),
    #[error("{0:?} is not an address of InfluxDB: write http://HOST:PORT/DATABASE, or udp://HOST:PORT")]
    Address(String),
    #[error("the proxy has to be http://HOST:PORT, not {0:?}")]
    Proxy(String),
    #[error("version 2 of InfluxDB does not know the precision {0}: use ns, us, ms or s")]
    Precision(&'static str),
    #[error("a token is for version 2 of InfluxDB, which does not take points over UDP")]
    TokenOverUdp,
    #[error("{0}")]
    Setting(String),
}

impl From<String> for SettingError {
    fn from(reason: String) -> Self {
        Self::Setting(reason)
    }
}

fn hint(name: &str) -> String {
    let known = PARAMETERS.iter().map(|(parameter, _)| *parameter);
    nearest(name, known).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// Where points go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// `http://HOST:PORT`, with a path in front of those of the database if there is one.
    pub(super) addr: String,
    pub(super) proxy: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) insecure: bool,
    /// The most bytes of a datagram.
    pub(super) payload_size: usize,
    pub(super) push_interval: Duration,
    pub(super) concurrent_writes: usize,
    pub(super) db: String,
    pub(super) precision: Precision,
    pub(super) retention: String,
    pub(super) consistency: String,
    /// The user's settings; [`fields`](Self::fields) adds the rest.
    pub(super) fields: Option<Fields>,
    pub(super) organization: String,
    pub(super) bucket: Option<String>,
    /// With one, the database is of version 2.
    pub(super) token: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addr: "http://localhost:8086".to_owned(),
            proxy: None,
            username: None,
            password: None,
            insecure: false,
            payload_size: 512,
            push_interval: Duration::from_secs(1),
            concurrent_writes: 4,
            db: "k6".to_owned(),
            precision: Precision::Nanoseconds,
            retention: String::new(),
            consistency: String::new(),
            fields: None,
            organization: String::new(),
            bucket: None,
            token: None,
        }
    }
}

pub(super) const SETTINGS: &[Setting<Config>] = &[
    Setting {
        key: "addr",
        variables: &["K6_INFLUXDB_ADDR"],
        default: "http://localhost:8086",
        meaning: "where the database is; udp://HOST:PORT sends datagrams",
        set: Set::One(|config, value| config.set_address(value).map_err(|error| error.to_string())),
    },
    Setting {
        key: "db",
        variables: &["K6_INFLUXDB_DB"],
        default: "k6",
        meaning: "the database of version 1; it is made if it is missing",
        set: Set::One(|config, value| {
            value.clone_into(&mut config.db);
            Ok(())
        }),
    },
    Setting {
        key: "username",
        variables: &["K6_INFLUXDB_USERNAME"],
        default: "",
        meaning: "the user of version 1",
        set: Set::One(|config, value| {
            config.username = Some(value.to_owned());
            Ok(())
        }),
    },
    Setting {
        key: "password",
        variables: &["K6_INFLUXDB_PASSWORD"],
        default: "",
        meaning: "the user's password",
        set: Set::One(|config, value| {
            config.password = Some(value.to_owned());
            Ok(())
        }),
    },
    Setting {
        key: "organization",
        variables: &["K6_INFLUXDB_ORGANIZATION"],
        default: "",
        meaning: "the organization of version 2",
        set: Set::One(|config, value| {
            value.clone_into(&mut config.organization);
            Ok(())
        }),
    },
    Setting {
        key: "bucket",
        variables: &["K6_INFLUXDB_BUCKET"],
        default: "that of db",
        meaning: "the bucket of version 2",
        set: Set::One(|config, value| {
            config.bucket = Some(value.to_owned());
            Ok(())
        }),
    },
    Setting {
        key: "token",
        variables: &["K6_INFLUXDB_TOKEN"],
        default: "",
        meaning: "the token of version 2; without one, the database is of version 1",
        set: Set::One(|config, value| {
            config.token = Some(value.to_owned());
            Ok(())
        }),
    },
    Setting {
        key: "pushInterval",
        variables: &["K6_INFLUXDB_PUSH_INTERVAL"],
        default: "1s",
        meaning: "how often points are written",
        set: Set::One(|config, value| {
            config.push_interval = period(value)?;
            Ok(())
        }),
    },
    Setting {
        key: "concurrentWrites",
        variables: &["K6_INFLUXDB_CONCURRENT_WRITES"],
        default: "4",
        meaning: "how many writes may be under way at once",
        set: Set::One(|config, value| {
            let number = usize::try_from(whole(value)?).ok().filter(|number| *number > 0);
            config.concurrent_writes =
                number.ok_or("influxdb's ConcurrentWrites must be a positive number")?;
            Ok(())
        }),
    },
    Setting {
        key: "tagsAsFields",
        variables: &["K6_INFLUXDB_TAGS_AS_FIELDS"],
        default: "vu,iter,url; of version 2 vu:int,iter:int,url",
        meaning: "tags that are written as fields, as NAME or as NAME:TYPE (string, int, float, bool)",
        set: Set::One(|config, value| {
            config.fields = Some(Fields::parse(value.split(','))?);
            Ok(())
        }),
    },
    Setting {
        key: "precision",
        variables: &["K6_INFLUXDB_PRECISION"],
        default: "ns",
        meaning: "the unit of times: ns, u, ms, s, m or h",
        set: Set::One(|config, value| {
            let wrong = || format!("{value:?} is not a precision: use ns, u, ms, s, m or h");
            config.precision = Precision::parse(value).ok_or_else(wrong)?;
            Ok(())
        }),
    },
    Setting {
        key: "retention",
        variables: &["K6_INFLUXDB_RETENTION"],
        default: "",
        meaning: "the retention policy of version 1",
        set: Set::One(|config, value| {
            value.clone_into(&mut config.retention);
            Ok(())
        }),
    },
    Setting {
        key: "consistency",
        variables: &["K6_INFLUXDB_CONSISTENCY"],
        default: "",
        meaning: "how many nodes of a cluster have to have a point: any, one, quorum or all",
        set: Set::One(|config, value| {
            value.clone_into(&mut config.consistency);
            Ok(())
        }),
    },
    Setting {
        key: "insecure",
        variables: &["K6_INFLUXDB_INSECURE"],
        default: "false",
        meaning: "whether any certificate of the server is taken",
        set: Set::One(|config, value| {
            config.insecure = boolean(value)?;
            Ok(())
        }),
    },
    Setting {
        key: "proxy",
        variables: &["K6_INFLUXDB_PROXY"],
        default: "",
        meaning: "a proxy in front of the database, as http://HOST:PORT",
        set: Set::One(|config, value| {
            config.proxy = Some(value.to_owned());
            Ok(())
        }),
    },
    Setting {
        key: "payloadSize",
        variables: &["K6_INFLUXDB_PAYLOAD_SIZE"],
        default: "512",
        meaning: "the most bytes of a datagram; it means nothing over HTTP",
        set: Set::One(|config, value| {
            let size = usize::try_from(whole(value)?).ok().filter(|size| *size > 0);
            config.payload_size = size.ok_or_else(|| format!("{value} is not a number of bytes"))?;
            Ok(())
        }),
    },
];

impl Config {
    pub(super) fn consolidate(argument: Option<&str>, context: &OutputContext) -> Result<Self, SettingError> {
        let mut config = Self::default();
        read(&mut config, SETTINGS, &["influxdb", "xk6-influxdb"], context)?;
        match argument {
            None | Some("") => {}
            Some(pairs) if pairs.split_once('=').is_some_and(|(key, _)| !key.contains([':', '/'])) => {
                read_argument(&mut config, SETTINGS, None, pairs)?;
            }
            Some(url) => config.take_url(url)?,
        }
        config.check()?;
        Ok(config)
    }

    /// The URL has the server, user and password, the database, and further settings as parameters.
    fn take_url(&mut self, text: &str) -> Result<(), SettingError> {
        let url = parse(text)?;
        let mut fields = Vec::new();
        for (name, value) in url.query_pairs() {
            let known = PARAMETERS.iter().find(|(parameter, _)| *parameter == name);
            match known {
                Some((_, "tagsAsFields")) => fields.push(value.into_owned()),
                Some((_, key)) => set_key(self, SETTINGS, key, &value)?,
                None => return Err(SettingError::Parameter(name.into_owned())),
            }
        }
        if !fields.is_empty() {
            set_key(self, SETTINGS, "tagsAsFields", &fields.join(","))?;
        }
        self.take_user(&url);
        // The path without its last part is a prefix for the paths of the database.
        let (prefix, db) = url.path().rsplit_once('/').unwrap_or_default();
        self.addr = address(&url, prefix);
        if !db.is_empty() {
            self.db = decoded_text(db);
            self.bucket = Some(self.db.clone());
        }
        Ok(())
    }

    fn set_address(&mut self, text: &str) -> Result<(), SettingError> {
        let url = parse(text)?;
        self.take_user(&url);
        self.addr = address(&url, url.path().trim_end_matches('/'));
        Ok(())
    }

    fn take_user(&mut self, url: &Url) {
        if !url.username().is_empty() {
            self.username = Some(decoded_text(url.username()));
        }
        if let Some(password) = url.password() {
            self.password = Some(decoded_text(password));
        }
    }

    fn check(&self) -> Result<(), SettingError> {
        if let Some(proxy) = &self.proxy
            && !Url::parse(proxy).is_ok_and(|url| url.scheme() == "http" && url.has_host())
        {
            return Err(SettingError::Proxy(proxy.clone()));
        }
        if self.token.is_some() {
            if self.precision.of_version_2().is_none() {
                return Err(SettingError::Precision(self.precision.of_version_1()));
            }
            if self.is_udp() {
                return Err(SettingError::TokenOverUdp);
            }
        }
        Ok(())
    }

    /// The tags that are fields. The extension of the reference for version 2 has numbers where version 1 has text.
    pub(super) fn fields(&self) -> Fields {
        let entries =
            if self.token.is_some() { ["vu:int", "iter:int", "url"] } else { ["vu", "iter", "url"] };
        self.fields.clone().unwrap_or_else(|| Fields::parse(entries).unwrap_or_default())
    }

    pub(super) fn is_udp(&self) -> bool {
        self.addr.starts_with("udp://")
    }
}

fn parse(text: &str) -> Result<Url, SettingError> {
    let url = Url::parse(text).map_err(|_| SettingError::Address(text.to_owned()))?;
    if !matches!(url.scheme(), "http" | "https" | "udp") {
        return Err(SettingError::Scheme(url.scheme().to_owned()));
    }
    if !url.has_host() || url.scheme() == "udp" && url.port().is_none() {
        return Err(SettingError::Address(text.to_owned()));
    }
    Ok(url)
}

/// The address without what is only for the database.
fn address(url: &Url, prefix: &str) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{prefix}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
