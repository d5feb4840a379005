//! Archives: a test in one file, to be run elsewhere. A tar of the script, everything it loads, and its options.
//!
//! The layout is the reference's, read and written: `metadata.json` says what it is, `data` is the script, and
//! whatever else was loaded stands under its URL, `file:///a/b.js` at `file/a/b.js`.

mod entries;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use senary_js::source::specifier;
use senary_words::percent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::entries::EntriesError;
use crate::version::REFERENCE_VERSION;

/// Names of the files in an archive.
const METADATA: &str = "metadata.json";
const DATA: &str = "data";

/// The only type of test, which archives contain.
const SCRIPT: &str = "js";

/// Why a file is not an archive that can be run.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("this is not an archive: only what `archive` makes can be run with --type=archive")]
    NotAnArchive,
    #[error("could not read the archive: {0}")]
    Entries(#[from] EntriesError),
    #[error("the archive has no {0:?}: it is not one that `archive` made")]
    Missing(&'static str),
    #[error("could not read the archive's metadata.json: {0}")]
    Metadata(#[from] serde_json::Error),
    #[error("the archive holds a test of type {0:?}, only \"js\" can be run")]
    Type(String),
}

/// A test with all it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    /// The script's URL, and what is in it.
    pub url: String,
    pub script: Arc<[u8]>,
    /// The options it was made with: the script's, and what went over them.
    pub options: Value,
    /// What `__ENV` has, besides what is added when it is run.
    pub env: BTreeMap<String, String>,
    pub base_compatibility: bool,
    /// What the script loads, by URL.
    pub contents: BTreeMap<String, Arc<[u8]>>,
}

#[derive(Deserialize, Serialize)]
struct Metadata {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    options: Value,
    /// URLs of the script and of the folder it is in.
    filename: String,
    #[serde(default)]
    pwd: String,
    #[serde(default)]
    env: Option<BTreeMap<String, String>>,
    #[serde(rename = "compatibilityMode", default)]
    compatibility_mode: String,
    #[serde(rename = "k6version", default)]
    k6_version: String,
    #[serde(default)]
    goos: String,
}

const BASE: &str = "base";
const EXTENDED: &str = "extended";

impl Archive {
    /// Whether a file is an archive, going by its beginning: a tar's header has a checksum.
    pub fn is_archive(bytes: &[u8]) -> bool {
        let Some(block) = bytes.first_chunk::<512>() else { return false };
        let header = tar::Header::from_byte_slice(block);
        let field = 148..156;
        let blanks = u32::from(b' ') * field.len() as u32;
        let sum = |range: &[u8]| range.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let expected = sum(&block[..field.start]) + blanks + sum(&block[field.end..]);
        block[0] != 0 && header.cksum().is_ok_and(|sum| sum == expected)
    }

    pub fn read(bytes: &[u8]) -> Result<Self, ArchiveError> {
        if !Self::is_archive(bytes) {
            return Err(ArchiveError::NotAnArchive);
        }
        let mut files = entries::read(bytes)?;
        let metadata = files.remove(METADATA.as_bytes()).ok_or(ArchiveError::Missing(METADATA))?;
        let metadata: Metadata = serde_json::from_slice(&metadata)?;
        let data = files.remove(DATA.as_bytes()).ok_or(ArchiveError::Missing(DATA))?;
        if metadata.kind != SCRIPT {
            return Err(ArchiveError::Type(metadata.kind));
        }
        Ok(Self {
            url: url_of_metadata(&metadata.filename),
            script: data,
            options: metadata.options,
            env: metadata.env.unwrap_or_default(),
            base_compatibility: metadata.compatibility_mode == BASE,
            contents: files
                .into_iter()
                .filter_map(|(name, content)| Some((url_of_entry(&name)?, content)))
                .collect(),
        })
    }

    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let filename = &self.url;
        let pwd = filename.rsplit_once('/').map_or(filename.as_str(), |(folder, _)| folder);
        let metadata = Metadata {
            kind: SCRIPT.to_owned(),
            options: self.options.clone(),
            pwd: pwd.to_owned(),
            filename: filename.clone(),
            env: Some(self.env.clone()),
            compatibility_mode: if self.base_compatibility { BASE } else { EXTENDED }.to_owned(),
            k6_version: REFERENCE_VERSION.to_owned(),
            goos: std::env::consts::OS.to_owned(),
        };
        let mut tar = tar::Builder::new(out);
        append(&mut tar, Path::new(METADATA), &serde_json::to_vec_pretty(&metadata)?)?;
        append(&mut tar, Path::new(DATA), &self.script)?;
        for (url, content) in &self.contents {
            append(&mut tar, &entry_of_url(url), content)?;
        }
        tar.into_inner()?.flush()
    }
}

