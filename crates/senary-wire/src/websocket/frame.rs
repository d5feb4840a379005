//! Single frames: the head that each begins with, and the mask over what a client sends.

use super::receiver::Violation;

/// The most that a control frame may carry, in bytes.
pub const MAX_CONTROL: usize = 125;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(super) fn is_control(self) -> bool {
        self.bits() >= 8
    }
}

/// What stands before the content of a frame from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub is_last: bool,
    /// The first reserved bit, which marks compressed messages.
    pub is_compressed: bool,
    pub opcode: Opcode,
    /// Of the content.
    pub length: u64,
    /// Of the head itself.
    pub size: usize,
}

impl Head {
    /// `None`: there are too few bytes yet.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let opcode = Opcode::of(first & 0x0f).ok_or(Violation::Opcode(first & 0x0f))?;
        if first & 0x30 != 0 {
            return Err(Violation::ReservedBits(first & 0x70));
        }
        if second & 0x80 != 0 {
            return Err(Violation::Masked);
        }
        let is_last = first & 0x80 != 0;
        let short = second & 0x7f;
        if opcode.is_control() {
            if usize::from(short) > MAX_CONTROL {
                return Err(Violation::LongControl);
            }
            if !is_last {
                return Err(Violation::FragmentedControl);
            }
        }
        let (length, size) = match (short, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
            (126 | 127, _) => return Ok(None),
            (short, _) => (u64::from(short), 2),
        };
        if length >> 63 != 0 {
            return Err(Violation::Length);
        }
        Ok(Some(Self { is_last, is_compressed: first & 0x40 != 0, opcode, length, size }))
    }
}

/// Adds a frame that is a message, or a control frame, of its own. The content is masked, as that of every client is.
pub fn encode(opcode: Opcode, is_compressed: bool, content: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.reserve(content.len() + 14);
    out.push(0x80 | if is_compressed { 0x40 } else { 0 } | opcode.bits());
    match content.len() {
        short @ ..126 => out.push(0x80 | short as u8),
        medium @ ..65536 => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    let begin = out.len();
    out.extend_from_slice(content);
    apply(mask, &mut out[begin..]);
}

/// Masks bytes, or takes the mask off.
fn apply(mask: [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(value) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_length_takes_as_few_bytes_as_it_can() {
        for (length, head) in [(0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            let mut out = Vec::new();
            encode(Opcode::Binary, false, &vec![0; length], [0; 4], &mut out);
            assert_eq!(out.len(), head + length, "{length}");
        }
    }

    #[test]
    fn the_example_of_the_standard() {
        let mut out = Vec::new();
        encode(Opcode::Text, false, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut out);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    proptest! {
        #[test]
        fn a_mask_is_laid_byte_by_byte(mask: [u8; 4], bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut masked = bytes.clone();
            apply(mask, &mut masked);
            let plain: Vec<u8> = bytes.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
            prop_assert_eq!(&masked, &plain);
            apply(mask, &mut masked);
            prop_assert_eq!(masked, bytes);
        }

        #[test]
        fn heads_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..14)) {
            if let Ok(Some(head)) = Head::parse(&bytes) {
                prop_assert!(head.size <= bytes.len());
                prop_assert_eq!(Head::parse(&bytes[..head.size - 1]), Ok(None));
            }
        }
    }
}
