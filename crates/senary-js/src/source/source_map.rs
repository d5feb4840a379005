//! Source maps (version 3): where a place in generated code comes from.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Marks the comment that names a script's map; `//@` is its older form.
const MARKS: [&str; 2] = ["//# sourceMappingURL=", "//@ sourceMappingURL="];

/// Where generated code comes from.
#[derive(Debug, Default)]
pub struct SourceMap {
    sources: Vec<String>,
    /// Per generated line, its segments by column.
    lines: Vec<Vec<Segment>>,
}

/// From this column on, the code comes from that place. Everything counts from 0, columns in UTF-16 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    column: u32,
    source: u32,
    line: u32,
    source_column: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceMapError {
    #[error("it is not the JSON of a source map: {0}")]
    Json(String),
    #[error("version {0} is not supported, only 3")]
    Version(u32),
    #[error("its mappings are malformed at offset {0}")]
    Mappings(usize),
    #[error("its data URL is not base64 of JSON")]
    DataUrl,
}

/// A map of indexed sections is read as having no mappings: stack traces then name the generated code.
#[derive(Deserialize)]
struct Json {
    version: u32,
    #[serde(default, rename = "sourceRoot")]
    source_root: Option<String>,
    #[serde(default)]
    sources: Vec<Option<String>>,
    #[serde(default)]
    mappings: String,
}

/// The URL in the `sourceMappingURL` comment a script ends in. Those before belong to what was bundled into it, or are
/// text.
pub fn url_in(code: &str) -> Option<&str> {
    let last = code.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let url = MARKS.iter().find_map(|mark| last.strip_prefix(mark))?.trim();
    (!url.is_empty()).then_some(url)
}

/// The JSON of a map that is part of its own URL. `None`: the URL points elsewhere.
pub fn inline(url: &str) -> Option<Result<Vec<u8>, SourceMapError>> {
    let data = url.strip_prefix("data:")?;
    let json = data.split_once(";base64,").and_then(|(_, text)| STANDARD.decode(text).ok());
    Some(json.ok_or(SourceMapError::DataUrl))
}

impl SourceMap {
    pub fn parse(json: &[u8]) -> Result<Self, SourceMapError> {
        // Some tools put a line in front that keeps browsers from running the map as script.
        let json = match json.strip_prefix(b")]}") {
            Some(rest) => &rest[rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())..],
            None => json,
        };
        let parsed: Json = serde_json::from_slice(json).map_err(|e| SourceMapError::Json(e.to_string()))?;
        if parsed.version != 3 {
            return Err(SourceMapError::Version(parsed.version));
        }
        let root = parsed.source_root.unwrap_or_default();
        let sources = parsed.sources.into_iter().map(|source| {
            let source = source.unwrap_or_default();
            if root.is_empty() { source } else { format!("{}/{source}", root.trim_end_matches('/')) }
        });
        Ok(Self { sources: sources.collect(), lines: decode(&parsed.mappings)? })
    }

    /// The source, line and column behind a generated line and column; all but the source count from 1.
    pub fn original(&self, line: u32, column: u32) -> Option<(&str, u32, u32)> {
        let segments = self.lines.get(line.checked_sub(1)? as usize)?;
        let after = segments.partition_point(|s| s.column < column);
        let segment = segments.get(after.checked_sub(1)?)?;
        let source = self.sources.get(segment.source as usize)?;
        Some((source, segment.line + 1, segment.source_column + 1))
    }
}

/// Reads the `mappings` field: lines between `;`, segments between `,`, each of 1, 4 or 5 differences.
fn decode(mappings: &str) -> Result<Vec<Vec<Segment>>, SourceMapError> {
    let mut lines = vec![Vec::new()];
    // The running values of column, source, line, source column and name.
    let mut state = [0_i64; 5];
    let mut at = 0;
    let bytes = mappings.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b';' => {
                lines.push(Vec::new());
                state[0] = 0;
                at += 1;
            }
            b',' => at += 1,
            _ => {
                let start = at;
                let mut fields = 0;
                while at < bytes.len() && !matches!(bytes[at], b',' | b';') {
                    let (difference, next) = vlq(bytes, at).ok_or(SourceMapError::Mappings(at))?;
                    let value = state.get_mut(fields).ok_or(SourceMapError::Mappings(at))?;
                    *value = value.checked_add(difference).ok_or(SourceMapError::Mappings(at))?;
                    fields += 1;
                    at = next;
                }
                let fits = |value: i64| u32::try_from(value).map_err(|_| SourceMapError::Mappings(start));
                let column = fits(state[0])?;
                match fields {
                    1 => {}
                    4 | 5 => {
                        let segment = Segment {
                            column,
                            source: fits(state[1])?,
                            line: fits(state[2])?,
                            source_column: fits(state[3])?,
                        };
                        if let Some(line) = lines.last_mut() {
                            line.push(segment);
                        }
                    }
                    _ => return Err(SourceMapError::Mappings(start)),
                }
            }
        }
    }
    for line in &mut lines {
        line.sort_by_key(|segment| segment.column);
    }
    Ok(lines)
}

