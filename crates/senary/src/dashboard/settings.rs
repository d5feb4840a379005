//! How the dashboard is set up: variables `K6_WEB_DASHBOARD_*`, and above them the query of `--out web-dashboard=…`.
//! (<https://grafana.com/docs/k6/latest/results-output/web-dashboard/>)

use std::path::PathBuf;
use std::time::Duration;

use senary_words::{duration, percent};

use crate::environment::Environment;

/// The name of the output that the dashboard is.
pub const OUTPUT: &str = "web-dashboard";

/// The default address of the dashboard: on this machine only.
const HOST: &str = "127.0.0.1";
pub const PORT: u16 = 5665;

/// A period for short tests, and the reference's, and how long a short test is.
const SHORT_PERIOD: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(10);
const SHORT_TEST: Duration = Duration::from_secs(600);
/// Periods there may be of a whole test: eight hours of ten seconds.
const MAX_PERIODS: u32 = 2880;

/// The settings of a dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardSettings {
    pub host: String,
    pub port: Port,
    /// The period, if the user has chosen it.
    pub period: Option<Duration>,
    /// Tags whose values have their own figures in the events.
    pub tags: Vec<String>,
    /// Where the page goes at the end, and the events during the run. Names that end in `.gz` ask for compression.
    pub export: Option<PathBuf>,
    pub record: Option<PathBuf>,
    /// Whether a browser is to be opened.
    pub open: bool,
    /// Origins of web pages elsewhere that may read the events.
    pub origins: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Somebody wants just this one.
    Chosen(u16),
    /// If it is taken, any other will do.
    Default,
    /// There is no server, for example because only a file is wanted.
    None,
}

impl Default for DashboardSettings {
    fn default() -> Self {
        Self {
            host: HOST.to_owned(),
            port: Port::Default,
            period: None,
            tags: vec!["group".to_owned()],
            export: None,
            record: None,
            open: false,
            origins: Vec::new(),
        }
    }
}

/// A setting that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingError {
    pub name: String,
    pub reason: String,
}

/// The settings: what they are called in the query, and which variables stand for them.
const NAMES: [(&str, &[&str]); 9] = [
    ("host", &["K6_WEB_DASHBOARD_HOST"]),
    ("port", &["K6_WEB_DASHBOARD_PORT"]),
    ("period", &["K6_WEB_DASHBOARD_PERIOD"]),
    ("open", &["K6_WEB_DASHBOARD_OPEN"]),
    // The last one wins.
    ("export", &["K6_WEB_DASHBOARD_REPORT", "K6_WEB_DASHBOARD_EXPORT"]),
    ("record", &["K6_WEB_DASHBOARD_RECORD"]),
    ("tags", &["K6_WEB_DASHBOARD_TAGS"]),
    ("tag", &[]),
    ("origin", &["K6_WEB_DASHBOARD_ORIGIN"]),
];

impl DashboardSettings {
    pub fn read(env: &Environment, query: Option<&str>) -> Result<Self, SettingError> {
        let mut settings = Self::default();
        for (key, variables) in NAMES {
            for variable in variables {
                if let Some(value) = env.get(variable) {
                    settings.set(key, value).map_err(|reason| error(variable, reason))?;
                }
            }
        }
        let pairs = query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
        let mut tags = Vec::new();
        for pair in pairs {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (percent::decoded_text(key), percent::decoded_text(&value.replace('+', " ")));
            match key.as_str() {
                "tag" => tags.push(value),
                "tags" => tags.extend(list(&value)),
                _ => settings.set(&key, &value).map_err(|reason| error(&key, reason))?,
            }
        }
        if !tags.is_empty() {
            settings.tags = tags;
        }
        Ok(settings)
    }

