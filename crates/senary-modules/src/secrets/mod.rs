//! `k6/secrets`: values that scripts may use and logs may not show.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-secrets/>)
//!
//! [`config`] says where secrets come from; a script sees `get()` of the default source and `source(name)`. Each value
//! is announced to the log, which hides it, before a script gets it.

pub mod config;
mod url;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rquickjs::function::Opt;
use rquickjs::object::Property;
use rquickjs::{Coerced, Ctx, IntoJs, Object, Value};
use senary_js::vu::work;
use senary_js::{errors, native, promise, userdata};
use senary_web::Client;

use self::config::ConfigError;
use self::url::UrlSource;

/// The sources of secrets of a test; clones share them.
#[derive(Clone, Default)]
pub struct Secrets {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Vec<Source>,
    default: Option<usize>,
    redact: fn(&str),
}

impl Default for Inner {
    fn default() -> Self {
        Self { sources: Vec::new(), default: None, redact: |_| {} }
    }
}

/// A source and the name scripts know it by.
struct Source {
    name: String,
    kind: Kind,
}

enum Kind {
    /// Secrets that are known from the start: from a file, or from the command line.
    Known(HashMap<String, String>),
    Url(Arc<UrlSource>),
}

/// Why there is no such secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("no secret sources are configured")]
    NoSources,
    #[error("no secret source with name {0:?} is configured")]
    NoSource(String),
    #[error(
        "no default secret source is configured; mark one with `default` in its --secret-source, or use secrets.source(name)"
    )]
    NoDefault,
    #[error("no value")]
    NoValue,
    #[error("{0}")]
    Url(String),
}

userdata!(Secrets);

impl std::fmt::Debug for Secrets {
    // Names only: debug output must not show values either.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.inner.sources.iter().map(|source| &source.name)).finish()
    }
}

impl Secrets {
    /// Reads the values of `--secret-source`, `type=settings` each, and the files they name. `env` has what the
    /// `url` source may be configured with, `web` sends its requests; `redact` gets every value before a script gets it.
    pub fn new<'e>(
        flags: &[String],
        env: impl Fn(&str) -> Option<&'e str>,
        header_env: impl Iterator<Item = (&'e str, &'e str)>,
        cwd: &Path,
        web: &Client,
        redact: fn(&str),
    ) -> Result<Self, ConfigError> {
        let env = config::UrlEnvironment::new(env, header_env);
        let mut sources = Vec::new();
        let mut default = None;
        for flag in flags {
            let config = config::parse(flag, &env, cwd)?;
            if sources.iter().any(|known: &Source| known.name == config.name) {
                return Err(ConfigError::SameName(config.name));
            }
            if config.is_default && default.replace(sources.len()).is_some() {
                return Err(ConfigError::TwoDefaults);
            }
            let kind = match config.kind {
                config::Kind::Known(secrets) => Kind::Known(secrets),
                config::Kind::Url(options) => Kind::Url(UrlSource::new(options, web.clone())),
            };
            sources.push(Source { name: config.name, kind });
        }
        if sources.len() == 1 {
            default = Some(0);
        }
        Ok(Self { inner: Arc::new(Inner { sources, default, redact }) })
    }

    /// Makes the secrets known to a context.
    pub(crate) fn install(&self, ctx: &Ctx<'_>) {
        // This fails only while userdata is being read, and no script runs yet.
        let _ = ctx.store_userdata(self.clone());
    }

    fn default_source(&self) -> Result<usize, SecretError> {
        match self.inner.default {
            Some(source) => Ok(source),
            None if self.inner.sources.is_empty() => Err(SecretError::NoSources),
            None => Err(SecretError::NoDefault),
        }
    }

    fn source(&self, name: &str) -> Result<usize, SecretError> {
        if self.inner.sources.is_empty() {
            return Err(SecretError::NoSources);
        }
        let found = self.inner.sources.iter().position(|source| source.name == name);
        found.ok_or_else(|| SecretError::NoSource(name.to_owned()))
    }

    /// A promise of a secret.
    fn promise<'js>(
        &self,
        ctx: &Ctx<'js>,
        source: Result<usize, SecretError>,
        key: String,
    ) -> rquickjs::Result<Value<'js>> {
        let source = match source {
            Ok(source) => &self.inner.sources[source],
            Err(error) => return promise::of_result(ctx, Err(thrown(ctx, &error))),
        };
        let redact = self.inner.redact;
        match &source.kind {
            Kind::Known(secrets) => {
                let value = secrets.get(&key).ok_or(SecretError::NoValue);
                let value = value.inspect(|value| redact(value));
                let value = value.map_err(|error| thrown(ctx, &error)).and_then(|value| value.into_js(ctx));
                promise::of_result(ctx, value)
            }
            Kind::Url(url) => {
                let url = url.clone();
                let work = async move { url.get(&key).await };
                work::promise(ctx, work, move |ctx, outcome: Result<Arc<str>, SecretError>| match outcome {
                    Ok(value) => {
                        redact(&value);
                        value.into_js(ctx)
                    }
                    Err(error) => Err(thrown(ctx, &error)),
                })
            }
        }
    }
}

