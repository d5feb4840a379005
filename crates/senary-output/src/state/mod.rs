//! What a run adds up to, in one file: the state of an instance, and the states of all instances made one.
//!
//! `head` says what a state tells besides its figures. `container` cuts a file into compressed parts with lengths and
//! checksums, `values` packs the values of trends, `write` and `read` are the way to a file and back. `belong` says whether
//! states are parts of one test, by what `share` knows of segments; `whole` adds them up, the values of trends by `trends`, and
//! `timeline` their time lines. The format is described in
//! `docs/reference/state.md`. Nothing here opens a file.

mod belong;
mod container;
mod head;
mod read;
mod share;
mod timeline;
mod trends;
mod values;
mod whole;
mod write;

pub use belong::{Objection, Parts, belonging};
pub use head::{
    Declared, EarlyEnd, Generator, Head, Instance, LogLine, Progress, ScenarioOutcome, TestFacts,
    hash_of_script,
};
pub use read::{StateError, StateReader};
pub use share::Share;
pub use timeline::{add_timelines, names, own_series};
pub use whole::{Contribution, Whole, WholeError, whole};
pub use write::State;

#[cfg(test)]
mod tests;
