//! Compressed messages (permessage-deflate, RFC 7692).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::receiver::Violation;

/// What a client asks for: messages that are compressed each on its own, so that a connection needs no memory for it.
pub const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What ends a part of a compressed stream; it is left out of messages.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Room for the content of a message, before it is known how much there is.
const FIRST_ROOM: usize = 1024;

/// Compression that client and server have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Whether messages of the server refer to those before them.
    pub keeps_context: bool,
}

impl Agreement {
    /// Reads the server's `Sec-WebSocket-Extensions`. The error is what it has agreed to and was not offered.
    pub fn of(header: &str, is_offered: bool) -> Result<Option<Self>, String> {
        let mut agreement = None;
        for extension in header.split(',').map(str::trim).filter(|extension| !extension.is_empty()) {
            let mut parts = extension.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            if !is_offered || !name.eq_ignore_ascii_case("permessage-deflate") || agreement.is_some() {
                return Err(extension.to_owned());
            }
            let mut keeps_context = true;
            for parameter in parts {
                let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
                match name.trim().to_ascii_lowercase().as_str() {
                    "server_no_context_takeover" => keeps_context = false,
                    // Any window fits into the largest, which is what is used here.
                    "client_no_context_takeover" | "server_max_window_bits" => {}
                    _ => return Err(extension.to_owned()),
                }
            }
            agreement = Some(Self { keeps_context });
        }
        Ok(agreement)
    }
}

/// Decompresses messages. One serves any number of connections, unless the server keeps its context.
pub struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(false))
    }
}

impl Inflater {
    pub(super) fn inflate(
        &mut self,
        compressed: &[u8],
        max: usize,
        agreement: Agreement,
    ) -> Result<Vec<u8>, Violation> {
        if !agreement.keeps_context {
            self.0.reset(false);
        }
        let mut content =
            Vec::with_capacity(compressed.len().saturating_mul(4).clamp(FIRST_ROOM, max.max(FIRST_ROOM)));
        for mut input in [compressed, &TAIL] {
            loop {
                let before = self.0.total_in();
                let status = self
                    .0
                    .decompress_vec(input, &mut content, FlushDecompress::Sync)
                    .map_err(|_| Violation::Compression)?;
                input = &input[(self.0.total_in() - before) as usize..];
                if content.len() > max {
                    return Err(Violation::TooBig(max));
                }
                if status == Status::StreamEnd {
                    // A message may end its stream; another begins with the next one.
                    self.0.reset(false);
                    return Ok(content);
                }
                if content.len() < content.capacity() {
                    // It would have gone on, had there been more.
                    if input.is_empty() {
                        break;
                    }
                    if self.0.total_in() == before {
                        return Err(Violation::Compression);
                    }
                    continue;
                }
                // One byte beyond the limit tells that there is more than allowed.
                let room = content.capacity().min(max.saturating_add(1).saturating_sub(content.len())).max(1);
                content.reserve_exact(room);
            }
        }
        Ok(content)
    }
}

/// Compresses messages, each on its own: one serves any number of connections.
pub struct Deflater {
    state: Compress,
    out: Vec<u8>,
}

impl Default for Deflater {
    fn default() -> Self {
        Self { state: Compress::new(Compression::fast(), false), out: Vec::new() }
    }
}

impl Deflater {
    /// The message, compressed; valid until the next one.
    pub fn deflate(&mut self, mut message: &[u8]) -> &[u8] {
        self.state.reset();
        self.out.clear();
        // What a single long message has taken is given back.
        self.out.shrink_to(KEPT);
        loop {
            self.out.reserve(message.len() / 2 + 64);
            let before = self.state.total_in();
            // Compressing fails only where the state is not one.
            let done = self.state.compress_vec(message, &mut self.out, FlushCompress::Sync);
            message = &message[(self.state.total_in() - before) as usize..];
            if done.is_err() || (message.is_empty() && self.out.len() < self.out.capacity()) {
                break;
            }
        }
        match self.out.strip_suffix(&TAIL) {
            Some([]) | None => &[0],
            Some(compressed) => compressed,
        }
    }
}

/// How much room a deflater keeps between messages, in bytes.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALONE: Agreement = Agreement { keeps_context: false };
    const LIMIT: usize = 1 << 20;

    fn inflate(bytes: &[u8], max: usize) -> Result<Vec<u8>, Violation> {
        Inflater::default().inflate(bytes, max, ALONE)
    }

    #[test]
    fn the_examples_of_the_standard() {
        let hello = Ok(b"Hello".to_vec());
        for compressed in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            // Not compressed, and a stream that has its end.
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflate(compressed, LIMIT), hello, "{compressed:x?}");
        }
        let mut keeping = Inflater::default();
        for compressed in [&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], &[0xf2, 0x00, 0x11, 0x00, 0x00]] {
            assert_eq!(keeping.inflate(compressed, LIMIT, Agreement { keeps_context: true }), hello);
        }
        assert_eq!(inflate(&[0], LIMIT), Ok(Vec::new()));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let mut deflater = Deflater::default();
        let bomb = deflater.deflate(&vec![0; 50 << 20]).to_vec();
        assert!(bomb.len() < LIMIT, "{}", bomb.len());
        assert_eq!(inflate(&bomb, LIMIT), Err(Violation::TooBig(LIMIT)));
        let just = deflater.deflate(&vec![0; LIMIT]).to_vec();
        assert_eq!(inflate(&just, LIMIT).map(|content| content.len()), Ok(LIMIT));
        let over = deflater.deflate(&vec![0; LIMIT + 1]).to_vec();
        assert_eq!(inflate(&over, LIMIT), Err(Violation::TooBig(LIMIT)));
    }

    #[test]
    fn what_a_server_agrees_to() {
        let keeping = Ok(Some(Agreement { keeps_context: true }));
        for (header, expected) in [
            ("", Ok(None)),
            ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", Ok(Some(ALONE))),
            ("Permessage-Deflate;client_no_context_takeover ; server_max_window_bits=10", keeping.clone()),
            ("permessage-deflate", keeping),
            (
                "permessage-deflate; client_max_window_bits=9",
                Err("permessage-deflate; client_max_window_bits=9".to_owned()),
            ),
            ("x-other", Err("x-other".to_owned())),
            ("permessage-deflate, permessage-deflate", Err("permessage-deflate".to_owned())),
        ] {
            assert_eq!(Agreement::of(header, true), expected, "{header}");
        }
        assert_eq!(Agreement::of("permessage-deflate", false), Err("permessage-deflate".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_compressed_is_decompressed(
            part in prop::collection::vec(any::<u8>(), 0..300),
            times in 1..200_usize,
        ) {
            let message = part.repeat(times);
            let compressed = Deflater::default().deflate(&message).to_vec();
            prop_assert_eq!(inflate(&compressed, message.len()), Ok(message));
        }

        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), max in 0..5000_usize) {
            if let Ok(content) = inflate(&bytes, max) {
                prop_assert!(content.len() <= max);
            }
        }
    }
}
