//! Folders of a dataset: what lies in them, in one order, and nothing from outside.

mod inventory;

use std::fs::{DirEntry, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

pub(crate) use inventory::Inventory;
pub use inventory::Listing;

use crate::Error;
use crate::limits::FOLDER_ENTRIES;

/// A dataset's folder. Everything in it is named by a path relative to it, with `/` between the parts.
#[derive(Debug)]
pub(crate) struct Root(PathBuf);

/// A file of the folder.
#[derive(Debug, Clone)]
pub(crate) struct FileEntry {
    /// Relative to the dataset's folder.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since the epoch; 0 where the file system does not know.
    pub(crate) modified: u128,
    /// When anything of it last changed, in seconds and nanoseconds. No program can set it, unlike the one above.
    pub(crate) changed: (i64, i64),
}

/// What lies in one folder, each in bytewise order of the names. What starts with a dot does not count.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// The folders' names.
    pub(crate) folders: Vec<String>,
    pub(crate) files: Vec<FileEntry>,
}

impl Root {
    /// Opens a folder, which may itself be a link.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let path = path.canonicalize().map_err(Error::Open)?;
        if path.is_dir() { Ok(Self(path)) } else { Err(Error::NotAFolder) }
    }

    /// Lists a folder; the empty path is the root itself.
    pub(crate) fn entries(&self, folder: &str) -> Result<Entries, Error> {
        let named = |error: Error| if folder.is_empty() { error } else { of(folder, error) };
        let path = self.0.join(folder);
        let listed = std::fs::read_dir(&path).map_err(|error| named(Error::Open(error)))?;
        let mut entries = Entries::default();
        for (number, entry) in listed.enumerate() {
            let entry = entry.map_err(|error| named(Error::Read(error)))?;
            if number >= FOLDER_ENTRIES {
                let limit = FOLDER_ENTRIES as u64;
                return Err(named(Error::FolderLimit { limit, what: "entries" }));
            }
            self.place(folder, &entry, &mut entries)?;
        }
        entries.folders.sort_unstable();
        entries.files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(entries)
    }

    /// Opens one of its files.
    pub(crate) fn file(&self, path: &str) -> Result<File, Error> {
        File::open(self.0.join(path)).map_err(|error| of(path, Error::Open(error)))
    }

    /// Where a path that is relative to the folder leads; an absolute one leads where it says.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }

    fn place(&self, folder: &str, entry: &DirEntry, entries: &mut Entries) -> Result<(), Error> {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(of(&join(folder, &name.to_string_lossy()), Error::FileName));
        };
        if name.starts_with('.') {
            return Ok(());
        }
        let path = join(folder, name);
        let metadata = self.metadata(entry).map_err(|error| of(&path, error))?;
        if metadata.is_dir() {
            entries.folders.push(name.to_owned());
        } else {
            entries.files.push(FileEntry::new(path, &metadata)?);
        }
        Ok(())
    }

    /// What an entry is; a link is what it leads to, as long as that is inside.
    fn metadata(&self, entry: &DirEntry) -> Result<Metadata, Error> {
        let metadata = entry.metadata().map_err(Error::Open)?;
        if !metadata.is_symlink() {
            return Ok(metadata);
        }
        let target = entry.path().canonicalize().map_err(Error::Open)?;
        if !target.starts_with(&self.0) {
            return Err(Error::LeadsOut);
        }
        target.metadata().map_err(Error::Open)
    }
}

impl FileEntry {
    fn new(path: String, metadata: &Metadata) -> Result<Self, Error> {
        if !metadata.is_file() {
            return Err(of(&path, Error::NotAFile));
        }
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = since.map_or(0, |since| since.as_nanos());
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Ok(Self { path, size: metadata.len(), modified, changed })
    }

    /// Whether the name ends with one of these, in any case of its letters.
    pub(crate) fn ends_with(&self, endings: &[&str]) -> bool {
        let name = self.path.to_ascii_lowercase();
        endings.iter().any(|ending| name.ends_with(ending))
    }
}

/// Says which file of the folder an error is about.
pub(crate) fn of(path: &str, error: Error) -> Error {
    match error {
        named @ (Error::File { .. } | Error::Interrupted) => named,
        error => Error::File { file: path.to_owned(), error: Box::new(error) },
    }
}

/// A path in the folder.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
