//! One time line of the states of all instances, and what the instances are called in it.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::head::Head;
use super::read::StateReader;
use super::whole::WholeError;
use crate::timeline::{Member, Timeline};

/// Up to this number of instances, each has its own lines in all charts. With more instances, only the number of requests is kept
/// for each.
const MAX_APART: usize = 8;
/// The metrics that are kept for each instance.
const APART: [&str; 19] = [
    "iterations",
    "iteration_duration",
    "dropped_iterations",
    "vus",
    "tcp_reqs",
    "tcp_req_failed",
    "tcp_req_duration",
    "tcp_req_waiting",
    "tcp_sockets",
    "tcp_errors",
    "http_reqs",
    "http_req_failed",
    "http_req_duration",
    "http_req_waiting",
    "data_sent",
    "data_received",
    "senary_worker_busy",
    "senary_start_lag",
    "senary_open_sockets",
];
/// The tag that instances give their samples: of many instances, totals are not told apart by it.
const INSTANCE_ID: &str = "instance_id";

/// What each instance is called: its machine, and its segment besides if several instances are on one machine.
pub fn names(heads: &[&Head]) -> Vec<String> {
    let mut on_machine: BTreeMap<&str, usize> = BTreeMap::new();
    for head in heads {
        *on_machine.entry(&head.instance.name).or_default() += 1;
    }
    let name = |head: &&Head| match on_machine.get(head.instance.name.as_str()) {
        Some(1) => head.instance.name.clone(),
        _ => format!("{} ({})", head.instance.name, head.instance.segment),
    };
    heads.iter().map(name).collect()
}

/// The series of an instance alone that its row shows: how many requests it has made over time.
pub fn own_series(head: &Head, name: &str) -> Option<String> {
    Some(format!("{}{{instance={name}}}", requests(head)?))
}

/// The metric of that series.
fn requests(head: &Head) -> Option<&str> {
    head.progress.row.get("series")?.as_str()
}

/// Adds the time lines of states up, in their order. One is in memory at a time. `may_change` says whether an instance may have
/// more to tell.
pub fn add_timelines<R: Read + Seek>(
    to: &mut Timeline,
    states: &mut [&mut StateReader<R>],
    may_change: impl Fn(&Head) -> bool,
) -> Result<(), WholeError> {
    let heads: Vec<Head> = states.iter().map(|state| state.head.clone()).collect();
    let names = names(&heads.iter().collect::<Vec<_>>());
    let are_few = states.len() <= MAX_APART;
    for (at, (state, name)) in states.iter_mut().zip(&names).enumerate() {
        let written = state.timeline().map_err(|error| WholeError::State { at, error })?;
        let Some(written) = written else { continue };
        let requests = requests(&heads[at]);
        let own = if are_few { &APART[..] } else { requests.as_slice() };
        let without_tag = (!are_few).then_some(INSTANCE_ID);
        let may_change = may_change(&heads[at]);
        to.add_instance(written, Member { name, own, without_tag, may_change });
    }
    Ok(())
}
