//! The program's rooms. They are a library so that tests and fuzz targets reach them; the binary is `main`.

pub mod archive;
pub mod banner;
pub mod cli;
pub mod completion;
pub mod config_file;
pub mod control;
pub mod echo;
pub mod environment;
pub mod exit_code;
pub mod gate;
pub mod inspect;
pub mod logging;
pub mod new;
pub mod options;
mod percent;
pub mod phase;
pub mod plan;
pub mod progress;
pub mod report;
pub mod rest;
pub mod run;
pub mod script;
pub mod signals;
pub mod terminal;
pub mod test_run;
pub mod version;
pub mod view;
