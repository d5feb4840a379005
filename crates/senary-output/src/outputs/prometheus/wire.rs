//! The messages of remote write 1.0: a `prometheus.WriteRequest` in protobuf, compressed with Snappy.
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec/>)

use super::native::{Buckets, Native, Spans};

/// The value that says that a series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A metric as it is described to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub name: String,
    pub kind: Kind,
    pub unit: &'static str,
}

/// The types of `MetricMetadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
}

/// A request as it grows.
#[derive(Debug, Default)]
pub(super) struct WriteRequest {
    bytes: Vec<u8>,
    series: usize,
}

impl WriteRequest {
    /// How many time series are in it.
    pub(super) fn series(&self) -> usize {
        self.series
    }

    pub(super) fn compressed(&self) -> Vec<u8> {
        // It fails only for more than four gigabytes, and a request has a bound far below that.
        snap::raw::Encoder::new().compress_vec(&self.bytes).unwrap_or_default()
    }

    pub(super) fn metadata(&mut self, family: &Family) {
        let mut message = Vec::new();
        varint_field(&mut message, 1, family.kind as u64);
        bytes_field(&mut message, 2, family.name.as_bytes());
        if !family.unit.is_empty() {
            bytes_field(&mut message, 5, family.unit.as_bytes());
        }
        bytes_field(&mut self.bytes, 3, &message);
    }

    /// One value of a series at a time in milliseconds.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: f64, time: i64) {
        let mut sample = Vec::with_capacity(20);
        double_field(&mut sample, 1, value);
        varint_field(&mut sample, 2, time.cast_unsigned());
        self.one(labels, 2, &sample);
    }

    pub(super) fn stale(&mut self, labels: &[(&str, &str)], time: i64) {
        self.value(labels, f64::from_bits(STALE), time);
    }

    /// A native histogram; with `is_stale` it only says that the series has ended.
    pub(super) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        histogram: &Native,
        time: i64,
        is_stale: bool,
    ) {
        let mut message = Vec::new();
        // `oneof` fields are there even if they are zero.
        varint_field(&mut message, 1, histogram.count());
        double_field(&mut message, 3, if is_stale { f64::from_bits(STALE) } else { histogram.sum() });
        varint_field(&mut message, 4, zigzag(histogram.schema().into()));
        double_field(&mut message, 5, super::native::ZERO_THRESHOLD);
        varint_field(&mut message, 6, histogram.zeros());
        side(&mut message, 8, histogram.negative());
        side(&mut message, 11, histogram.positive());
        varint_field(&mut message, 15, time.cast_unsigned());
        self.one(labels, 4, &message);
    }

    fn one(&mut self, labels: &[(&str, &str)], field: u32, point: &[u8]) {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::with_capacity(name.len() + value.len() + 6);
            bytes_field(&mut label, 1, name.as_bytes());
            bytes_field(&mut label, 2, value.as_bytes());
            bytes_field(&mut series, 1, &label);
        }
        bytes_field(&mut series, field, point);
        bytes_field(&mut self.bytes, 1, &series);
        self.series += 1;
    }
}

/// The spans and the differences of one sign, in two fields that follow each other.
fn side(message: &mut Vec<u8>, field: u32, buckets: &Buckets) {
    let Spans { spans, deltas } = buckets.spans();
    for (offset, length) in spans {
        let mut span = Vec::with_capacity(8);
        varint_field(&mut span, 1, zigzag(offset.into()));
        varint_field(&mut span, 2, length.into());
        bytes_field(message, field, &span);
    }
    if !deltas.is_empty() {
        let mut packed = Vec::with_capacity(deltas.len() * 2);
        deltas.into_iter().for_each(|delta| varint(&mut packed, zigzag(delta)));
        bytes_field(message, field + 1, &packed);
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn varint_field(out: &mut Vec<u8>, field: u32, number: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, number);
}

fn double_field(out: &mut Vec<u8>, field: u32, number: f64) {
    varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&number.to_le_bytes());
}

fn bytes_field(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size() {
        for (number, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out, bytes);
        }
        let zigzags: Vec<_> = [0, -1, 1, -2, i64::MAX, i64::MIN].into_iter().map(zigzag).collect();
        assert_eq!(zigzags, [0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
    }

    #[test]
    fn a_request_byte_by_byte() {
        let mut request = WriteRequest::default();
        request.value(&[("a", "b")], 1.0, 300);
        let expected = [
            0x0a, 22, // a time series
            0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', // a label
            0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02, // a sample
        ];
        assert_eq!((&request.bytes[..], request.series()), (&expected[..], 1));
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&request.compressed()).unwrap(), expected);
    }
}
