//! How sums are written to a file and read from it again, to the last bit: a file may come from anywhere, so nothing that is
//! read is trusted.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sample::Timestamp;

/// A number. Formats such as JSON have finite ones only; the others are written as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            // Where it sorts depends on its sign.
            number if number.is_nan() && number.is_sign_negative() => serializer.serialize_str("-NaN"),
            number => serializer.collect_str(&number),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Finite(f64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Finite(number) => Ok(Self(number)),
            Form::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A shared text, for `#[serde(with)]`.
pub(crate) mod text {
    use super::*;

    pub fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

/// The same, where there may be none.
pub(crate) mod optional_text {
    use super::*;

    pub fn serialize<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
        text.as_deref().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Arc::from))
    }
}

/// What is wrong with figures that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    #[error("a sum has digits out of their range")]
    Sum,
    #[error("a rate has more hits than samples")]
    Rate,
    #[error("a trend has more values than it can keep")]
    Trend,
}

/// A [`Sink`](crate::Sink) as it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum WrittenSink {
    Counter { sum: WrittenSum, samples: u64 },
    Gauge { value: Number, min: Number, max: Number, samples: u64, time: Timestamp },
    Rate { trues: u64, total: u64 },
    Trend { sum: WrittenSum, min: Number, max: Number, values: WrittenValues },
}

/// A [`Sum`](crate::sum::Sum): digits of 32 bits from the lowest on, the highest with the sign, in units of the smallest
/// double.
#[derive(Serialize, Deserialize)]
pub(crate) struct WrittenSum {
    pub first: usize,
    pub digits: Vec<i64>,
    /// The sum of what was not finite.
    pub beyond: Number,
}

/// A [`Distribution`](crate::distribution::Distribution).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WrittenValues {
    Exact {
        most: usize,
        values: Vec<Number>,
    },
    /// The smallest magnitude in each bucket with its sign, and how many numbers are in it.
    Buckets(Vec<(Number, u64)>),
}
