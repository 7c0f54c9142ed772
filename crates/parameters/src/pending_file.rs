//! A file that appears whole or not at all.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::Error;

/// Says what must have happened when a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The file has its name, but a loss of power may still take it; for what can be made again.
    Renamed,
    /// The file and its name are on the disk.
    Synced,
}

/// Holds a temporary sibling of the file to be; dropped without [`PendingFile::publish`], it goes.
#[derive(Debug)]
pub(crate) struct PendingFile {
    file: File,
    path: PathBuf,
    temporary: PathBuf,
}

impl PendingFile {
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        loop {
            let temporary = sibling(path);
            let created = File::options().read(true).write(true).create_new(true).open(&temporary);
            match created {
                Ok(file) => return Ok(Self { file, path: path.to_owned(), temporary }),
                // Another process of the same id, before a restart, left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io("create", &temporary, source)),
            }
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn written<T>(&self, result: io::Result<T>) -> Result<T, Error> {
        result.map_err(|source| Error::io("write", &self.temporary, source))
    }

    /// Gives the file its name.
    pub(crate) fn publish(self, durability: Durability) -> Result<(), Error> {
        let renamed = |source| Error::io("rename to", &self.path, source);
        match durability {
            Durability::Renamed => fs::rename(&self.temporary, &self.path).map_err(renamed),
            Durability::Synced => {
                self.written(self.file.sync_all())?;
                fs::rename(&self.temporary, &self.path).map_err(renamed)?;
                sync_folder(&self.path)
            }
        }
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        // After a rename there is nothing under this name any more. If the removal fails, a stray
        // temporary is left, which no reader takes for the file.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn sibling(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{number}.temporary", std::process::id()));
    path.with_file_name(name)
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| Error::io("sync", folder, source))
}
