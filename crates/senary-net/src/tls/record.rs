//! Where the records of TLS begin and end on the wire, which rustls does not say: a connection that ends between two
//! records is closed, one that ends within a record is cut off.

use std::io;

/// The type, two bytes of version, and two bytes of length.
const HEADER: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER],
    /// How many bytes of a record have come, its header included.
    received: usize,
}

impl Records {
    /// Follows what came over the wire.
    pub(super) fn note(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.received < HEADER {
                self.header[self.received] = *first;
                self.received += 1;
                bytes = rest;
            } else {
                let now = bytes.len().min(self.length() - self.received);
                self.received += now;
                bytes = &bytes[now..];
            }
            if self.received >= HEADER && self.received == self.length() {
                self.received = 0;
            }
        }
    }

    /// How many bytes of an incomplete record have arrived.
    pub(super) fn incomplete(&self) -> usize {
        self.received
    }

    /// What the end of the connection means at this point.
    pub(super) fn end(&self) -> io::Result<()> {
        if self.received == 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The length of a record whose header is complete.
    fn length(&self) -> usize {
        HEADER + usize::from(u16::from_be_bytes([self.header[3], self.header[4]]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(length: usize) -> Vec<u8> {
        let mut record = vec![23, 3, 3];
        record.extend(u16::try_from(length).unwrap().to_be_bytes());
        record.resize(HEADER + length, 7);
        record
    }

    proptest! {
        /// However the bytes come in pieces, the end is right between records, and nowhere else.
        #[test]
        fn a_connection_may_end_between_records_only(
            lengths in prop::collection::vec(0_usize..300, 0..6),
            piece in 1_usize..400,
        ) {
            let wire: Vec<u8> = lengths.iter().flat_map(|length| record(*length)).collect();
            let mut starts = vec![0];
            for length in &lengths {
                starts.push(starts[starts.len() - 1] + HEADER + length);
            }
            for end in 0..=wire.len() {
                let mut records = Records::default();
                wire[..end].chunks(piece).for_each(|bytes| records.note(bytes));
                let start = *starts.iter().rfind(|start| **start <= end).unwrap();
                prop_assert_eq!(records.incomplete(), end - start);
                prop_assert_eq!(records.end().is_ok(), start == end);
            }
        }
    }
}