fn append(tar: &mut tar::Builder<impl Write>, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    let name = &mut header.as_old_mut().name;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > name.len() || bytes.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return tar.append_data(&mut header, path, content);
    }
    // As it is: `https://host//x` is another module than `https://host/x`, though it would be the same file.
    name[..bytes.len()].copy_from_slice(bytes);
    header.set_cksum();
    tar.append(&header, content)
}

/// `file:///a%20b` stands at `file/a b`, `https://host/a` at `https/host/a`.
fn entry_of_url(url: &str) -> PathBuf {
    match url.split_once("://") {
        Some(("file", _)) => {
            let path = specifier::path_of(url);
            Path::new("file").join(path.strip_prefix("/").unwrap_or(&path))
        }
        Some((scheme, rest)) => PathBuf::from(format!("{scheme}/{}", rest.trim_start_matches('/'))),
        None => PathBuf::from(format!("file/{}", url.trim_start_matches('/'))),
    }
}

fn url_of_entry(name: &[u8]) -> Option<String> {
    let slash = name.iter().position(|byte| *byte == b'/')?;
    let (scheme, rest) = (&name[..slash], &name[slash + 1..]);
    match scheme {
        // Files are asked for by their plain paths.
        b"file" => {
            let rest = rest.iter().copied().skip_while(|byte| *byte == b'/').collect();
            let path = Path::new("/").join(PathBuf::from(OsString::from_vec(rest)));
            Some(specifier::url_of(&specifier::normalize(&path)))
        }
        b"https" => Some(percent::cleaned(&format!("https://{}", String::from_utf8_lossy(rest)))),
        _ => None,
    }
}

