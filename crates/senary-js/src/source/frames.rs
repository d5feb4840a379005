//! The engine's stack traces, read: which function of which script is where.

use rquickjs::Ctx;

use super::{specifier, stack};

/// One line of a stack trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Empty for code outside of functions.
    pub function: String,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Script {
        url: String,
        line: u32,
        column: u32,
    },
    /// A built-in function of the engine. Natives of modules leave no frame.
    Native,
    /// JavaScript that is part of Senary.
    Internal,
}

impl Frame {
    pub fn url(&self) -> Option<&str> {
        match &self.place {
            Place::Script { url, .. } => Some(url),
            Place::Native | Place::Internal => None,
        }
    }
}

/// Reads the engine's text: `    at fn (file:///p/s.js:3:9)` per line, innermost first.
pub fn parse(stack: &str) -> impl Iterator<Item = Frame> {
    let mut lines = stack.lines().peekable();
    std::iter::from_fn(move || {
        let mut frame = lines.by_ref().find_map(start)?.to_owned();
        // A name that a script computes for a function may have several lines.
        while !is_whole(&frame) {
            let Some(more) = lines.next_if(|line| start(line).is_none()) else { break };
            frame.push(' ');
            frame.push_str(more.trim());
        }
        // URLs are escaped, so that the last parenthesis is the place's, whatever the function is called.
        let (function, place) = match frame.strip_suffix(')').and_then(|f| f.rsplit_once(" (")) {
            Some((function, place)) => (function, place),
            // A place alone is where a script does not compile.
            None => ("", frame.as_str()),
        };
        let function = if matches!(function, "<anonymous>" | "<eval>") { "" } else { function };
        Some(Frame { function: function.to_owned(), place: parse_place(place) })
    })
}

/// The first line of a frame, without what all have in front.
fn start(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("at ").map(str::trim_end)
}

fn is_whole(frame: &str) -> bool {
    frame.ends_with(')') || parse_place(frame) != Place::Internal
}

fn parse_place(text: &str) -> Place {
    if text == "native" {
        return Place::Native;
    }
    let script = || {
        let (rest, column) = text.rsplit_once(':')?;
        let (url, line) = rest.rsplit_once(':')?;
        let place =
            Place::Script { url: url.to_owned(), line: line.parse().ok()?, column: column.parse().ok()? };
        specifier::is_script(url).then_some(place)
    };
    script().unwrap_or(Place::Internal)
}

/// The frames that are active now.
pub fn current(ctx: &Ctx<'_>) -> Vec<Frame> {
    stack::current(ctx).map(|text| parse(&text).collect()).unwrap_or_default()
}

/// The modules whose own code is running, innermost first. `requires`: how many frames there were, outermost first,
/// when `require()` was called; each call starts another module. Empty if the stack is deeper than the engine tells.
pub fn running_modules<'f>(frames: &'f [Frame], requires: &[usize]) -> Vec<&'f str> {
    if frames.len() >= stack::FRAMES {
        return Vec::new();
    }
    let mut modules = Vec::new();
    let mut inner = 0;
    for depth in requires.iter().rev().chain(&[0]) {
        let outer = frames.len().saturating_sub(*depth).max(inner);
        modules.extend(frames[inner..outer].iter().rev().find_map(Frame::url));
        inner = outer;
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn urls(stack: &str, requires: &[usize]) -> Vec<String> {
        let frames: Vec<_> = parse(stack).collect();
        running_modules(&frames, requires).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn frames_are_read() {
        let stack = "    at boom (x) (file:///p/s.js:3:9)\n    at map (native)\n    at <anonymous> (https://h/s.js:9:1)\n    at tag (eval_script:1:2)\n    at file:///q.js:1:5\n";
        let frames: Vec<_> = parse(stack).collect();
        let script = |url: &str, line, column| Place::Script { url: url.into(), line, column };
        let frame = |function: &str, place| Frame { function: function.into(), place };
        assert_eq!(
            frames,
            [
                frame("boom (x)", script("file:///p/s.js", 3, 9)),
                frame("map", Place::Native),
                frame("", script("https://h/s.js", 9, 1)),
                frame("tag", Place::Internal),
                frame("", script("file:///q.js", 1, 5)),
            ]
        );
    }

    #[test]
    fn frames_of_odd_names_are_kept() {
        let stack = "    at a\nb (c) (file:///p/s.js:1:2)\n    at x (native) (file:///test%20%281%29.js:3:4)\n    at <anonymous> (https://h/(1).js:5:6)\n";
        let frames: Vec<_> =
            parse(stack).map(|frame| (frame.function.clone(), frame.url().map(str::to_owned))).collect();
        let frame = |function: &str, url: &str| (function.to_owned(), Some(url.to_owned()));
        assert_eq!(
            frames,
            [
                frame("a b (c)", "file:///p/s.js"),
                frame("x (native)", "file:///test%20%281%29.js"),
                frame("", "https://h/(1).js"),
            ]
        );
    }

    #[test]
    fn each_require_starts_a_module() {
        let stack = "    at f (file:///helper.js:1:1)\n    at <anonymous> (file:///c.js:1:1)\n    at g (file:///b.js:1:1)\n    at forEach (native)\n    at <anonymous> (file:///a.js:1:1)\n";
        assert_eq!(urls(stack, &[]), ["file:///a.js"]);
        assert_eq!(urls(stack, &[3]), ["file:///c.js", "file:///a.js"]);
        assert_eq!(urls(stack, &[1, 3]), ["file:///c.js", "file:///b.js", "file:///a.js"]);
        assert_eq!(urls(stack, &[3, 5]), ["file:///c.js", "file:///a.js"]);
        assert_eq!(urls("", &[]), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(stack in "[ -~\n]{0,200}", requires in proptest::collection::vec(0_usize..70, 0..4)) {
            let frames: Vec<_> = parse(&stack).collect();
            running_modules(&frames, &requires);
        }
    }
}
