//! The state of this run, for `senary merge`: what it adds up to, at any moment and at its end.
//!
//! What a state is, and how it is written down, is `senary_output::state`'s business. Here `source` gathers it from the run,
//! and `file` writes it every ten seconds and at the end (`--out state=FILE`).

mod file;
mod source;

pub use file::{States, Writing, is_meant_by};
pub use source::{Over, StateSource, instance, script_hash};
