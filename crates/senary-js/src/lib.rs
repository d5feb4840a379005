//! The only room that knows JavaScript: scripts, their modules, the VU and its event loop.
//!
//! A [`Bundle`] is a script loaded once; a [`JsVuFactory`] makes VUs of it for the scheduler, and [`Stages`] runs
//! the functions that are called once per test (`setup`, `teardown`, `handleSummary`).
// Coroutine stacks and calls the engine's bindings do not wrap need it; each has its argument beside it.
#![allow(unsafe_code)]

pub mod bundle;
mod bytecode;
mod bytes;
mod console;
mod coroutine;
pub mod derived_options;
pub mod errors;
mod event_loop;
pub mod factory;
pub mod failure;
mod frozen;
#[cfg(fuzzing)]
pub mod fuzzing;
mod give_way;
mod globals;
mod go_type;
mod hints;
mod json;
mod lazy;
mod lifecycle;
mod live;
pub mod memory;
pub mod modules;
mod native;
pub mod natives;
mod prefetch;
mod program;
mod promise;
mod properties;
mod script_context;
pub mod settings;
mod slice_clock;
mod snippet;
pub mod source;
mod stack;
pub mod stages;
#[cfg(test)]
mod testing;
mod value_text;
mod vu;
mod wake;

pub use bundle::Bundle;
pub use factory::JsVuFactory;
pub use failure::ScriptFailure;
pub use lifecycle::LifecycleError;
pub use modules::secrets::{Secrets, config::ConfigError as SecretConfigError};
pub use program::RuntimeOptions;
pub use settings::{SystemTags, VuSettings};
pub use source::ScriptSource;
pub use stack::STACK_SIZE;
pub use stages::Stages;
pub use vu::js_vu::JsVu;
