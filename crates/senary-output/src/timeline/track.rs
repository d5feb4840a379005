//! One series over time: a cell for each interval that had samples.

use senary_metrics::{MetricType, Timestamp, ValueType};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, OpenCell};

/// Intervals that samples are added to at a time. The samples of different workers come a moment apart.
const OPEN: usize = 2;

/// Which samples a track is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId {
    pub metric: String,
    /// The tags that the samples have in common, in the order written; empty for all samples of the metric.
    pub tags: Vec<(String, String)>,
    pub part: Part,
}

/// What kind of part of a metric a track is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Whole,
    /// A threshold, or the options, name it.
    Submetric,
    Scenario,
    Group,
    /// The value of a tag that is always of interest, such as the code of an error.
    Tag,
    /// The value of any other tag: its total is in the table, and nothing of it over time.
    Value,
}

impl TrackId {
    /// `tcp_errors{error_code=ETIMEDOUT}`
    pub fn text(&self) -> String {
        if self.part == Part::Whole {
            return self.metric.clone();
        }
        let tags: Vec<_> = self.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{}{{{}}}", self.metric, tags.join(","))
    }
}

/// The properties of a metric that its charts need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nature {
    pub kind: MetricType,
    pub contains: ValueType,
    /// The script has declared it.
    pub custom: bool,
    /// It is about the generator.
    pub own: bool,
}

#[derive(Clone, Debug)]
pub struct Track {
    pub id: TrackId,
    pub nature: Nature,
    /// By interval, in order.
    closed: Vec<(u32, Cell)>,
    /// Samples that are in no closed cell yet, also of intervals that have one.
    open: Vec<(u32, OpenCell)>,
    /// The total of all closed cells.
    total: Option<Cell>,
    bytes: usize,
}

impl Track {
    pub(super) fn new(id: TrackId, nature: Nature) -> Self {
        Self { id, nature, closed: Vec::new(), open: Vec::new(), total: None, bytes: size_of::<Self>() }
    }

    pub(super) fn add(&mut self, interval: u32, value: f64, time: Timestamp) {
        if let Some((_, cell)) = self.open.iter_mut().rev().find(|(at, _)| *at == interval) {
            return cell.add(value, time);
        }
        self.open.push((interval, OpenCell::of(self.nature.kind, value, time)));
        if self.open.len() > OPEN
            && let Some(oldest) = (0..self.open.len()).min_by_key(|at| self.open[*at].0)
        {
            let (interval, cell) = self.open.remove(oldest);
            self.close(interval, cell.close());
        }
    }

    /// Closes the cells of intervals before this one.
    pub(super) fn close_before(&mut self, interval: u32) {
        if self.open.iter().any(|(at, _)| *at < interval) {
            let (old, open): (Vec<_>, _) = self.open.drain(..).partition(|(at, _)| *at < interval);
            self.open = open;
            old.into_iter().for_each(|(at, cell)| self.close(at, cell.close()));
        }
    }

    /// Adds a cell to the closed ones, and to the total.
    pub(super) fn close(&mut self, interval: u32, cell: Cell) {
        self.close_with(interval, cell, Cell::merge);
    }

    /// Adds the cells of another process that has its own of what is measured; they are in order.
    pub(super) fn close_beside(&mut self, cells: impl Iterator<Item = (u32, Cell)>) {
        cells.for_each(|(interval, cell)| self.close_with(interval, cell, Cell::add_beside));
        // The most of all together is not the most that one of them had.
        self.total = None;
        for (_, cell) in &self.closed {
            match &mut self.total {
                Some(total) => total.merge(cell),
                None => self.total = Some(cell.clone()),
            }
        }
    }

    fn close_with(&mut self, interval: u32, cell: Cell, add: fn(&mut Cell, &Cell)) {
        match &mut self.total {
            Some(total) => total.merge(&cell),
            None => self.total = Some(cell.clone()),
        }
        match self.closed.binary_search_by_key(&interval, |(at, _)| *at) {
            Ok(at) => {
                let own = &mut self.closed[at].1;
                self.bytes -= own.bytes();
                add(own, &cell);
                self.bytes += own.bytes();
            }
            Err(at) => {
                self.bytes += cell.bytes();
                self.closed.insert(at, (interval, cell));
            }
        }
    }

    /// Merges pairs of intervals; with a lead of one, the first of them is the second of its pair.
    pub(super) fn fold(&mut self, lead: u32) {
        self.close_before(u32::MAX);
        self.closed = folded(std::mem::take(&mut self.closed), lead);
        self.bytes = size_of::<Self>() + self.closed.iter().map(|(_, cell)| cell.bytes()).sum::<usize>();
    }

    /// Moves all intervals to later places.
    pub(super) fn shift(&mut self, by: u32) {
        self.closed.iter_mut().for_each(|(at, _)| *at = at.saturating_add(by));
        self.open.iter_mut().for_each(|(at, _)| *at = at.saturating_add(by));
    }

    /// Forgets all samples, and keeps its place.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.id.clone(), self.nature);
    }

    /// Bytes it takes, roughly, but for the cells that are open.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The cells from an interval on, in order.
    pub fn cells(&self, from: u32) -> Vec<(u32, Cell)> {
        let first = self.closed.partition_point(|(at, _)| *at < from);
        let mut cells = self.closed[first..].to_vec();
        for (interval, open) in self.open.iter().filter(|(at, _)| *at >= from) {
            let cell = open.clone().close();
            match cells.binary_search_by_key(interval, |(at, _)| *at) {
                Ok(at) => cells[at].1.merge(&cell),
                Err(at) => cells.insert(at, (*interval, cell)),
            }
        }
        cells
    }

    /// The sum of some intervals; `None` if there was no sample in them.
    pub fn sum_of(&self, from: u32, to: u32) -> Option<Cell> {
        let mut cells = self.cells(from).into_iter().take_while(|(at, _)| *at < to).map(|(_, cell)| cell);
        let mut sum = cells.next()?;
        cells.for_each(|cell| sum.merge(&cell));
        Some(sum)
    }

    /// The total of all samples; `None` before the first one.
    pub fn total(&self) -> Option<Cell> {
        let mut total = self.total.clone();
        for (_, open) in &self.open {
            let cell = open.clone().close();
            match &mut total {
                Some(total) => total.merge(&cell),
                None => total = Some(cell),
            }
        }
        total
    }
}

/// Cells of twice the length.
pub(super) fn folded(cells: Vec<(u32, Cell)>, lead: u32) -> Vec<(u32, Cell)> {
    let mut folded: Vec<(u32, Cell)> = Vec::with_capacity(cells.len() / 2 + 1);
    for (interval, cell) in cells {
        let interval = interval.saturating_add(lead) / 2;
        match folded.last_mut() {
            Some((at, own)) if *at == interval => own.merge(&cell),
            _ => folded.push((interval, cell)),
        }
    }
    folded
}
