//! The only room that knows JavaScript: scripts, their modules, the VU and its event loop.

pub mod errors;
