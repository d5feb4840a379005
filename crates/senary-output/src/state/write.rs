//! The way of a state to a file.

use std::io::{self, Write};
use std::sync::Arc;

use senary_metrics::results::CheckResult;
use senary_metrics::totals::{PartId, Total};
use senary_metrics::{Failures, Sink, Totals};
use serde::{Deserialize, Serialize};

use super::container::{Kind, Sections};
use super::head::Head;
use super::values::{pack, pack_buckets};
use crate::timeline::Written as WrittenTimeline;

/// A trend with more values has a histogram in the file, too: what is added up to more values than are kept exactly needs no
/// more than that.
const MAX_WITHOUT_BUCKETS: usize = 8192;

/// Bytes of packed values that share a section.
const POOL: usize = 1 << 20;

/// What one process has to say of a test.
#[derive(Clone, Debug)]
pub struct State {
    pub head: Head,
    pub totals: Totals,
    pub failures: Failures,
    pub timeline: Option<WrittenTimeline>,
    /// The script with all that it needs, as an archive; only if it has something to do with the summary.
    pub script: Option<Arc<[u8]>>,
}

/// A sum without the values of trends, and where these are.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    pub total: Total,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
}

/// Where the values of a trend are. At least one of the two is there.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Values {
    pub count: u64,
    pub exact: Option<Place>,
    pub buckets: Option<Place>,
}

/// A range of bytes in an unpacked section.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Place {
    pub section: u32,
    pub at: u32,
    pub length: u32,
}

/// Totals as they are written.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenTotals {
    pub sums: Vec<Row>,
    pub checks: Vec<CheckResult>,
    pub groups: Vec<String>,
    pub parts: Vec<PartId>,
}

impl State {
    /// Writes the state. Only this, and no I/O of its own, takes time: some milliseconds for every million values.
    pub fn write<W: Write>(&self, out: W) -> io::Result<W> {
        let mut sections = Sections::begin(out)?;
        sections.write(Kind::Head, &serde_json::to_vec(&self.head)?)?;
        sections.write(Kind::Failures, &serde_json::to_vec(&self.failures)?)?;
        if let Some(timeline) = &self.timeline {
            sections.write(Kind::Timeline, &timeline.to_bytes().map_err(io::Error::other)?)?;
        }
        if let Some(script) = &self.script {
            sections.write(Kind::Script, script)?;
        }
        let totals = write_values(&self.totals, &mut sections)?;
        sections.write(Kind::Totals, &serde_json::to_vec(&totals)?)?;
        sections.end()
    }
}

/// Writes the values of trends; what is left is given back.
fn write_values<W: Write>(totals: &Totals, sections: &mut Sections<W>) -> io::Result<WrittenTotals> {
    let (mut exact, mut buckets) = (Pool::default(), Pool::default());
    let mut sums = Vec::new();
    for (at, total) in totals.sums().iter().enumerate() {
        let Sink::Trend(trend) = &total.sink else {
            sums.push(Row { total: total.clone(), values: None });
            continue;
        };
        let hollow = Total { sink: Sink::Trend(trend.hollow()), ..total.clone() };
        // The copy is sorted, so that who adds to the original does not have to.
        let (count, mut trend) = (trend.count(), trend.clone());
        let values = trend.sorted().map(|values| {
            let mut bytes = Vec::new();
            pack(values, &mut bytes);
            (values.len(), bytes)
        });
        let needs_buckets = values.as_ref().is_none_or(|(count, _)| *count > MAX_WITHOUT_BUCKETS);
        let has_exact = values.is_some();
        if let Some((_, bytes)) = values {
            exact.add(at, bytes, sections)?;
        }
        if needs_buckets {
            let mut bytes = Vec::new();
            pack_buckets(&trend.buckets(), &mut bytes);
            buckets.add(at, bytes, sections)?;
        }
        // The places are not known before their sections are written.
        let place = |is_there: bool| is_there.then_some(Place { section: 0, at: 0, length: 0 });
        let values = Values { count, exact: place(has_exact), buckets: place(needs_buckets) };
        sums.push(Row { total: hollow, values: Some(values) });
    }
    for (at, place) in exact.finish(sections)? {
        sums[at].values.iter_mut().for_each(|values| values.exact = Some(place));
    }
    for (at, place) in buckets.finish(sections)? {
        sums[at].values.iter_mut().for_each(|values| values.buckets = Some(place));
    }
    let groups = totals.groups().iter().map(ToString::to_string).collect();
    Ok(WrittenTotals { sums, checks: totals.checks().to_vec(), groups, parts: totals.parts().to_vec() })
}

/// Packed values of trends on their way into sections: small ones share one.
#[derive(Default)]
struct Pool {
    bytes: Vec<u8>,
    /// Which sums they are of, and where; the section is not known yet.
    waiting: Vec<(usize, Place)>,
    places: Vec<(usize, Place)>,
}

impl Pool {
    fn add<W: Write>(&mut self, of: usize, bytes: Vec<u8>, sections: &mut Sections<W>) -> io::Result<()> {
        if !self.bytes.is_empty() && self.bytes.len() + bytes.len() > POOL {
            self.flush(sections)?;
        }
        let place = Place { section: 0, at: self.bytes.len() as u32, length: bytes.len() as u32 };
        self.waiting.push((of, place));
        match self.bytes.is_empty() {
            true => self.bytes = bytes,
            false => self.bytes.extend_from_slice(&bytes),
        }
        Ok(())
    }

    fn flush<W: Write>(&mut self, sections: &mut Sections<W>) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let section = sections.write(Kind::Values, &self.bytes)?;
        self.bytes.clear();
        self.places.extend(self.waiting.drain(..).map(|(of, place)| (of, Place { section, ..place })));
        Ok(())
    }

    fn finish<W: Write>(mut self, sections: &mut Sections<W>) -> io::Result<Vec<(usize, Place)>> {
        self.flush(sections)?;
        Ok(self.places)
    }
}
