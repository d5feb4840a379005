//! Where a script called something, kept for a failure that may come later. Keeping it makes no text: most calls succeed.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::ptr::NonNull;

use rquickjs::{Ctx, qjs};

use super::frames::{self, Frame};
use super::loader::known_store;
use super::stack;

#[repr(C)]
struct CallPlaces {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn JS_NewCallPlaces(ctx: *mut qjs::JSContext) -> *mut CallPlaces;
    fn JS_DupCallPlaces(places: *mut CallPlaces) -> *mut CallPlaces;
    fn JS_FreeCallPlaces(places: *mut CallPlaces);
    fn JS_GetCallPlacesContext(places: *mut CallPlaces) -> *mut qjs::JSContext;
    fn JS_CallPlacesToText(places: *mut CallPlaces) -> *mut c_char;
}

/// The functions of a script that were running at a moment, and the place in each of them. It must be dropped before its
/// engine, as everything that holds values of the engine.
pub struct CallSite {
    places: NonNull<CallPlaces>,
}

impl CallSite {
    /// Where the script is now. `None` without memory for it.
    pub fn here(ctx: &Ctx<'_>) -> Option<Self> {
        // SAFETY: the context is alive and entered; the call only reads the engine's stack, and what it gives back is ours.
        NonNull::new(unsafe { JS_NewCallPlaces(ctx.as_raw().as_ptr()) }).map(|places| Self { places })
    }

    /// The innermost place of the script, as it was written: `file:///p/s.js:1:34`.
    pub fn place(&self) -> Option<String> {
        let text = self.text()?;
        let frame = frames::parse(&text).find(|frame| frame.url().is_some())?;
        let place = Frame { function: String::new(), place: frame.place };
        Some(self.with_context(|ctx| stack::place(&place, known_store(ctx).as_ref())))
    }

    /// The text of an error with the stack of the call.
    pub fn shape(&self, text: &str) -> String {
        let stack = self.text().unwrap_or_default();
        self.with_context(|ctx| stack::shape(ctx, text, &stack))
    }

    /// The engine's text of the stack.
    fn text(&self) -> Option<String> {
        // SAFETY: the places are alive, and keep their context so; no other thread uses its engine, as the places never
        // leave their thread. The text is ours, ends with a zero, and is freed by the engine that made it.
        unsafe {
            let raw = NonNull::new(JS_CallPlacesToText(self.places.as_ptr()))?;
            let text = CStr::from_ptr(raw.as_ptr()).to_string_lossy().into_owned();
            qjs::js_free(JS_GetCallPlacesContext(self.places.as_ptr()), raw.as_ptr().cast());
            Some(text)
        }
    }

    /// Reads what is kept with the context. No script may run in `f`: the engine may not be entered.
    fn with_context<R>(&self, f: impl FnOnce(&Ctx<'_>) -> R) -> R {
        // SAFETY: the places keep their context alive, and `f` only reads its userdata, for which the engine need not be
        // entered.
        unsafe {
            let raw = NonNull::new_unchecked(JS_GetCallPlacesContext(self.places.as_ptr()));
            f(&Ctx::from_raw(raw))
        }
    }
}

impl Clone for CallSite {
    fn clone(&self) -> Self {
        // SAFETY: the places are alive; the call counts one owner more.
        let places = unsafe { NonNull::new_unchecked(JS_DupCallPlaces(self.places.as_ptr())) };
        Self { places }
    }
}

impl Drop for CallSite {
    fn drop(&mut self) {
        // SAFETY: this owner's share of the places, which is used no more. The engine outlives it, as the type's contract
        // says.
        unsafe { JS_FreeCallPlaces(self.places.as_ptr()) }
    }
}

impl fmt::Debug for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallSite").field(&self.text().unwrap_or_default()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use rquickjs::Function;

    use super::*;
    use crate::testing::{run, with_context};

    #[test]
    fn a_call_is_found_later_as_it_was() {
        with_context(|ctx| {
            stack::install(ctx).unwrap();
            let kept: Rc<RefCell<Vec<CallSite>>> = Rc::default();
            let keep = {
                let kept = kept.clone();
                move |ctx: Ctx<'_>| kept.borrow_mut().extend(CallSite::here(&ctx))
            };
            ctx.globals().set("keep", Function::new(ctx.clone(), keep).unwrap()).unwrap();
            ctx.globals()
                .set("now", Function::new(ctx.clone(), |ctx: Ctx<'_>| stack::current(&ctx)))
                .unwrap();
            let engines = run(
                ctx,
                "function inner() { keep(); return now() }\nfunction outer() { return [1].map(inner)[0] }\nreturn outer()",
            );
            let site = kept.borrow_mut().pop().unwrap();
            let copy = site.clone();
            drop(site);
            let ours = copy.text().unwrap();
            // The engine's text begins with the call of `now`, which is further to the right in the same function.
            let below = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(below(&ours), below(&engines), "{ours}\n{engines}");
            let first = |text: &str| text.lines().next().unwrap().rsplit_once(':').unwrap().0.to_owned();
            assert_eq!(first(&ours), first(&engines));
            assert!(copy.shape("E: x").starts_with("E: x\n"), "{}", copy.shape("E: x"));
        });
    }
}
