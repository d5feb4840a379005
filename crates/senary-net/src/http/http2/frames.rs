//! Looks for GOAWAY among received frames. The crate `h2` does not tell of one whose reason is "no error", nor of the last stream that the
//! server has processed. Pieces of bodies are noted, too, for what it does not say of bodies that are too long.

/// In bytes, of what a server adds to a GOAWAY.
const MAX_DEBUG: usize = 1024;

/// The types of frames that are looked for.
const DATA: u8 = 0;
const GOAWAY: u8 = 7;

/// The announcement that a server will end the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GoAway {
    pub(super) last_stream: u32,
    pub(super) code: u32,
    pub(super) debug: String,
}

/// Follows the frames of a connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; 9],
    /// How many bytes of the header have come.
    filled: usize,
    /// How many bytes of the frame's content are still to come.
    left: usize,
    /// The content of a GOAWAY.
    content: Vec<u8>,
    /// The stream and the size of the last piece of a body.
    pub(super) last_data: (u32, u32),
}

impl Frames {
    /// Follows received bytes; the last GOAWAY among them.
    pub(super) fn follow(&mut self, mut data: &[u8]) -> Option<GoAway> {
        let mut found = None;
        while !data.is_empty() {
            if self.filled < self.header.len() {
                let taken = data.len().min(self.header.len() - self.filled);
                self.header[self.filled..self.filled + taken].copy_from_slice(&data[..taken]);
                self.filled += taken;
                data = &data[taken..];
                let [a, b, c, kind, _, stream @ ..] = self.header;
                let size = u32::from_be_bytes([0, a, b, c]);
                self.left = size as usize;
                if kind == DATA && self.filled == self.header.len() {
                    self.last_data = (u32::from_be_bytes(stream) & 0x7fff_ffff, size);
                }
            } else {
                let taken = data.len().min(self.left);
                if self.is_goaway() {
                    let room = (8 + MAX_DEBUG).saturating_sub(self.content.len());
                    self.content.extend_from_slice(&data[..taken.min(room)]);
                }
                self.left -= taken;
                data = &data[taken..];
            }
            if self.filled == self.header.len() && self.left == 0 {
                self.filled = 0;
                found = self.goaway().or(found);
            }
        }
        found
    }

    fn is_goaway(&self) -> bool {
        self.header[3] == GOAWAY
    }

    fn goaway(&mut self) -> Option<GoAway> {
        let content = std::mem::take(&mut self.content);
        let (last_stream, rest) = content.split_first_chunk::<4>()?;
        let (code, debug) = rest.split_first_chunk::<4>()?;
        Some(GoAway {
            last_stream: u32::from_be_bytes(*last_stream) & 0x7fff_ffff,
            code: u32::from_be_bytes(*code),
            debug: String::from_utf8_lossy(debug).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], content].concat()
    }

    proptest! {
        #[test]
        fn a_goaway_is_found_wherever_the_pieces_end(
            before in proptest::collection::vec((0..7u8, 0..50usize), 0..5), stream: u32, code: u32,
            debug in "[a-z]{0,20}", piece in 1..40usize,
        ) {
            let mut data: Vec<u8> = before.iter().flat_map(|(kind, size)| frame(*kind, &vec![7; *size])).collect();
            let content = [&stream.to_be_bytes()[..], &code.to_be_bytes(), debug.as_bytes()].concat();
            data.extend(frame(GOAWAY, &content));
            data.extend(frame(0, b"more"));
            let mut frames = Frames::default();
            let found: Vec<GoAway> = data.chunks(piece).filter_map(|piece| frames.follow(piece)).collect();
            let last_stream = stream & 0x7fff_ffff;
            prop_assert_eq!(found, vec![GoAway { last_stream, code, debug }]);
        }

        #[test]
        fn any_bytes_are_followed(data in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..50usize) {
            let mut frames = Frames::default();
            for piece in data.chunks(piece) {
                let _ = frames.follow(piece);
            }
            prop_assert!(frames.content.len() <= 8 + MAX_DEBUG);
        }
    }
}
