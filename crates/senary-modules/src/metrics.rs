//! `k6/metrics`: the metrics scripts declare.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-metrics/>)

use std::cell::Cell;
use std::rc::Rc;

use rquickjs::function::{Constructor, Opt};
use rquickjs::object::Property;
use rquickjs::{Coerced, Ctx, Function, Object, Type, Value};
use senary_js::errors;
use senary_js::lazy::{self, Lazy};
use senary_js::properties;
use senary_js::vu::core::vu_of;
use senary_metrics::{MetricId, MetricType, SeriesId, TagSetId, ValueType};

/// Longer values are cut in warnings.
const SHOWN_VALUE: usize = 64;

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    for (name, class) in CLASSES {
        lazy::property(&module, name, class)?;
    }
    Ok(module)
}

/// A script uses some of them.
static CLASSES: &[(&str, Lazy)] = &[
    ("Counter", Lazy::of(|ctx| class(ctx, "Counter", MetricType::Counter))),
    ("Gauge", Lazy::of(|ctx| class(ctx, "Gauge", MetricType::Gauge))),
    ("Rate", Lazy::of(|ctx| class(ctx, "Rate", MetricType::Rate))),
    ("Trend", Lazy::of(|ctx| class(ctx, "Trend", MetricType::Trend))),
];

fn class<'js>(ctx: &Ctx<'js>, name: &str, kind: MetricType) -> rquickjs::Result<Value<'js>> {
    let construct = move |ctx: Ctx<'js>, name: Opt<Value<'js>>, is_time: Opt<Coerced<bool>>| {
        let metric = Rc::new(Metric::new(&ctx, kind, name.0, is_time.0.is_some_and(|t| t.0))?);
        let object = Object::new(ctx.clone())?;
        object.prop("name", Property::from(&*metric.name).enumerable())?;
        // Scripts use it without its metric: `const { add } = new Counter("hits")`.
        let add = move |ctx: Ctx<'js>, value: Opt<Value<'js>>, tags: Opt<Value<'js>>| {
            metric.add(&ctx, value.0.as_ref(), tags.0.as_ref())
        };
        object.set("add", Function::new(ctx, add)?.with_name("add")?)?;
        Ok::<_, rquickjs::Error>(object)
    };
    // Each class has a prototype of its own, for `instanceof`.
    let constructor = Constructor::new_prototype(ctx, Object::new(ctx.clone())?, construct)?;
    constructor.set_name(name)?;
    Ok(constructor.into_value())
}

/// A metric in a script.
struct Metric {
    id: MetricId,
    name: Box<str>,
    /// It is a trend of times, which the progress display may show.
    is_time: bool,
    /// The series of the last `add`, while the VU's tags stay the same.
    series: Cell<Option<(TagSetId, SeriesId)>>,
}

impl Metric {
    fn new(
        ctx: &Ctx<'_>,
        kind: MetricType,
        name: Option<Value<'_>>,
        is_time: bool,
    ) -> rquickjs::Result<Self> {
        let vu = vu_of(ctx)?;
        if !vu.script_context.is_init() {
            return Err(errors::throw_go_error(ctx, "metrics must be declared in the init context"));
        }
        let name = match name.filter(|name| !name.is_undefined() && !name.is_null()) {
            Some(name) => name.get::<Coerced<String>>()?.0,
            None => String::new(),
        };
        let contains = if is_time { ValueType::Time } else { ValueType::Default };
        match vu.registry.declare(&name, kind, contains) {
            Ok(id) => {
                let is_time = is_time && kind == MetricType::Trend;
                Ok(Self { id, name: name.into(), is_time, series: Cell::new(None) })
            }
            Err(error) => Err(errors::throw_go_error(ctx, &error.to_string())),
        }
    }

