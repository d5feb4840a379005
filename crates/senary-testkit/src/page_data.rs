//! The data in a page that the binary has written: gzip as base64, in an element of its own.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

/// The data of an element of the page, unpacked.
pub fn page_data(html: &str, id: &str) -> Vec<u8> {
    let (_, rest) = html.split_once(&format!("<script id=\"{id}\"")).expect("the data are in the page");
    let (_, rest) = rest.split_once('>').expect("the tag ends");
    let (data, _) = rest.split_once("</script>").expect("the element ends");
    let packed = STANDARD.decode(data.trim()).expect("it is base64");
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("it is gzip");
    unpacked
}

/// The document from which a report is drawn.
pub fn page_document(html: &str) -> Value {
    serde_json::from_slice(&page_data(html, "senary-data")).expect("the document is JSON")
}
