//! What a request and its reply have in common.

use std::rc::Rc;

use crate::framing::field::Field;
use crate::framing::pattern::Pattern;

/// Where a message has its key. Functions of the script are the caller's.
#[derive(Clone, Debug)]
pub enum Key {
    Field(Field),
    /// The pattern's capture, or the whole match if it has no group.
    Pattern(Rc<dyn Pattern>),
}

/// A key of a message, to look requests up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    Number(u64),
    Text(Box<[u8]>),
}

impl Key {
    /// `None` where the message has no such place, or nothing matches.
    pub fn of(&self, message: &[u8]) -> Option<Id> {
        match self {
            Self::Field(field) => field.read(message).ok().map(Id::Number),
            Self::Pattern(pattern) => {
                let found = pattern.find(message, 0)?;
                Some(Id::Text(found.captured(message).into()))
            }
        }
    }
}
