//! Writing a file whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a write must survive before it counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of this process at any instruction. The operating system still holds the bytes.
    Process,
    /// The loss of power: file and folder are synchronised to the disk.
    PowerLoss,
}

/// Replaces the file at `path` with `bytes`, whole or not at all.
///
/// The bytes go to a sibling with a temporary name, which then takes the place of `path`. A
/// reader sees the old content or the new, never a part.
///
/// # Errors
///
/// Returns the first error of the file system; the file at `path` is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = temporary_sibling(path)?;
    let written = write_and_rename(&temporary, path, bytes, durability);
    if written.is_err() {
        // The write's own error is the one to report; a leftover is harmless.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Synchronises a folder's list of names to the disk.
pub(crate) fn synchronise_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Says whether an error means that the disk, or the quota on it, is full.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn write_and_rename(
    temporary: &Path,
    path: &Path,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    let mut file = File::create_new(temporary)?;
    file.write_all(bytes)?;
    if durability == Durability::PowerLoss {
        file.sync_all()?;
    }
    fs::rename(temporary, path)?;
    match (durability, path.parent()) {
        (Durability::PowerLoss, Some(folder)) => synchronise_folder(folder_or_here(folder)),
        _ => Ok(()),
    }
}

fn temporary_sibling(path: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"));
    };
    let mut temporary = name.to_os_string();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}.{count}.temporary", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn folder_or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_sibling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write_whole(&path, b"first", Durability::Process).unwrap();
        write_whole(&path, b"second", Durability::PowerLoss).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_cannot_finish_leaves_the_old_content_and_no_sibling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write_whole(&path, b"bytes", Durability::Process).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(path.is_dir());
    }

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        let error = write_whole(Path::new("/"), b"", Durability::Process).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
