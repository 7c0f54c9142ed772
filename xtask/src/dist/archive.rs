//! Archives whose bytes depend on nothing but what is in them.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};

/// A file, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// The path in the archive, without a slash at the beginning.
    pub(super) path: String,
    /// Who may do what, as `chmod` takes it.
    pub(super) mode: u32,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
}

/// The files and the folders above them as a compressed tar archive, sorted, of this moment, root's.
pub(super) fn compressed(entries: &[Entry], moment: u64) -> Result<Vec<u8>> {
    let mut sorted = entries.to_vec();
    sorted.sort();
    let encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(encoder);
    let mut folders: Vec<String> = Vec::new();
    for entry in &sorted {
        for folder in folders_above(&entry.path) {
            if !folders.contains(&folder) {
                let mut header = header(tar::EntryType::Directory, 0o755, moment);
                archive.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
                folders.push(folder);
            }
        }
        let mut header = header(tar::EntryType::Regular, entry.mode, moment);
        header.set_size(u64::try_from(entry.bytes.len())?);
        archive.append_data(&mut header, &entry.path, entry.bytes.as_slice())?;
    }
    Ok(archive.into_inner()?.finish()?)
}

/// The files as an archive of `ar`, which a Debian package is.
pub(super) fn ar(members: &[(&str, &[u8])], moment: u64) -> Result<Vec<u8>> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let length = bytes.len();
        writeln!(archive, "{name:<16}{moment:<12}{:<6}{:<6}{:<8}{length:<10}`", 0, 0, 100_644)?;
        archive.extend_from_slice(bytes);
        if length % 2 == 1 {
            archive.push(b'\n');
        }
    }
    Ok(archive)
}

fn header(kind: tar::EntryType, mode: u32, moment: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_mtime(moment);
    header
}

/// Every folder that a path lies in, the outermost first.
fn folders_above(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('/').map(|(end, _)| path[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn entry(path: &str, bytes: &[u8]) -> Entry {
        Entry { path: path.to_owned(), mode: 0o644, bytes: bytes.to_vec() }
    }

    #[test]
    fn the_order_of_the_files_does_not_change_a_byte() {
        let (one, two) = (entry("a/one", b"1"), entry("a/b/two", b"2"));
        let forwards = compressed(&[one.clone(), two.clone()], 1_700_000_000).unwrap();
        let backwards = compressed(&[two, one], 1_700_000_000).unwrap();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_everything_is_roots() {
        let bytes = compressed(&[entry("usr/bin/program", b"machine")], 1_700_000_000).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
        let mut archive = tar::Archive::new(plain.as_slice());
        let entries: Vec<(String, u64, u64)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                let path = entry.path().unwrap().display().to_string();
                (path, header.mtime().unwrap(), header.size().unwrap())
            })
            .collect();
        let moment = 1_700_000_000;
        let expected = [
            ("usr/".to_owned(), moment, 0),
            ("usr/bin/".to_owned(), moment, 0),
            ("usr/bin/program".to_owned(), moment, 7),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_member_of_odd_length_is_padded() {
        let archive =
            ar(&[("debian-binary", b"2.0\n"), ("odd", b"x"), ("even", b"xy")], 7).unwrap();
        assert_eq!(archive.len(), 8 + (60 + 4) + (60 + 2) + (60 + 2));
        assert!(archive.starts_with(
            b"!<arch>\ndebian-binary   7           0     0     100644  4         `\n2.0\n"
        ));
    }
}
