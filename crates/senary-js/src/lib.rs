//! Runs k6 scripts: sources, bundles, the VU, its event loop, the functions that run once per test.
//!
//! A [`Bundle`] is a script loaded once; a [`JsVuFactory`] makes VUs of it for the scheduler, and [`Lifecycle`] runs
//! the functions that are called once per test (`setup`, `teardown`, `handleSummary`). This crate knows no module that
//! scripts import: the binary passes them in as [`natives`], and they are built on the other public modules.
// Coroutine stacks and engine calls without a binding need unsafe code; each use has its argument beside it.
#![allow(unsafe_code)]

mod allocator;
pub mod bundle;
mod bytecode;
pub mod bytes;
mod console;
mod coroutine;
pub mod derived_options;
pub mod errors;
pub mod event_loop;
pub mod factory;
pub mod failure;
pub mod frozen;
pub mod give_way;
pub mod globals;
pub mod go_type;
pub mod hints;
mod json;
pub mod lazy;
pub mod lifecycle;
mod lifecycle_error;
pub mod live;
pub mod memory;
pub mod model;
pub mod native;
pub mod natives;
pub mod prefetch;
mod program;
pub mod promise;
pub mod properties;
pub mod pure;
pub mod residents;
pub mod script_context;
pub mod settings;
mod slice_clock;
pub mod snippet;
pub mod source;
mod stack;
#[cfg(test)]
mod testing;
pub mod value_text;
pub mod vu;
pub mod wake;

pub use allocator::Allocator;
pub use bundle::Bundle;
pub use factory::JsVuFactory;
pub use failure::ScriptFailure;
pub use lifecycle::Lifecycle;
pub use lifecycle_error::LifecycleError;
pub use program::RuntimeOptions;
pub use settings::{SystemTags, VuSettings};
pub use source::ScriptSource;
pub use stack::STACK_SIZE;
pub use vu::js_vu::JsVu;
