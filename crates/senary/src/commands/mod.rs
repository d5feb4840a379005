//! The commands other than `run`, one file each, from their arguments to their output.

pub mod archive;
pub mod collect;
pub mod completion;
pub mod deps;
pub mod echo;
pub mod inspect;
pub mod merge;
pub mod new;
pub mod tcp;
