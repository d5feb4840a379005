//! Numbers at fixed places of messages: keys, times, counters.

use crate::framing::error::FieldError;
use crate::framing::length::uint;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endian {
    #[default]
    Big,
    Little,
}

/// An unsigned number of 1, 2, 4 or 8 bytes in a message as the script sees it. Other sizes up to 8 work, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub offset: usize,
    pub bytes: usize,
    pub endian: Endian,
}

impl Field {
    pub fn read(&self, message: &[u8]) -> Result<u64, FieldError> {
        let end = self.end(message.len())?;
        Ok(uint(&message[self.offset..end], self.endian == Endian::Little))
    }

    /// Writes the number's lowest bytes, as many as there is room for.
    pub fn write(&self, message: &mut [u8], value: u64) -> Result<(), FieldError> {
        let end = self.end(message.len())?;
        let place = &mut message[self.offset..end];
        let bytes = place.len();
        match self.endian {
            Endian::Big => place.copy_from_slice(&value.to_be_bytes()[8 - bytes..]),
            Endian::Little => place.copy_from_slice(&value.to_le_bytes()[..bytes]),
        }
        Ok(())
    }

    /// The largest number that fits.
    pub fn largest(&self) -> u64 {
        match self.bytes.min(8) as u32 {
            0 => 0,
            bytes => u64::MAX >> (64 - 8 * bytes),
        }
    }

    fn end(&self, size: usize) -> Result<usize, FieldError> {
        let error = FieldError { offset: self.offset, bytes: self.bytes, size };
        let end = self.offset.checked_add(self.bytes.min(8)).filter(|end| *end <= size);
        end.ok_or(error)
    }
}
