//! What samples add up to: a sink for each metric, sub-metric and part of a run, and the counts of checks and groups.
//!
//! Everything is known by its name, so that totals can be written down, read elsewhere, and added up: the totals of several
//! processes, or of several parts of a run, are those of one that would have had all their samples.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::group;
use crate::metric::{Metric, MetricType, ValueType};
use crate::results::CheckResult;
use crate::sample::Timestamp;
use crate::sink::{Sink, TrendSink};

/// At most this many checks, groups and parts are counted separately; names with ids in them would otherwise fill memory.
pub const MAX_NAMES: usize = 10_000;

/// What stands for all further checks.
pub(crate) const OTHER_CHECKS: &str = "(other checks)";

/// What a sum is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All samples of the metric.
    Whole,
    /// Those of a sub-metric: the text between its braces.
    Selector(#[serde(with = "crate::written::text")] Arc<str>),
    Part(PartId),
}

/// A scenario, or a group within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartId {
    /// Empty for samples outside of scenarios, as those of setup and teardown are.
    #[serde(with = "crate::written::text")]
    pub scenario: Arc<str>,
    /// The path of a group; `None` for the scenario as a whole.
    #[serde(with = "crate::written::optional_text")]
    pub group: Option<Arc<str>>,
}

/// The samples of one metric within one scope, added up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Total {
    #[serde(with = "crate::written::text")]
    pub metric: Arc<str>,
    pub contains: ValueType,
    pub scope: Scope,
    pub sink: Sink,
}

/// Where a sum is kept; an index into the totals that gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// Why totals do not add up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error("the metric '{name}' is a {existing} here and a {other} there")]
    OtherType { name: String, existing: MetricType, other: MetricType },
    #[error("the values of the metric '{name}' are of the type {existing} here and {other} there")]
    OtherValueType { name: String, existing: ValueType, other: ValueType },
}

/// All totals of a run, or of a part of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Totals {
    sums: Vec<Total>,
    slots: FxHashMap<(Arc<str>, Scope), Slot>,
    checks: Vec<CheckResult>,
    /// By name, group and scenario.
    check_at: FxHashMap<[Arc<str>; 3], u32>,
    groups: Vec<Arc<str>>,
    known_groups: FxHashSet<Arc<str>>,
    parts: Vec<PartId>,
    known_parts: FxHashSet<PartId>,
}

impl Totals {
    /// Totals of sums that were kept apart, with their checks, groups and parts in order.
    pub fn of(
        sums: Vec<Total>,
        checks: Vec<CheckResult>,
        groups: Vec<Arc<str>>,
        parts: Vec<PartId>,
    ) -> Result<Self, MergeError> {
        let mut totals = Self::default();
        totals.merge(&Self { sums, checks, groups, parts, ..Self::default() })?;
        Ok(totals)
    }

    /// Where the samples of a metric within a scope are added up.
    pub fn slot(&mut self, metric: &Metric, scope: Scope) -> Slot {
        self.slot_of(&metric.name, metric.kind, metric.contains, scope)
    }

    /// The same, if there is one already.
    pub fn find(&self, metric: &str, scope: Scope) -> Option<Slot> {
        self.slots.get(&(metric.into(), scope)).copied()
    }

    pub fn add(&mut self, slot: Slot, value: f64, time: Timestamp) {
        self.sums[slot.0 as usize].sink.add(value, time);
    }

    pub fn sink(&self, slot: Slot) -> &Sink {
        &self.sums[slot.0 as usize].sink
    }

    pub fn sink_mut(&mut self, slot: Slot) -> &mut Sink {
        &mut self.sums[slot.0 as usize].sink
    }

    /// Every sum, in the order in which they were first asked for.
    pub fn sums(&self) -> &[Total] {
        &self.sums
    }

    /// The trends among the sums, in their order.
    pub fn trends_mut(&mut self) -> impl Iterator<Item = &mut TrendSink> {
        self.sums.iter_mut().filter_map(|total| match &mut total.sink {
            Sink::Trend(trend) => Some(trend),
            Sink::Counter(_) | Sink::Gauge(_) | Sink::Rate(_) => None,
        })
    }

    /// The number of a check, to count it by. The second is false if there are too many checks for it to have its own.
    pub fn check(&mut self, name: &str, group: &str, scenario: &str) -> (u32, bool) {
        let key = [name, group, scenario].map(Arc::from);
        if let Some(&known) = self.check_at.get(&key) {
            return (known, true);
        }
        if self.checks.len() >= MAX_NAMES && name != OTHER_CHECKS {
            // One for each scenario: scenarios are few.
            return (self.check(OTHER_CHECKS, "", scenario).0, false);
        }
        let at = self.checks.len() as u32;
        let [name, group, scenario] = key.clone();
        self.checks.push(CheckResult { name, group, scenario, passes: 0, fails: 0 });
        self.check_at.insert(key, at);
        (at, true)
    }

