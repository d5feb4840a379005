//! The files of a tar archive of any program: names of any length, links of both kinds, in any order.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// Names in a tar are bytes.
pub type Name = Vec<u8>;

/// Links that lead to links, at most; more of them lead in a circle.
const MAX_CHAIN: usize = 40;
/// Files that have a further name because a folder of theirs has one.
const MAX_ALIASES: usize = 100_000;

/// Why the files of a tar archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EntriesError {
    #[error(transparent)]
    Tar(#[from] io::Error),
    #[error("{name:?} is a link to {target:?}, which is not in it")]
    Dangling { name: String, target: String },
    #[error("its links to folders stand for more than {MAX_ALIASES} files")]
    TooManyAliases,
}

enum Entry {
    File(Arc<[u8]>),
    /// Another name of a file. A symbolic link may also lead out of the tar, or to a folder.
    Link {
        target: Name,
        is_symbolic: bool,
    },
}

/// What a tar holds, by name: without `./` or `/` in front. Of several files of one name the last counts.
pub fn read(tar: &[u8]) -> Result<BTreeMap<Name, Arc<[u8]>>, EntriesError> {
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let name = plain(&entry.path_bytes());
        let kind = entry.header().entry_type();
        if kind.is_hard_link() || kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            let is_symbolic = kind.is_symlink();
            let target = if is_symbolic { beside(&name, &target) } else { plain(&target) };
            entries.insert(name, Entry::Link { target, is_symbolic });
        } else if (kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) && !name.ends_with(b"/") {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            entries.insert(name, Entry::File(content.into()));
        }
    }
    resolve(&entries)
}

/// Every file under each of its names.
fn resolve(entries: &BTreeMap<Name, Entry>) -> Result<BTreeMap<Name, Arc<[u8]>>, EntriesError> {
    let mut files = BTreeMap::new();
    let mut aliases = 0;
    for (name, entry) in entries {
        let (target, is_symbolic) = match entry {
            Entry::File(content) => {
                files.insert(name.clone(), content.clone());
                continue;
            }
            Entry::Link { target, is_symbolic } => (target, *is_symbolic),
        };
        let end = follow(entries, target);
        match entries.get(end) {
            Some(Entry::File(content)) => drop(files.insert(name.clone(), content.clone())),
            _ if is_symbolic => {
                for (inner, content) in files_of(entries, end) {
                    aliases += 1;
                    if aliases > MAX_ALIASES {
                        return Err(EntriesError::TooManyAliases);
                    }
                    files.entry([name, inner].concat()).or_insert(content);
                }
            }
            _ => return Err(EntriesError::Dangling { name: text(name), target: text(target) }),
        }
    }
    Ok(files)
}

/// What a name stands for in the end.
fn follow<'e>(entries: &'e BTreeMap<Name, Entry>, name: &'e [u8]) -> &'e [u8] {
    let mut name = name;
    for _ in 0..MAX_CHAIN {
        match entries.get(name) {
            Some(Entry::Link { target, .. }) => name = target,
            _ => break,
        }
    }
    name
}

/// The files in a folder, by what comes after its name.
fn files_of<'e>(
    entries: &'e BTreeMap<Name, Entry>,
    folder: &'e [u8],
) -> impl Iterator<Item = (&'e [u8], Arc<[u8]>)> {
    let within = entries.range(folder.to_vec()..).take_while(move |(name, _)| name.starts_with(folder));
    within.filter_map(move |(name, entry)| match entry {
        Entry::File(content) if name[folder.len()..].starts_with(b"/") => {
            Some((&name[folder.len()..], content.clone()))
        }
        _ => None,
    })
}

/// A name as it is compared. Doubled slashes stay: they tell URLs apart.
fn plain(name: &[u8]) -> Name {
    let mut name = name;
    while let Some(rest) = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/")) {
        name = rest;
    }
    name.to_vec()
}

/// Where a symbolic link leads that stands at `name`.
fn beside(name: &[u8], target: &[u8]) -> Name {
    let folder = match target.starts_with(b"/") {
        true => &[][..],
        false => name.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |at| &name[..at]),
    };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in folder.split(|byte| *byte == b'/').chain(target.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    fn append(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, content: &str) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        if kind.is_hard_link() || kind.is_symlink() {
            header.set_size(0);
            tar.append_link(&mut header, name, content).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
    }

    fn read_all(entries: &[(EntryType, &str, &str)]) -> Result<Vec<(String, String)>, EntriesError> {
        let mut tar = Builder::new(Vec::new());
        for (kind, name, content) in entries {
            append(&mut tar, *kind, name, content);
        }
        let files = read(&tar.into_inner().unwrap())?;
        Ok(files.iter().map(|(name, content)| (text(name), text(content))).collect())
    }

    const FILE: EntryType = EntryType::Regular;
    const HARD: EntryType = EntryType::Link;
    const SYMBOLIC: EntryType = EntryType::Symlink;

    #[test]
    fn links_have_the_content_of_what_they_lead_to() {
        let long = "long/".repeat(60) + "x";
        let files = read_all(&[
            (HARD, "file/before", "data"),
            (FILE, "data", "1"),
            (HARD, "file/after", "file/before"),
            (SYMBOLIC, "file/a/up", "../../data"),
            (SYMBOLIC, "file/a/beside", "./up"),
            (FILE, &long, "2"),
            (HARD, "file/long", &long),
        ])
        .unwrap();
        let of = |name: &str| files.iter().find(|(n, _)| n == name).map(|(_, content)| content.as_str());
        for name in ["data", "file/before", "file/after", "file/a/up", "file/a/beside"] {
            assert_eq!(of(name), Some("1"), "{name}");
        }
        assert_eq!((of(&long), of("file/long")), (Some("2"), Some("2")));
    }

    #[test]
    fn links_to_folders_are_followed() {
        let files = read_all(&[
            (SYMBOLIC, "file/lib", "real"),
            (FILE, "file/real/a.js", "a"),
            (FILE, "file/realm", "b"),
        ])
        .unwrap();
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["file/lib/a.js", "file/real/a.js", "file/realm"]);
    }

    #[test]
    fn links_that_lead_nowhere() {
        let error = read_all(&[(HARD, "a", "b")]).unwrap_err().to_string();
        assert_eq!(error, r#""a" is a link to "b", which is not in it"#);
        assert!(read_all(&[(HARD, "a", "b"), (HARD, "b", "a")]).is_err());
        let nothing = [(SYMBOLIC, "a", "b"), (SYMBOLIC, "b", "a"), (SYMBOLIC, "c", "/etc/passwd")];
        assert_eq!(read_all(&nothing).unwrap(), []);
    }

    #[test]
    fn names_are_plain_and_the_last_file_of_a_name_counts() {
        let mut tar = Builder::new(Vec::new());
        for (name, content) in [("./data", "1"), ("/data", "2"), ("file//a", "3"), ("dir/", "")] {
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        let files = read(&tar.into_inner().unwrap()).unwrap();
        let files: Vec<_> = files.iter().map(|(name, content)| (text(name), text(content))).collect();
        assert_eq!(files, [("data".to_owned(), "2".to_owned()), ("file//a".to_owned(), "3".to_owned())]);
    }
}
