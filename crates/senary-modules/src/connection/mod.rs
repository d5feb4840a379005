//! What all connections of scripts have in common, whatever protocol they speak: the tags and the series they record
//! under, the bytes that scripts pass in, and the errors that scripts see.

pub mod books;
pub mod buffer;
pub mod bytes;
pub mod error;
pub mod options;
pub mod owed;