    /// Sets the setting with this name in the query; unknown names are ignored.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "host" => value.clone_into(&mut self.host),
            "port" => self.port = port(value)?,
            "period" => self.period = Some(period(value)?),
            "open" => self.open = value.is_empty() || crate::options::parse_bool(value)?,
            "export" => self.export = Some(value.into()),
            "record" => self.record = Some(value.into()),
            "tags" => self.tags = list(value),
            "origin" => self.origins = list(value),
            _ => {}
        }
        Ok(())
    }

    /// How long a period of the events is, in a test that may take so long.
    pub fn period_of(&self, planned: Duration) -> Duration {
        let usual = if planned <= SHORT_TEST { SHORT_PERIOD } else { PERIOD };
        self.period.unwrap_or(usual).max(planned / MAX_PERIODS)
    }
}

fn error(name: &str, reason: String) -> SettingError {
    SettingError { name: name.to_owned(), reason }
}

fn port(text: &str) -> Result<Port, String> {
    match text.trim().parse::<i64>().map(u16::try_from) {
        Ok(Ok(port)) => Ok(Port::Chosen(port)),
        Ok(Err(_)) if text.trim().starts_with('-') => Ok(Port::None),
        _ => {
            Err(format!("{text:?} is not a port: give a number up to 65535, 0 for any, or -1 for no server"))
        }
    }
}

fn period(text: &str) -> Result<Duration, String> {
    const MIN: i64 = 100_000_000;
    let nanos = duration::parse_go(text).map_err(|error| error.to_string())?;
    match u64::try_from(nanos) {
        Ok(nanos) if nanos >= MIN as u64 => Ok(Duration::from_nanos(nanos)),
        _ => Err(format!("invalid duration {text:?}: a period takes 100ms at least")),
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)], query: &str) -> Result<DashboardSettings, String> {
        let env = env.iter().copied().collect();
        DashboardSettings::read(&env, Some(query)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_query_wins_over_variables() {
        let env = [
            ("K6_WEB_DASHBOARD_PORT", "7000"),
            ("K6_WEB_DASHBOARD_HOST", "0.0.0.0"),
            ("K6_WEB_DASHBOARD_REPORT", "a.html"),
            ("K6_WEB_DASHBOARD_TAGS", "x, y"),
            ("K6_WEB_DASHBOARD_OPEN", "false"),
        ];
        let settings =
            read(&env, "port=-1&period=500ms&open&unknown=1&record=my%20file.gz&origin=http://a.example,*")
                .unwrap();
        let expected = DashboardSettings {
            host: "0.0.0.0".to_owned(),
            port: Port::None,
            period: Some(Duration::from_millis(500)),
            tags: vec!["x".to_owned(), "y".to_owned()],
            export: Some("a.html".into()),
            record: Some("my file.gz".into()),
            open: true,
            origins: vec!["http://a.example".to_owned(), "*".to_owned()],
        };
        assert_eq!(settings, expected);
        assert_eq!(read(&env, "tag=a&tags=b,c&tag=d").unwrap().tags, ["a", "b", "c", "d"]);
        assert_eq!(read(&[], "").unwrap(), DashboardSettings::default());
    }

    #[test]
    fn what_cannot_be_followed_says_its_name() {
        let wrong = |name, value, query| read(&[(name, value)], query).unwrap_err();
        assert_eq!(
            wrong("K6_WEB_DASHBOARD_PERIOD", "soon", ""),
            "K6_WEB_DASHBOARD_PERIOD: time: invalid duration \"soon\""
        );
        assert!(wrong("K6_WEB_DASHBOARD_PERIOD", "1ms", "").contains("100ms at least"));
        assert!(wrong("X", "", "port=70000").starts_with("port: \"70000\" is not a port"));
        assert!(wrong("K6_WEB_DASHBOARD_OPEN", "perhaps", "").starts_with("K6_WEB_DASHBOARD_OPEN: "));
    }

    #[test]
    fn periods_fit_the_length_of_the_test() {
        let of = |planned: u64, period: Option<u64>| {
            let settings =
                DashboardSettings { period: period.map(Duration::from_secs), ..Default::default() };
            settings.period_of(Duration::from_secs(planned)).as_secs()
        };
        assert_eq!((of(600, None), of(601, None), of(7200, Some(1)), of(28_800 * 3, None)), (1, 10, 2, 30));
    }
}
