//! Compressed bodies, both ways: gzip, deflate, br and zstd, each on its own or several on top of each other.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// How brotli compresses: the quality of its own tools, and the window that browsers allow.
const BROTLI_QUALITY: u32 = 6;
const BROTLI_WINDOW: u32 = 22;
const BROTLI_BUFFER: usize = 8 << 10;

/// Servers compress once, or twice by mistake. A body may decompress to itself, so without a limit the header says how long that takes.
const MOST_LAYERS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Gzip,
    Deflate,
    Zstd,
    Brotli,
}

/// By their names in headers, in the order in which the reference lists them.
const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("gzip", Algorithm::Gzip),
    ("deflate", Algorithm::Deflate),
    ("zstd", Algorithm::Zstd),
    ("br", Algorithm::Brotli),
];

/// Why a body could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("{}", in_words_of_go(.0))]
    Broken(#[from] io::Error),
    #[error("it would take more memory than --vu-memory-limit allows")]
    TooLarge,
    #[error("it is compressed {0} times, and at most {MOST_LAYERS} are undone")]
    TooOften(usize),
}

/// The texts of errors are tags, and scripts compare them: those that Go has, too, are Go's.
fn in_words_of_go(error: &io::Error) -> String {
    match error.to_string() {
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        text if text == "invalid gzip header" => "gzip: invalid header".to_owned(),
        text if text.contains("gzip") && text.contains("checksum") => "gzip: invalid checksum".to_owned(),
        text => text,
    }
}

impl Algorithm {
    pub fn named(name: &str) -> Option<Self> {
        let known = ALGORITHMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, algorithm)| *algorithm)
    }

    fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Zstd => zstd::encode_all(body, 0),
            Self::Brotli => {
                let mut compressed = Vec::new();
                let mut encoder =
                    brotli::CompressorReader::new(body, BROTLI_BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
                encoder.read_to_end(&mut compressed)?;
                Ok(compressed)
            }
        }
    }

    fn decompress(self, body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Gzip => read_within(MultiGzDecoder::new(body), limit),
            // Some servers leave out the header that the standard demands.
            Self::Deflate if !has_zlib_header(body) => {
                let decoded = read_within(flate2::read::DeflateDecoder::new(body), limit);
                decoded.map_err(|error| match error {
                    DecodeError::Broken(_) => io::Error::other("zlib: invalid header").into(),
                    other => other,
                })
            }
            Self::Deflate => read_within(ZlibDecoder::new(body), limit),
            Self::Zstd => read_within(zstd::Decoder::new(body)?, limit),
            Self::Brotli => read_within(brotli::Decompressor::new(body, BROTLI_BUFFER), limit),
        }
    }
}

/// Reads the algorithms in `compression: "gzip, br"`. The error is the first name that is unknown.
pub fn parse_list(text: &str) -> Result<Vec<Algorithm>, String> {
    text.split(',').map(str::trim).map(|name| Algorithm::named(name).ok_or_else(|| name.to_owned())).collect()
}

/// Compresses with one after the other; also gives the value of `Content-Encoding`.
pub fn encode(algorithms: &[Algorithm], body: &[u8]) -> io::Result<(Vec<u8>, String)> {
    let mut compressed = body.to_vec();
    let mut names = Vec::new();
    for algorithm in algorithms {
        compressed = algorithm.compress(&compressed)?;
        names.extend(ALGORITHMS.iter().find(|(_, known)| known == algorithm).map(|(name, _)| *name));
    }
    Ok((compressed, names.join(", ")))
}

/// Undoes what `Content-Encoding` names; `None` if it names nothing, or something unknown, so that the body stays as it
/// is.
pub fn decode(encoding: &str, body: &[u8], limit: usize) -> Option<Result<Vec<u8>, DecodeError>> {
    let algorithms = parse_list(encoding).ok()?;
    let mut algorithms = algorithms.into_iter().rev();
    let first = algorithms.next()?;
    if body.is_empty() {
        return None;
    }
    if algorithms.len() >= MOST_LAYERS {
        return Some(Err(DecodeError::TooOften(algorithms.len() + 1)));
    }
    let outermost = first.decompress(body, limit);
    Some(algorithms.fold(outermost, |body, next| next.decompress(&body?, limit)))
}

fn has_zlib_header(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
        }
        _ => true,
    }
}

/// Reads to the end, but not more than the given number of bytes.
fn read_within(reader: impl Read, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut body = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut body)?;
    if body.len() > limit { Err(DecodeError::TooLarge) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Algorithm; 4] = [Algorithm::Gzip, Algorithm::Deflate, Algorithm::Zstd, Algorithm::Brotli];

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(body in prop::collection::vec(any::<u8>(), 1..2000), order in Just(ALL).prop_shuffle()) {
            let (compressed, encoding) = encode(&order, &body).unwrap();
            prop_assert_eq!(decode(&encoding, &compressed, 1 << 20).unwrap().unwrap(), body);
        }

        #[test]
        fn no_body_is_too_odd(body in prop::collection::vec(any::<u8>(), 1..200)) {
            for name in ["gzip", "deflate", "br", "zstd", "br, gzip"] {
                if let Some(Ok(decoded)) = decode(name, &body, 1000) {
                    prop_assert!(decoded.len() <= 1000);
                }
            }
        }
    }

    #[test]
    fn a_small_body_does_not_become_a_huge_one() {
        for algorithm in ALL {
            let (compressed, encoding) = encode(&[algorithm], &vec![0; 1 << 20]).unwrap();
            let decoded = decode(&encoding, &compressed, 1 << 16).unwrap();
            assert!(matches!(decoded, Err(DecodeError::TooLarge)), "{algorithm:?}");
        }
    }

    #[test]
    fn a_header_does_not_say_how_long_decompressing_takes() {
        let often = |times: usize| {
            let algorithms = [Algorithm::Gzip].repeat(times);
            let (compressed, encoding) = encode(&algorithms, b"body").unwrap();
            decode(&encoding, &compressed, 1 << 16).unwrap()
        };
        assert_eq!(often(MOST_LAYERS).unwrap(), b"body");
        assert!(matches!(often(MOST_LAYERS + 1), Err(DecodeError::TooOften(17))));
    }

    #[test]
    fn truncated_bodies_are_errors() {
        for algorithm in ALL {
            let (compressed, encoding) = encode(&[algorithm], &[1, 2, 3, 4, 5].repeat(50)).unwrap();
            let decoded = decode(&encoding, &compressed[..compressed.len() / 2], 1 << 16).unwrap();
            assert!(matches!(decoded, Err(DecodeError::Broken(_))), "{algorithm:?}");
        }
    }

    #[test]
    fn other_encodings_are_left_alone() {
        assert!(decode("", b"x", 9).is_none());
        assert!(decode("identity", b"x", 9).is_none());
        assert!(decode("gzip", b"", 9).is_none());
        assert_eq!(parse_list("gzip, zipzap"), Err("zipzap".to_owned()));
        assert_eq!(parse_list(" GZIP ,br"), Ok(vec![Algorithm::Gzip, Algorithm::Brotli]));
    }
}