fn thrown(ctx: &Ctx<'_>, error: &SecretError) -> rquickjs::Error {
    errors::throw_go_error(ctx, &error.to_string())
}

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let secrets = ctx.userdata::<Secrets>().map(|secrets| secrets.clone()).unwrap_or_default();
    let all = Object::new(ctx.clone())?;
    let of_default = secrets.clone();
    let get = move |ctx: Ctx<'js>, key: Opt<Coerced<String>>| {
        of_default.promise(&ctx, of_default.default_source(), key.0.map(|key| key.0).unwrap_or_default())
    };
    all.set("get", native::function(ctx, get)?.with_name("get")?)?;
    let source = move |ctx: Ctx<'js>, name: Opt<Coerced<String>>| {
        let name = name.0.map(|name| name.0).unwrap_or_default();
        let index = secrets.source(&name).map_err(|error| thrown(&ctx, &error))?;
        let of_source = secrets.clone();
        let get = move |ctx: Ctx<'js>, key: Opt<Coerced<String>>| {
            of_source.promise(&ctx, Ok(index), key.0.map(|key| key.0).unwrap_or_default())
        };
        let object = Object::new(ctx.clone())?;
        object.set("get", native::function(&ctx, get)?.with_name("get")?)?;
        Ok::<_, rquickjs::Error>(object)
    };
    all.set("source", native::function(ctx, source)?.with_name("source")?)?;
    all.prop("default", Property::from(all.clone()))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_context;

    fn secrets(flags: &[&str]) -> Result<Secrets, ConfigError> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Secrets::new(&flags, |_| None, std::iter::empty(), Path::new("/"), &Client::default(), |_| {})
    }

    /// What `code`, an expression, settles to: the value, or the error's message.
    fn settled(secrets: &Secrets, code: &str) -> String {
        let mut result = String::new();
        with_context(|ctx| {
            secrets.install(ctx);
            ctx.globals().set("secrets", exports(ctx).unwrap()).unwrap();
            let code = format!(
                "(async () => {{ try {{ return String(await {code}) }} catch (e) {{ return `${{e.name}}: ${{e.message}}` }} }})()"
            );
            let promise: rquickjs::Promise<'_> = ctx.eval(code).unwrap();
            result = promise.finish().unwrap();
        });
        result
    }

    #[test]
    fn the_only_source_is_the_default() {
        let secrets = secrets(&["mock=a=1,b=x=y"]).unwrap();
        assert_eq!(settled(&secrets, "secrets.get('a')"), "1");
        assert_eq!(settled(&secrets, "secrets.get('b')"), "x=y");
        assert_eq!(settled(&secrets, "secrets.get('c')"), "GoError: no value");
        assert_eq!(settled(&secrets, "secrets.source('mock').get('a')"), "1");
        assert_eq!(settled(&secrets, "secrets.default === secrets"), "true");
    }

    #[test]
    fn sources_are_found_by_name() {
        let two = secrets(&["mock=default,cool=secret", "mock=name=another,cool=not"]).unwrap();
        assert_eq!(settled(&two, "secrets.get('cool')"), "secret");
        assert_eq!(settled(&two, "secrets.source('another').get('cool')"), "not");
        assert_eq!(
            settled(&two, "secrets.source('third')"),
            r#"GoError: no secret source with name "third" is configured"#
        );
        let none_is_default = secrets(&["mock=a=1", "mock=name=b,a=2"]).unwrap();
        assert!(
            settled(&none_is_default, "secrets.get('a')").starts_with("GoError: no default secret source")
        );
        let none = Secrets::default();
        assert_eq!(settled(&none, "secrets.get('a')"), "GoError: no secret sources are configured");
        assert_eq!(settled(&none, "secrets.source('a')"), "GoError: no secret sources are configured");
    }

    #[test]
    fn names_and_the_default_are_unique() {
        assert_eq!(secrets(&["mock=a=1", "mock=b=1"]).err(), Some(ConfigError::SameName("mock".into())));
        assert_eq!(
            secrets(&["mock=default,name=a", "mock=default,name=b"]).err(),
            Some(ConfigError::TwoDefaults)
        );
    }

    #[test]
    fn values_are_announced_before_they_are_handed_out() {
        static SEEN: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
        let redact = |value: &str| SEEN.lock().unwrap().push(value.to_owned());
        let flags = ["mock=a=hidden,b=unused".to_owned()];
        let secrets =
            Secrets::new(&flags, |_| None, std::iter::empty(), Path::new("/"), &Client::default(), redact)
                .unwrap();
        assert_eq!(settled(&secrets, "secrets.get('a')"), "hidden");
        assert_eq!(*SEEN.lock().unwrap(), ["hidden"]);
        assert!(!format!("{secrets:?}").contains("hidden"));
    }
}