    pub fn count_check(&mut self, check: u32, has_passed: bool) {
        let check = &mut self.checks[check as usize];
        if has_passed { check.passes += 1 } else { check.fails += 1 }
    }

    /// In order of first appearance; one entry per group, scenario and name.
    pub fn checks(&self) -> &[CheckResult] {
        &self.checks
    }

    /// Adds a group and those around it. False if there are too many groups.
    pub fn add_group(&mut self, path: &str) -> bool {
        for (_, path) in group::steps(path) {
            if self.known_groups.contains(path) {
                continue;
            }
            if self.groups.len() >= MAX_NAMES {
                return false;
            }
            let path: Arc<str> = path.into();
            self.groups.push(path.clone());
            self.known_groups.insert(path);
        }
        true
    }

    /// Paths of groups, in order of first appearance; a group comes after the one around it.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    /// Adds a part of the run. False if there are too many.
    pub fn add_part(&mut self, part: &PartId) -> bool {
        if self.known_parts.contains(part) {
            return true;
        }
        if self.parts.len() >= MAX_NAMES {
            return false;
        }
        self.parts.push(part.clone());
        self.known_parts.insert(part.clone());
        true
    }

    /// In order of first appearance.
    pub fn parts(&self) -> &[PartId] {
        &self.parts
    }

    /// Adds what others have added up: counters, rates, checks and trends as if their samples had come here, a gauge by the
    /// times of its samples. What is here keeps its place, what is new follows in the others' order. After an error nothing
    /// has changed.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        self.check_types(other)?;
        for part in &other.parts {
            self.add_part(part);
        }
        for total in &other.sums {
            // A part that was one too many has no sums.
            let is_known = !matches!(&total.scope, Scope::Part(part) if !self.known_parts.contains(part));
            if is_known {
                let kind = total.sink.kind();
                let slot = self.slot_of(&total.metric, kind, total.contains, total.scope.clone());
                self.sink_mut(slot).merge(&total.sink);
            }
        }
        for check in &other.checks {
            let (at, _) = self.check(&check.name, &check.group, &check.scenario);
            let own = &mut self.checks[at as usize];
            own.passes = own.passes.saturating_add(check.passes);
            own.fails = own.fails.saturating_add(check.fails);
        }
        for path in &other.groups {
            self.add_group(path);
        }
        Ok(())
    }

    /// Whether each metric is of one type, here and there.
    fn check_types(&self, other: &Self) -> Result<(), MergeError> {
        let mut types = FxHashMap::default();
        for total in self.sums.iter().chain(&other.sums) {
            let (kind, contains) = (total.sink.kind(), total.contains);
            let (existing, values) = *types.entry(&*total.metric).or_insert((kind, contains));
            let name = || total.metric.to_string();
            if existing != kind {
                return Err(MergeError::OtherType { name: name(), existing, other: kind });
            }
            if values != contains {
                return Err(MergeError::OtherValueType { name: name(), existing: values, other: contains });
            }
        }
        Ok(())
    }

    fn slot_of(&mut self, metric: &Arc<str>, kind: MetricType, contains: ValueType, scope: Scope) -> Slot {
        let next = Slot(self.sums.len() as u32);
        let slot = *self.slots.entry((metric.clone(), scope.clone())).or_insert(next);
        if slot == next {
            self.sums.push(Total { metric: metric.clone(), contains, scope, sink: Sink::new(kind) });
        }
        slot
    }
}

/// How totals are written down.
#[derive(Serialize, Deserialize)]
struct Written {
    sums: Vec<Total>,
    checks: Vec<CheckResult>,
    groups: Vec<String>,
    parts: Vec<PartId>,
}

impl From<Totals> for Written {
    fn from(totals: Totals) -> Self {
        let Totals { sums, checks, groups, parts, .. } = totals;
        Self { sums, checks, groups: groups.iter().map(ToString::to_string).collect(), parts }
    }
}

impl TryFrom<Written> for Totals {
    type Error = MergeError;

    fn try_from(written: Written) -> Result<Self, MergeError> {
        let Written { sums, checks, groups, parts } = written;
        let groups = groups.into_iter().map(Arc::from).collect();
        Self::of(sums, checks, groups, parts)
    }
}