/// Reads one number: groups of five bits, lowest first, the sign in the first's lowest bit.
fn vlq(bytes: &[u8], mut at: usize) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    let mut shift = 0;
    loop {
        let digit = u64::from(match *bytes.get(at)? {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'a'..=b'z' => c - b'a' + 26,
            c @ b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        });
        at += 1;
        if shift > 35 {
            return None;
        }
        value |= (digit & 31) << shift;
        if digit & 32 == 0 {
            let magnitude = (value >> 1) as i64;
            return Some((if value & 1 == 1 { -magnitude } else { magnitude }, at));
        }
        shift += 5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(value: i64) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut rest = (value.unsigned_abs() << 1) | u64::from(value < 0);
        let mut text = String::new();
        loop {
            let more = if rest > 31 { 32 } else { 0 };
            text.push(char::from(DIGITS[(rest & 31 | more) as usize]));
            rest >>= 5;
            if rest == 0 {
                return text;
            }
        }
    }

    #[test]
    fn places_are_found() {
        let map = SourceMap::parse(
            br#")]}'
{"version":3,"sourceRoot":"src/","sources":["a.ts","b.ts"],"names":[],"mappings":"AAAA,IAAI;;ACCJ"}"#,
        )
        .unwrap();
        assert_eq!(map.original(1, 1), Some(("src/a.ts", 1, 1)));
        assert_eq!(map.original(1, 4), Some(("src/a.ts", 1, 1)));
        assert_eq!(map.original(1, 5), Some(("src/a.ts", 1, 5)));
        assert_eq!(map.original(1, 99), Some(("src/a.ts", 1, 5)));
        assert_eq!(map.original(2, 1), None);
        assert_eq!(map.original(3, 1), Some(("src/b.ts", 2, 1)));
        assert_eq!(map.original(9, 1), None);
        assert_eq!(map.original(0, 0), None);
    }

    #[test]
    fn comments_and_data_urls() {
        assert_eq!(url_in("x\n//# sourceMappingURL=a.map\n//# sourceMappingURL=b.map \n"), Some("b.map"));
        assert_eq!(url_in("x = 'a\\n//# sourceMappingURL=a.map\\n';\n"), None);
        assert_eq!(url_in("x\n//# sourceMappingURL=a.map\n})"), None);
        assert_eq!(url_in("x // nothing"), None);
        assert_eq!(inline("b.map"), None);
        assert_eq!(inline("data:application/json;base64,e30="), Some(Ok(b"{}".to_vec())));
        assert_eq!(inline("data:text/plain,x"), Some(Err(SourceMapError::DataUrl)));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        assert!(matches!(SourceMap::parse(b"<html>"), Err(SourceMapError::Json(_))));
        assert_eq!(SourceMap::parse(br#"{"version":2}"#).err(), Some(SourceMapError::Version(2)));
        let mappings =
            |text: &str| SourceMap::parse(format!(r#"{{"version":3,"mappings":"{text}"}}"#).as_bytes()).err();
        assert_eq!(mappings("AAAA,!"), Some(SourceMapError::Mappings(5)));
        assert_eq!(mappings("AA"), Some(SourceMapError::Mappings(0)));
        assert_eq!(mappings("DAAA"), Some(SourceMapError::Mappings(0)));
        assert_eq!(mappings("gggggggggggg"), Some(SourceMapError::Mappings(0)));
    }

    proptest! {
        #[test]
        fn numbers_survive(value in -0x3fff_ffff_i64..0x3fff_ffff) {
            let text = encode(value);
            prop_assert_eq!(vlq(text.as_bytes(), 0), Some((value, text.len())));
        }

        #[test]
        fn any_mappings_are_answered(mappings in "[A-Za-z0-9+/,;]{0,60}") {
            let _ = decode(&mappings);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = SourceMap::parse(&bytes);
        }

        #[test]
        fn segments_are_found_again(places in proptest::collection::vec((1_u32..50, 0_u32..100, 0_u32..100), 1..20)) {
            let mut mappings = String::new();
            let (mut column, mut line, mut source_column) = (0, 0, 0);
            let mut expected = Vec::new();
            for (step, to_line, to_column) in places {
                let difference = |to: u32, from: u32| encode(i64::from(to) - i64::from(from));
                let to = column + step;
                mappings.push_str(&format!(
                    "{}A{}{},", difference(to, column), difference(to_line, line), difference(to_column, source_column)
                ));
                (column, line, source_column) = (to, to_line, to_column);
                expected.push((to + 1, to_line + 1, to_column + 1));
            }
            let json = format!(r#"{{"version":3,"sources":["s"],"mappings":"{mappings}"}}"#);
            let map = SourceMap::parse(json.as_bytes()).unwrap();
            for (at, line, column) in expected {
                prop_assert_eq!(map.original(1, at), Some(("s", line, column)));
            }
        }
    }
}
