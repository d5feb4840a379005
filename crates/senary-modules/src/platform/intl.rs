//! `Intl`, and the methods of `Date`, `Number` and `BigInt` that take a locale: in English, with the time zones of the
//! system or, if it has none, of the binary.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use rquickjs::{Array, Ctx, Object, Value};
use senary_js::lazy::{self, Lazy};
use senary_js::snippet::Part;
use senary_js::{errors, native};

static PART: Part = Part::new(
    "Intl",
    concat!(
        "(function (natives) { 'use strict'; const { zones } = natives;\n",
        include_str!("intl/common.js"),
        include_str!("intl/number.js"),
        include_str!("intl/words.js"),
        include_str!("intl/date.js"),
        include_str!("intl/intl.js"),
        "})"
    ),
    natives,
);

static INTL: Lazy = Lazy::of(|ctx| PART.member(ctx, "Intl"));

/// Methods of the language's own classes, by class and name.
static METHODS: &[(&str, &str, Lazy)] = &[
    ("Date", "toLocaleString", Lazy::of(|ctx| method(ctx, "dates", "toLocaleString"))),
    ("Date", "toLocaleDateString", Lazy::of(|ctx| method(ctx, "dates", "toLocaleDateString"))),
    ("Date", "toLocaleTimeString", Lazy::of(|ctx| method(ctx, "dates", "toLocaleTimeString"))),
    ("Number", "toLocaleString", Lazy::of(|ctx| method(ctx, "numbers", "toLocaleString"))),
    ("BigInt", "toLocaleString", Lazy::of(|ctx| method(ctx, "bigints", "toLocaleString"))),
];

pub(super) fn install(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    lazy::hidden(&ctx.globals(), "Intl", &INTL)?;
    for (class, name, value) in METHODS {
        let prototype: Object<'_> = ctx.globals().get::<_, Object<'_>>(*class)?.get("prototype")?;
        lazy::hidden(&prototype, name, value)?;
    }
    Ok(())
}

fn method<'js>(ctx: &Ctx<'js>, class: &str, name: &str) -> rquickjs::Result<Value<'js>> {
    PART.member(ctx, class)?.get::<Object<'js>>()?.get(name)
}

fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let zones = Object::new(ctx.clone())?;
    zones.set("system", native::function(ctx, system)?)?;
    zones.set("named", native::function(ctx, named)?)?;
    zones.set("at", native::function(ctx, at)?)?;
    zones.set("all", native::function(ctx, all)?)?;
    let natives = Object::new(ctx.clone())?;
    natives.set("zones", zones)?;
    Ok(natives)
}

/// The name of the system's time zone. A zone without a name is represented by its present offset from UTC.
fn system() -> String {
    let zone = TimeZone::system();
    match zone.iana_name() {
        Some(name) => canonical(name),
        None => offset_name(zone.to_offset(Timestamp::now()).seconds()),
    }
}

fn offset_name(seconds: i32) -> String {
    if seconds == 0 {
        return UTC.to_owned();
    }
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

const UTC: &str = "UTC";

/// All names of UTC count as the same.
fn canonical(name: &str) -> String {
    match name {
        "Etc/UTC" | "Etc/UCT" | "Etc/GMT" | "GMT" | "UCT" | "Zulu" | "Etc/Zulu" | "Universal"
        | "Etc/Universal" | "Etc/Unknown" => UTC.to_owned(),
        name => name.to_owned(),
    }
}

/// The usual spelling of a time zone's name, which may be given in any case; `None` if it is unknown.
fn named(name: rquickjs::String<'_>) -> rquickjs::Result<Option<String>> {
    let name = name.to_string()?;
    if name.eq_ignore_ascii_case(UTC) {
        return Ok(Some(UTC.to_owned()));
    }
    let zone = tz::db().get(&name).ok();
    Ok(zone.and_then(|zone| zone.iana_name().map(canonical)))
}

/// The offset of a zone from UTC in seconds at a time in milliseconds since 1970, and its abbreviation.
fn at<'js>(ctx: Ctx<'js>, name: String, milliseconds: f64) -> rquickjs::Result<Array<'js>> {
    let zone = if name == UTC { TimeZone::UTC } else { zone(&ctx, &name)? };
    // Beyond the years that are known the last rules hold.
    let limits = (Timestamp::MIN.as_millisecond() as f64, Timestamp::MAX.as_millisecond() as f64);
    let time = Timestamp::from_millisecond(milliseconds.clamp(limits.0, limits.1) as i64).unwrap_or_default();
    let info = zone.to_offset_info(time);
    let array = Array::new(ctx)?;
    array.set(0, info.offset().seconds())?;
    array.set(1, info.abbreviation())?;
    Ok(array)
}

fn zone(ctx: &Ctx<'_>, name: &str) -> rquickjs::Result<TimeZone> {
    tz::db()
        .get(name)
        .map_err(|_| errors::throw_range_error(ctx, &format!("Invalid time zone specified: {name}")))
}

/// The names of all time zones.
fn all(ctx: Ctx<'_>) -> rquickjs::Result<Array<'_>> {
    let array = Array::new(ctx)?;
    for (index, name) in tz::db().available().enumerate() {
        array.set(index, name.as_str())?;
    }
    Ok(array)
}
