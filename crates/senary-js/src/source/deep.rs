//! Work that recurses as deeply as a source is nested, on a stack that is large enough for that.
//!
//! The parser and whatever walks its tree have no limit of their own, and an overflow would end the process. A stack
//! is memory only as far as it is used, so it may be as large as the worst source of that length needs.

use std::sync::{Mutex, PoisonError};
use std::thread;

use senary_words::remedy::explained;

use crate::stack;

/// Stack for one level of nesting. All that the test below does gets by with 1 KiB per byte of source.
const PER_LEVEL: usize = 8 << 10;
const LEAST: usize = 1 << 20;
const LARGEST: usize = 2 << 30;
/// The smallest stack, as large as those of other threads.
const LITTLE: usize = 2 << 20;

/// Why there is no stack for a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStack {
    /// The source is nested too deeply for any possible stack.
    TooDeep,
    /// The system refuses a thread, for this reason, although the source needs little.
    NoThread(String),
}

/// Does something with a source. A panic in the closure is passed on.
pub fn with_stack<R: Send>(code: &str, work: impl FnOnce() -> R + Send) -> Result<R, NoStack> {
    // If so much cannot even be reserved, the depth is estimated from the source.
    let sizes = [stack_for(code)?, stack_of(nesting(code))];
    // Most sources need no thread for that.
    let work = match stack::run_within(sizes[0], work) {
        Ok(result) => return Ok(result),
        Err(work) => Mutex::new(Some(work)),
    };
    let run = || work.lock().unwrap_or_else(PoisonError::into_inner).take().map(|work| work());
    thread::scope(|scope| {
        let start =
            |size| thread::Builder::new().name("source".to_owned()).stack_size(size).spawn_scoped(scope, run);
        let thread =
            start(sizes[0]).or_else(|_| start(sizes[1])).map_err(|error| match sizes[1] > LITTLE {
                true => NoStack::TooDeep,
                false => NoStack::NoThread(explained(&error)),
            })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).ok_or(NoStack::TooDeep)
    })
}

fn stack_of(levels: usize) -> usize {
    levels.saturating_mul(PER_LEVEL).saturating_add(LEAST)
}

fn stack_for(code: &str) -> Result<usize, NoStack> {
    // Whatever nests takes a byte; long sources are looked at more closely.
    let enough = match stack_of(code.len()) {
        enough if enough <= LARGEST => enough,
        _ => stack_of(nesting(code)),
    };
    if enough <= LARGEST { Ok(enough) } else { Err(NoStack::TooDeep) }
}

/// How deeply a source is nested, estimated from its punctuation: brackets within brackets, and in each of them the
/// operators since the last statement or element, for they may apply to each other.
fn nesting(code: &str) -> usize {
    let (mut here, mut outside, mut deepest) = (0, Vec::new(), 0);
    for byte in code.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                outside.push(here);
                here += 1;
            }
            b')' | b']' | b'}' => here = outside.pop().unwrap_or(0),
            b';' | b',' => here = outside.last().map_or(0, |before| before + 1),
            b'!' | b'~' | b'+' | b'-' | b'=' | b'?' | b':' | b'<' | b'*' | b'/' | b'&' | b'|' | b'^'
            | b'%' => here += 1,
            _ => {}
        }
        deepest = deepest.max(here);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::syntax;

    /// Everything that can stand within itself, over and over: it parses or it does not, and nothing overflows.
    #[test]
    fn any_nesting_is_survived() {
        const LEVELS: usize = 4_000;
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("[", "", "]"),
            ("{", "", "}"),
            ("x=[...", "1", "]"),
            ("!", "1", ""),
            ("typeof ", "1", ""),
            ("new ", "x", ""),
            ("a=>", "1", ""),
            ("async()=>{", "", "}"),
            ("f(", "", ")"),
            ("`${", "1", "}`"),
            ("x?", "1", ":2"),
            ("x=", "1", ""),
            ("1+", "1", ""),
            ("1**", "1", ""),
            ("1,", "1", ""),
            ("x.", "y", ""),
            ("x?.[", "1", "]"),
            ("if(x)", ";", ""),
            ("if(x);else ", ";", ""),
            ("for(;;)", ";", ""),
            ("a:{", "", "}"),
            ("({a:", "1", "})"),
            ("function f(){", "", "}"),
            ("(class{m(){", "", "}})"),
            ("(class{static{", "", "}})"),
            ("switch(x){default:", "", "}"),
            ("try{", "", "}finally{}"),
            ("let {a:", "b", "}=1"),
            ("await ", "1", ""),
            // TypeScript
            ("<any>", "1", ""),
            ("namespace N{", "", "}"),
            ("type A=B<", "C", ">"),
            ("let x:(a:", "b", ")=>c"),
            ("(x as ", "y", ")"),
        ] {
            let code = format!("{}{inner}{}", open.repeat(LEVELS), close.repeat(LEVELS));
            for typescript in [false, true] {
                with_stack(&code, || drop(syntax::parse(&code, typescript))).unwrap();
            }
        }
    }

    #[test]
    fn long_sources_need_what_their_nesting_needs() {
        let statements = "if (a) { b = c ? d(e) : [f] }\n;".repeat(100_000);
        assert_eq!(nesting(&statements), 5);
        assert!(stack_for(&statements).is_ok());
        assert_eq!(nesting("f(a, !(b), [c + d + e])"), 4);
        assert_eq!(with_stack(&"(".repeat(1 << 20), || ()), Err(NoStack::TooDeep));
        assert_eq!(with_stack(&"!".repeat(1 << 20), || ()), Err(NoStack::TooDeep));
    }
}
