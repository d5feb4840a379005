//! The page of the dashboard and of the report: the files of `web/`, put together into one, and the data in it.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

// `FILES`: path below `web/` and content of each file.
include!(concat!(env!("OUT_DIR"), "/web.rs"));

const INDEX: &str = "index.html";
/// The line of the page that data take the place of.
const DATA: &str = "<!-- senary:data -->";
const TITLE: &str = "<title>Senary</title>";

/// Data that go into a page.
pub struct Embedded<'a> {
    pub id: &'static str,
    pub media_type: &'static str,
    /// Compressed and written as base64.
    pub content: &'a [u8],
}

/// The page in one file, with styles and scripts in it. Without data it asks the server that it came from.
pub fn page(title: Option<&str>, data: &[Embedded<'_>]) -> io::Result<String> {
    let index = file(INDEX).ok_or_else(|| io::Error::other("this build has no page"))?;
    let mut page = String::with_capacity(1 << 18);
    for line in index.lines() {
        match inlined(line.trim()) {
            Some(element) => page.push_str(&element),
            None if line.trim() == DATA => {
                for embedded in data {
                    page.push_str(&embedded.element()?);
                    page.push('\n');
                }
            }
            None => match title {
                Some(title) if line.trim() == TITLE => {
                    page.push_str(&format!("<title>{}</title>", escaped(title)));
                }
                _ => page.push_str(line),
            },
        }
        page.push('\n');
    }
    Ok(page)
}

/// A file of the page.
fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, content)| *content)
}

/// The element with the content of the file that a line refers to. A line that refers to a file that is not there stays as
/// it is.
fn inlined(line: &str) -> Option<String> {
    let script = line.strip_prefix("<script src=\"").and_then(|rest| rest.strip_suffix("\"></script>"));
    if let Some(content) = script.and_then(file) {
        return Some(format!("<script>\n{content}</script>"));
    }
    let style = line.strip_prefix("<link rel=\"stylesheet\" href=\"")?;
    let style = style.strip_suffix("\">").or_else(|| style.strip_suffix("\" />"));
    style.and_then(file).map(|content| format!("<style>\n{content}</style>"))
}

impl Embedded<'_> {
    fn element(&self) -> io::Result<String> {
        let Self { id, media_type, content } = self;
        let data = STANDARD.encode(compressed(content)?);
        Ok(format!("<script id=\"{id}\" type=\"{media_type}\">{data}</script>"))
    }
}

pub fn compressed(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content)?;
    gzip.finish()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_one_file_with_its_data() {
        let data = Embedded { id: "senary-data", media_type: "application/octet-stream", content: b"{}" };
        let page = page(Some("Failed: <a>.js"), &[data]).unwrap();
        assert!(page.to_lowercase().starts_with("<!doctype html>"));
        for (reference, _) in FILES.iter().filter(|(name, _)| *name != INDEX) {
            let (script, style) = (format!("src=\"{reference}\""), format!("href=\"{reference}\""));
            assert!(!page.contains(&script) && !page.contains(&style), "{reference} is not in the page");
        }
        assert!(page.contains("<script id=\"senary-data\" type=\"application/octet-stream\">H4sI"), "{page}");
        assert!(page.contains("<title>Failed: &lt;a&gt;.js</title>"));
    }
}
