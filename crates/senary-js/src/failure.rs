//! How running script can fail, and the texts that users read.
//!
//! Text shapes follow the reference: `Error: x\n\tat fn (file:///p/s.js:1:34)\n`. `source::stack` turns the engine's
//! stacks into that shape; the caller decides where the text goes.

use rquickjs::{Ctx, Error, Value};
use senary_words::size::Size;

use crate::source::stack;

/// Why a function of the script did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFailure {
    /// It threw; the text has the stack.
    #[error("{0}")]
    Exception(String),
    /// A promise was rejected and nobody handled it.
    #[error("Uncaught (in promise) {0}")]
    Rejection(String),
    /// A top-level `await` waits for something that can never happen.
    #[error(
        "a top-level await of the script waits for a promise that nothing settles any more: no timer, socket or file is left that could"
    )]
    NeverEvaluated,
    /// The iteration or the run was ended from outside, or by `exec.test.abort()`.
    #[error("the script was interrupted")]
    Interrupted,
    /// The iteration was to end before it had done anything.
    #[error("the iteration was ended before it began")]
    NotBegun,
    /// The script exceeded its memory limit; what it held was freed.
    #[error(
        "the script passed the memory limit of {limit} per VU: let it keep less, or raise --vu-memory-limit"
    )]
    OutOfMemory { limit: Size },
    /// The machine gave no stack to run on.
    #[error(
        "cannot allocate a stack to run the script on ({reason}); use fewer VUs, or allow more memory maps (vm.max_map_count) or memory (`ulimit -v`)"
    )]
    NoStack {
        reason: String,
        /// Whether the script had already begun to run.
        has_begun: bool,
    },
}

impl ScriptFailure {
    /// Turns the error of a native call into what happened, taking the pending exception.
    pub fn from_error(ctx: &Ctx<'_>, error: Error) -> Self {
        match error {
            Error::Exception => Self::thrown(ctx, &ctx.catch()),
            other => Self::Exception(other.to_string()),
        }
    }

    /// The text for a value that a script threw, wherever that happened.
    pub fn thrown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Self {
        let text = stack::describe(ctx, value);
        Self::Exception(if value.is_error() { text } else { stack::thrown(ctx, value, text) })
    }
}
