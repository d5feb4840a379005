//! Thresholds: a selector, then an expression, on a line each; durations and the stages of a command line, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary::options::{parse_bool, parse_int, parse_int_literal, parse_stages, split_csv, split_list};
use senary_metrics::metric::MetricType;
use senary_metrics::sink::Sink;
use senary_metrics::submetric::Selector;
use senary_metrics::threshold::Expression;
use senary_metrics::{TagSet, Timestamp};
use senary_words::duration;

fuzz_target!(|text: &str| {
    let (selector, expression) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(selector) = Selector::parse(selector) {
        assert_eq!(Selector::parse(&selector.name()), Ok(selector.clone()));
        assert!(selector.matches(&TagSet::new(distinct(&selector.tags))) || repeats(&selector.tags));
    }
    if let Ok(expression) = Expression::parse(expression) {
        for kind in [MetricType::Counter, MetricType::Gauge, MetricType::Rate, MetricType::Trend] {
            let mut sink = Sink::new(kind);
            expression.evaluate(&mut sink, 0.0);
            for value in [0.0, -1.0, 1e300, 0.25] {
                sink.add(value, Timestamp(0));
            }
            let (_, value) = expression.evaluate(&mut sink, 1.5);
            assert!(value.is_finite());
        }
    }
    for parse in [duration::parse_go, duration::parse_extended] {
        if let Ok(nanos) = parse(text) {
            assert_eq!(duration::parse_go(&duration::format_nanos(nanos)), Ok(nanos), "{nanos}");
        }
    }
    let _ = (parse_int(text), parse_int_literal(text), parse_bool(text));
    let _ = (parse_stages(&split_list(text)), parse_stages(&split_csv(&[text.to_owned()])));
});

fn distinct(tags: &[(String, String)]) -> Vec<(&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Whether a tag is asked to have two values: then nothing matches.
fn repeats(tags: &[(String, String)]) -> bool {
    tags.iter().enumerate().any(|(at, (key, _))| tags[..at].iter().any(|(other, _)| other == key))
}