/// The URL as this program writes it, whatever program made the archive.
fn url_of_metadata(filename: &str) -> String {
    match filename.split_once("://") {
        Some(("file", _)) => specifier::url_of(&specifier::path_of(filename)),
        Some(_) => percent::cleaned(filename),
        None => specifier::url_of(&Path::new("/").join(filename.trim_start_matches('/'))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn archive(path: &str) -> Archive {
        let content = |text: &str| Arc::from(text.as_bytes());
        Archive {
            url: specifier::url_of(Path::new(path)),
            script: content("export default () => {}"),
            options: json!({"vus": 2, "scenarios": null}),
            env: BTreeMap::from([("WORD".to_owned(), "archived".to_owned())]),
            base_compatibility: false,
            contents: BTreeMap::from([
                ("file:///dir/src%20%281%29/%E9.js".to_owned(), content("0")),
                ("file:///dir/src/lib/math.js".to_owned(), content("1")),
                (format!("file:///dir/{}/data.json", "long".repeat(60)), content("")),
                ("https://host/path/x.js?v=1".to_owned(), content("2")),
            ]),
        }
    }

    fn written(archive: &Archive) -> Vec<u8> {
        let mut bytes = Vec::new();
        archive.write(&mut bytes).unwrap();
        bytes
    }

    /// Any tar.
    fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            append(&mut tar, Path::new(name), content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for path in ["/dir/src/script.js", "/a b/100%.js", "/ü/-"] {
            let archive = archive(path);
            let bytes = written(&archive);
            assert!(Archive::is_archive(&bytes));
            assert_eq!(Archive::read(&bytes).unwrap(), archive);
        }
    }

    #[test]
    fn urls_are_kept_and_paths_made_plain() {
        let mut archive = archive("/dir/src/script.js");
        for url in
            ["https://host//path/./x.js".to_owned(), format!("https://host//{}/x.js", "long".repeat(60))]
        {
            archive.contents.insert(url, Arc::from(*b"3"));
        }
        assert_eq!(Archive::read(&written(&archive)).unwrap(), archive);
        let metadata = r#"{"type":"js","filename":"/s.js"}"#;
        let files = [("metadata.json", metadata), ("data", ""), ("file//a/./b.js", "1")];
        let read = Archive::read(&tar_of(&files)).unwrap();
        assert_eq!(read.contents.keys().collect::<Vec<_>>(), ["file:///a/b.js"]);
        assert_eq!(Archive::read(&written(&read)).unwrap(), read);
    }

    #[test]
    fn the_layout_is_the_references() {
        let bytes = written(&archive("/dir/src/my script.js"));
        let mut tar = tar::Archive::new(&bytes[..]);
        let mut names = Vec::new();
        let mut metadata = Value::Null;
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if name == METADATA {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                metadata = serde_json::from_str(&text).unwrap();
            }
            names.push(name);
        }
        let long = format!("file/dir/{}/data.json", "long".repeat(60));
        assert_eq!(
            names,
            [
                "metadata.json",
                "data",
                &long,
                "file/dir/src (1)/\u{fffd}.js",
                "file/dir/src/lib/math.js",
                "https/host/path/x.js?v=1"
            ]
        );
        let expected = json!({
            "type": "js",
            "options": {"vus": 2, "scenarios": null},
            "filename": "file:///dir/src/my%20script.js",
            "pwd": "file:///dir/src",
            "env": {"WORD": "archived"},
            "compatibilityMode": "extended",
            "k6version": "2.2.0",
            "goos": std::env::consts::OS,
        });
        assert_eq!(metadata, expected);
    }

    #[test]
    fn an_archive_of_the_reference() {
        let metadata = r#"{"type":"js","options":{"vus":1},"filename":"file:///home/nobody/s.js","pwd":"file:///home/nobody/",
            "env":null,"compatibilityMode":"base","k6version":"0.40.0","goos":"darwin","dependencies":{}}"#;
        let bytes = tar_of(&[
            ("file/home/nobody/x.js", "x"),
            ("data", "code"),
            ("scripts/_/old.js", "ignored"),
            ("metadata.json", metadata),
        ]);
        let archive = Archive::read(&bytes).unwrap();
        assert_eq!((archive.url.as_str(), &*archive.script), ("file:///home/nobody/s.js", &b"code"[..]));
        assert_eq!(archive.contents.keys().collect::<Vec<_>>(), ["file:///home/nobody/x.js"]);
        assert!(archive.env.is_empty() && archive.base_compatibility);
    }

    #[test]
    fn what_is_no_archive() {
        assert!(!Archive::is_archive(b""));
        assert!(!Archive::is_archive(&[0; 1024]));
        assert!(!Archive::is_archive("export default function () {}\n".repeat(100).as_bytes()));
        assert!(matches!(Archive::read(&[b'x'; 2000]), Err(ArchiveError::NotAnArchive)));
        let cut = &written(&archive("/s.js"))[..700];
        let cut = Archive::read(cut).unwrap_err().to_string();
        assert!(cut.starts_with("could not read the archive: "), "{cut}");
        let read = |files: &[(&str, &str)]| Archive::read(&tar_of(files)).unwrap_err().to_string();
        let made = "it is not one that `archive` made";
        assert_eq!(read(&[("data", "x")]), format!(r#"the archive has no "metadata.json": {made}"#));
        let metadata = r#"{"type":"js","filename":"s.js"}"#;
        assert_eq!(read(&[("metadata.json", metadata)]), format!(r#"the archive has no "data": {made}"#));
        let read = |metadata| read(&[("data", "x"), ("metadata.json", metadata)]);
        assert_eq!(
            read(r#"{"type":"har","filename":"s.js"}"#),
            r#"the archive holds a test of type "har", only "js" can be run"#
        );
        assert!(read("{}").starts_with("could not read the archive's metadata.json: missing field"));
    }

    proptest! {
        #[test]
        fn damaged_archives_are_refused_or_read(at in 0usize..4096, byte: u8, length in 0usize..5000) {
            let mut bytes = written(&archive("/s.js"));
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(length);
            let _ = (Archive::is_archive(&bytes), Archive::read(&bytes));
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = (Archive::is_archive(&bytes), Archive::read(&bytes));
        }
    }
}
