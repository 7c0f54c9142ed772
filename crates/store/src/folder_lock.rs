//! One process at a time in a home folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Holds a folder for this process until it is dropped or the process ends, however it ends.
///
/// The lock is the operating system's, on a file named `lock` in the folder; the file itself
/// stays and names the holder's process for whoever finds the folder taken.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    // Closing the file releases the lock.
    _file: File,
}

/// Why a folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder.
    #[error("folder {} is in use by {}", folder.display(), holder_in_words(*process))]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The holder's process id, where its lock file tells.
        process: Option<u32>,
    },
    /// The lock file cannot be opened, locked or written.
    #[error("folder {} cannot be locked", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl FolderLock {
    /// Takes the folder, without waiting.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Held`] when another process, or another lock of this one, has it.
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { folder: folder.to_owned(), source };
        let mut file = open_lock_file(folder).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = read_process(&mut file);
                return Err(Error::Held { folder: folder.to_owned(), process });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        write_process(&mut file).map_err(unusable)?;
        Ok(Self { folder: folder.to_owned(), _file: file })
    }

    /// Returns the process that holds the folder, or `None` when it is free.
    ///
    /// The answer may be old by the time it is read; only [`FolderLock::take`] decides.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Unusable`] when the lock file cannot be opened.
    pub fn holder(folder: &Path) -> Result<Option<Holder>, Error> {
        match Self::take(folder) {
            Ok(_) => Ok(None),
            Err(Error::Held { process, .. }) => Ok(Some(Holder { process })),
            Err(error) => Err(error),
        }
    }

    /// Returns the folder that is held.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Who holds a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id, where the lock file tells.
    pub process: Option<u32>,
}

fn open_lock_file(folder: &Path) -> io::Result<File> {
    let path = folder.join("lock");
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn read_process(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_process(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder_in_words(process: Option<u32>) -> String {
    process.map_or_else(|| "another process".to_owned(), |process| format!("process {process}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_once_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        assert_eq!(lock.folder(), folder.path());
        let error = FolderLock::take(folder.path()).unwrap_err();
        let words = format!("is in use by process {}", std::process::id());
        assert!(error.to_string().ends_with(&words), "{error}");
        let holder = FolderLock::holder(folder.path()).unwrap();
        assert_eq!(holder, Some(Holder { process: Some(std::process::id()) }));
    }

    #[test]
    fn a_dropped_lock_frees_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        drop(FolderLock::take(folder.path()).unwrap());
        assert_eq!(FolderLock::holder(folder.path()).unwrap(), None);
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_unusable() {
        let folder = tempfile::tempdir().unwrap();
        let error = FolderLock::take(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
    }
}
