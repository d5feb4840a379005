//! The page of the dashboard and of the report: the files of `web/`, put together into one, and the data in it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use senary_js::pure;
use senary_js::source::compact::compact;

// `FILES`: path below `web/` and content of each file.
include!(concat!(env!("OUT_DIR"), "/web.rs"));

const INDEX: &str = "index.html";
/// The line of the page that data take the place of.
const DATA: &str = "<!-- senary:data -->";
const REGION: &str = "data-region=\"";
const TITLE: &str = "<title>Senary</title>";
/// Where scripts and styles of others are.
const VENDOR: &str = "vendor/";

/// The last of the scripts that make markup; those before it in the page need no browser, either.
const LAST_PURE: &str = "regions.js";
/// A report is not held up for longer by its markup, nor does it take more memory for it; its script draws it in any case.
const MARKUP_LIMIT: Duration = Duration::from_secs(10);
const MARKUP_MEMORY: usize = 512 << 20;

/// Data that go into a page.
pub struct Embedded<'a> {
    pub id: &'static str,
    pub media_type: &'static str,
    /// Compressed and written as base64.
    pub content: &'a [u8],
}

/// The page in one file, with styles and scripts in it. Without data it asks the server that it came from. `regions`: the markup of
/// parts of the page by their names.
pub fn page(
    title: Option<&str>,
    regions: &HashMap<String, String>,
    data: &[Embedded<'_>],
) -> io::Result<String> {
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
                _ => push_filled(&mut page, line, regions),
            },
        }
        page.push('\n');
    }
    Ok(page)
}

/// What the page shows of a run that is over, by the regions of the page: a reader who allows no scripts sees everything but the charts.
pub fn markup(document: &[u8]) -> Result<HashMap<String, String>, String> {
    let document = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    let names: Vec<_> = file(INDEX).unwrap_or_default().lines().filter_map(script_of).collect();
    let last = names.iter().position(|name| *name == LAST_PURE).ok_or("the page has no regions")?;
    let own = names[..=last].iter().filter(|name| !name.starts_with(VENDOR));
    let scripts = own.filter_map(|name| file(name));
    let function = ["Senary", "regions", "still"];
    let regions = pure::call(scripts, &function, document, MARKUP_LIMIT, MARKUP_MEMORY)?;
    serde_json::from_str(&regions).map_err(|error| error.to_string())
}

/// Appends a line, with the markup of the regions that begin in it.
fn push_filled(page: &mut String, line: &str, regions: &HashMap<String, String>) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(REGION) {
        page.push_str(before);
        page.push_str(REGION);
        let name = after.split('"').next().unwrap_or_default();
        let (tag, behind) = after.split_once('>').unwrap_or((after, ""));
        page.push_str(tag);
        page.push('>');
        page.push_str(regions.get(name).map_or("", String::as_str));
        rest = behind;
    }
    page.push_str(rest);
}

/// A file of the page.
fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, content)| *content)
}

/// The script that a line of the page refers to.
fn script_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<script src=\"")?.strip_suffix("\"></script>")
}

/// A script of the page, in few bytes: a report is a file that people send around.
fn script_file(path: &str) -> Option<&'static str> {
    static COMPACT: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
        // What is not ours stays as it is.
        let own = FILES.iter().filter(|(name, _)| name.ends_with(".js") && !name.starts_with(VENDOR));
        own.map(|(name, content)| (*name, compact(content))).collect()
    });
    COMPACT.get(path).map(String::as_str).or_else(|| file(path))
}

/// The element with the content of the file that a line refers to. A line that refers to a file that is not there stays as
/// it is.
fn inlined(line: &str) -> Option<String> {
    if let Some(content) = script_of(line).and_then(script_file) {
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
        let regions = HashMap::from([("checks".to_owned(), "<b>none</b>".to_owned())]);
        let page = page(Some("Failed: <a>.js"), &regions, &[data]).unwrap();
        assert!(page.contains("data-region=\"checks\"><b>none</b></section>"), "{page}");
        assert!(page.to_lowercase().starts_with("<!doctype html>"));
        for (reference, _) in FILES.iter().filter(|(name, _)| *name != INDEX) {
            let (script, style) = (format!("src=\"{reference}\""), format!("href=\"{reference}\""));
            assert!(!page.contains(&script) && !page.contains(&style), "{reference} is not in the page");
        }
        assert!(page.contains("<script id=\"senary-data\" type=\"application/octet-stream\">H4sI"), "{page}");
        assert!(page.contains("<title>Failed: &lt;a&gt;.js</title>"));
    }
}
