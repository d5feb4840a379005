//! A URL with what every request to it needs, so that it is made once: scripts ask for the same few URLs again and again.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use senary_net::http::HttpTarget;

use crate::go_url::{Url, UrlError};

/// How many are kept for each VU, and the longest text, in bytes, that is.
const MOST: usize = 4;
const LONGEST: usize = 1024;

#[derive(Debug)]
pub struct Destination {
    url: Url,
    text: Rc<str>,
    masked: Rc<str>,
    target: Result<Rc<HttpTarget>, String>,
}

impl Destination {
    pub fn new(url: Url) -> Rc<Self> {
        let text: Rc<str> = url.to_string().into();
        let masked = if url.user.is_none() { text.clone() } else { url.masked().into() };
        let target = url.target().map(Rc::new);
        Rc::new(Self { url, text, masked, target })
    }

    pub fn text(&self) -> &Rc<str> {
        &self.text
    }

    /// As tags show it: nobody reads a password there.
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// Where a request goes, or why there is no such place.
    pub fn target(&self) -> Result<&Rc<HttpTarget>, String> {
        self.target.as_ref().map_err(String::clone)
    }
}

impl Deref for Destination {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.url
    }
}

/// The last ones of a VU, by the texts that scripts wrote.
#[derive(Default)]
pub struct Destinations {
    known: RefCell<Vec<(Box<str>, Rc<Destination>)>>,
    /// The place of the next one.
    next: Cell<usize>,
}

impl Destinations {
    pub fn of(&self, text: &str) -> Result<Rc<Destination>, UrlError> {
        let mut known = self.known.borrow_mut();
        if let Some((_, destination)) = known.iter().find(|(written, _)| **written == *text) {
            return Ok(destination.clone());
        }
        let destination = Destination::new(Url::parse(text)?);
        if text.len() <= LONGEST {
            let entry = (text.into(), destination.clone());
            let at = self.next.replace((self.next.get() + 1) % MOST);
            match known.get_mut(at) {
                Some(oldest) => *oldest = entry,
                None => known.push(entry),
            }
        }
        Ok(destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_made_once() {
        let all = Destinations::default();
        let first = all.of("http://u:p@h/1").unwrap();
        assert_eq!((&**first.text(), first.masked()), ("http://u:p@h/1", "http://****:****@h/1"));
        for n in 2..=MOST {
            assert_eq!(&**all.of(&format!("HTTP://h/{n}")).unwrap().text(), format!("http://h/{n}"));
        }
        assert!(Rc::ptr_eq(&first, &all.of("http://u:p@h/1").unwrap()));
        let fifth = all.of("http://h/5").unwrap();
        assert!(Rc::ptr_eq(&fifth, &all.of("http://h/5").unwrap()));
        assert!(!Rc::ptr_eq(&first, &all.of("http://u:p@h/1").unwrap()));
        let long = format!("http://h/{}", "x".repeat(LONGEST));
        assert!(!Rc::ptr_eq(&all.of(&long).unwrap(), &all.of(&long).unwrap()));
        assert!(all.of("http://bad host/").is_err());
        assert_eq!(all.of("ftp://h/").unwrap().target().unwrap_err(), "unsupported protocol scheme \"ftp\"");
    }
}
