//! Whether a message is the one that is waited for.

use bytes::Bytes;
use memchr::memmem::Finder;

#[derive(Clone, Debug)]
pub enum Matcher {
    /// The message has these bytes at that offset; it may go on behind them.
    Equals {
        offset: usize,
        bytes: Bytes,
    },
    Contains(Box<Finder<'static>>),
}

impl Matcher {
    pub fn contains(bytes: &[u8]) -> Self {
        Self::Contains(Box::new(Finder::new(bytes).into_owned()))
    }

    pub fn matches(&self, message: &[u8]) -> bool {
        match self {
            Self::Equals { offset, bytes } => {
                message.get(*offset..).is_some_and(|rest| rest.starts_with(bytes))
            }
            Self::Contains(finder) => finder.find(message).is_some(),
        }
    }
}