    /// Whether the value can be added.
    fn add<'js>(
        &self,
        ctx: &Ctx<'js>,
        value: Option<&Value<'js>>,
        tags: Option<&Value<'js>>,
    ) -> rquickjs::Result<bool> {
        let vu = vu_of(ctx)?;
        if vu.script_context.is_init() {
            return Err(errors::throw_go_error(
                ctx,
                "Adding to metrics in the init context is not supported",
            ));
        }
        let number = match value {
            None => None,
            Some(value) if value.is_null() || value.is_undefined() => None,
            Some(value) => Some(number_of(ctx, value)),
        };
        let Some(number) = number.filter(|n| !n.is_nan()) else {
            let text = match value {
                Some(value) => format!(
                    "'{}' is an invalid value for metric '{}', a number or a boolean value is expected",
                    shortened(&senary_js::value_text::to_text(ctx, value)),
                    self.name
                ),
                None => format!(
                    "no value was provided for metric '{}', a number or a boolean value is expected",
                    self.name
                ),
            };
            if vu.settings.throw {
                return Err(errors::throw_go_error(ctx, &text));
            }
            log::warn!("{text}");
            return Ok(false);
        };
        let under = vu.tags.id();
        let series = match tags.filter(|t| !t.is_undefined() && !t.is_null()) {
            None => match self.series.get() {
                Some((known, series)) if known == under => series,
                _ => {
                    let series = vu.series(self.id);
                    self.series.set(Some((under, series)));
                    series
                }
            },
            Some(tags) => {
                let place = || format!("cannot add tags for the '{}' custom metric: ", self.name);
                let own = tags_of(ctx, tags, place)?;
                vu.series_with(self.id, own.iter().map(|(k, v)| (k.as_str(), v.as_str())))
            }
        };
        vu.record_series(series, number, vu.now());
        if self.is_time {
            vu.measured(self.id, number);
        }
        Ok(true)
    }
}

/// The number that a value adds, as in the reference: a value that is true and converts to 0, such as `[]`, counts as
/// 1. NaN if the value is not a number.
fn number_of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> f64 {
    if value.type_of() == Type::BigInt {
        // Not ToNumber, which refuses them.
        return senary_js::value_text::to_text(ctx, value).parse().unwrap_or(f64::NAN);
    }
    match value.get::<Coerced<f64>>() {
        Ok(Coerced(0.0)) => f64::from(u8::from(value.get::<Coerced<bool>>().is_ok_and(|truth| truth.0))),
        Ok(Coerced(number)) => number,
        Err(_) => {
            ctx.catch();
            f64::NAN
        }
    }
}

/// The tags that a script passes with a value; only plain values are tags. `place` begins the text of an error.
pub fn tags_of<'js>(
    ctx: &Ctx<'js>,
    value: &Value<'js>,
    place: impl Fn() -> String,
) -> rquickjs::Result<Vec<(String, String)>> {
    let mut tags = Vec::new();
    if let Some(text) = value.as_string() {
        // As an object it has its characters, numbered.
        let units = text.to_string()?.encode_utf16().collect::<Vec<_>>();
        let units = units.iter().map(|unit| String::from_utf16_lossy(&[*unit]));
        return Ok(units.enumerate().map(|(at, unit)| (at.to_string(), unit)).collect());
    }
    // Other plain values have no names: `[1, 2].forEach(trend.add)` passes indices.
    let Some(object) = value.as_object() else { return Ok(tags) };
    for entry in properties::entries(object) {
        let (key, value) = entry?;
        match plain_text(&value)? {
            Some(text) => tags.push((key, text)),
            None => return Err(errors::throw_type_error(ctx, &(place() + &not_plain(&key)))),
        }
    }
    Ok(tags)
}

/// The text of a tag's value.
pub fn tag_value<'js>(ctx: &Ctx<'js>, key: &str, value: &Value<'js>) -> rquickjs::Result<String> {
    match plain_text(value)? {
        Some(text) => Ok(text),
        None => Err(errors::throw_type_error(ctx, &not_plain(key))),
    }
}

fn plain_text(value: &Value<'_>) -> rquickjs::Result<Option<String>> {
    let is_plain = value.is_string() || value.is_number() || value.is_bool();
    Ok(if is_plain { Some(value.get::<Coerced<String>>()?.0) } else { None })
}

fn not_plain(key: &str) -> String {
    format!(
        "invalid value for metric tag '{key}': only String, Boolean and Number types are accepted as a metric tag values"
    )
}

fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN_VALUE {
        return text.to_owned();
    }
    let half = SHOWN_VALUE / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!("{head}... omitting {} characters ...{tail}", count - SHOWN_VALUE)
}
