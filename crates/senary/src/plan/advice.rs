//! What a user may have meant by an invalid threshold.

use senary_metrics::Registry;
use senary_metrics::submetric::Selector;
use senary_metrics::threshold::{Expression, ExpressionError, supported_methods};
use senary_words::spelling::nearest;

/// Whether a threshold is on a metric that there is, and what it should look like.
pub fn on_threshold(selector: &str, expression: &str, registry: &Registry) -> Option<String> {
    let metric = match Selector::parse(selector) {
        Ok(selector) => selector.metric,
        Err(_) => return Some("parts of a metric are written NAME{TAG:VALUE,TAG:VALUE}".to_owned()),
    };
    let Some(metric) = registry.get(&metric) else {
        let names: Vec<_> = registry.all().into_iter().map(|metric| metric.name).collect();
        return Some(match nearest(&metric, names.iter().map(|name| &**name)) {
            Some(name) => format!("did you mean {name:?}?"),
            None => "metrics are made by the script's init code, or by the modules it imports".to_owned(),
        });
    };
    let error = Expression::parse(expression).err()?;
    let methods = supported_methods(metric.kind);
    let list =
        methods.iter().map(|name| if *name == "p" { "p(N)" } else { name }).collect::<Vec<_>>().join(", ");
    let left = expression.split(['<', '>', '=', '!']).next().unwrap_or_default().trim();
    Some(match error {
        _ if ["&&", "||"].iter().any(|both| expression.contains(both)) => {
            "each comparison is a threshold of its own: [\"avg<200\", \"p(95)<500\"]".to_owned()
        }
        _ if expression.contains("=<") || expression.contains("=>") => {
            "comparisons are written <, <=, >, >=, ==, !=".to_owned()
        }
        ExpressionError::UnknownMethod(_) if is_percentile(left) => {
            format!("percentiles are written p({})", &left[1..])
        }
        ExpressionError::UnknownMethod(_) => match nearest(left, methods.iter().copied()) {
            Some(method) if !left.is_empty() && method != left => {
                format!("did you mean {:?}?", expression.replacen(left, method, 1))
            }
            _ => format!("a {} has {list}", metric.kind.as_str()),
        },
        ExpressionError::BadNumber { .. } => {
            "on the right is a number without a unit; times are in milliseconds".to_owned()
        }
        ExpressionError::Malformed(_) => {
            format!("a threshold is one of {list}, a comparison and a number, as in {:?}", example(methods))
        }
        ExpressionError::BadPercentile(_) | ExpressionError::OutOfRange { .. } => return None,
    })
}

/// `p95`
fn is_percentile(text: &str) -> bool {
    text.strip_prefix('p').is_some_and(|number| number.parse::<f64>().is_ok())
}

fn example(methods: &[&str]) -> String {
    if methods.contains(&"p") { "p(95)<200".to_owned() } else { format!("{}<5", methods[0]) }
}

#[cfg(test)]
mod tests {
    use senary_metrics::{MetricType, ValueType};

    use super::*;

    #[test]
    fn typos_are_understood() {
        let registry = Registry::new();
        registry.get_or_register("latency", MetricType::Trend, ValueType::Time).unwrap();
        for (selector, expression, expected) in [
            ("latancy", "p(95)<5", "did you mean \"latency\"?"),
            ("latancy{a:b}", "p(95)<5", "did you mean \"latency\"?"),
            ("iterations{a:b", "count>5", "parts of a metric are written NAME{TAG:VALUE,TAG:VALUE}"),
            (
                "nothing_near",
                "count>5",
                "metrics are made by the script's init code, or by the modules it imports",
            ),
            ("iterations", "cuont>5", "did you mean \"count>5\"?"),
            ("latency", "p95<500", "percentiles are written p(95)"),
            ("latency", "mean<500", "a trend has avg, min, max, med, p(N)"),
            ("latency", ">500", "a trend has avg, min, max, med, p(N)"),
            ("latency", "avg!==500", "a trend has avg, min, max, med, p(N)"),
            (
                "latency",
                "avg>1 && avg<2",
                "each comparison is a threshold of its own: [\"avg<200\", \"p(95)<500\"]",
            ),
            ("latency", "avg=<500", "comparisons are written <, <=, >, >=, ==, !="),
            ("latency", "p(95)<500ms", "on the right is a number without a unit; times are in milliseconds"),
            ("checks", "all pass", "a threshold is one of rate, a comparison and a number, as in \"rate<5\""),
        ] {
            assert_eq!(
                on_threshold(selector, expression, &registry).as_deref(),
                Some(expected),
                "{expression}"
            );
        }
        assert_eq!(on_threshold("latency", "p(95)<500", &registry), None);
    }
}
