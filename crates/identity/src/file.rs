//! Files that hold secrets: written whole, for this user only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What is wrong with a file or folder of keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Others may read what is secret.
    #[error("{} can be read by others: its mode is {mode:o} and must be 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn unusable(path: &Path, source: io::Error) -> Self {
        Self::Unusable { path: path.to_owned(), source }
    }
}

/// Makes a folder that only this user enters.
pub(crate) fn make_private(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| Error::unusable(folder, source))
}

/// Writes a file for this user only; it comes to be whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("temporary");
    let written = write_through(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| synchronise_parent(path));
    written.map_err(|source| {
        // The first error is the one to report.
        drop(fs::remove_file(&temporary));
        Error::unusable(path, source)
    })
}

/// Reads a file that nobody else may read.
pub(crate) fn read_private(path: &Path) -> Result<String, Error> {
    let unusable = |source| Error::unusable(path, source);
    let file = File::open(path).map_err(unusable)?;
    let mode = file.metadata().map_err(unusable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(unusable)?;
    Ok(text)
}

/// Deletes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::unusable(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that a dead process left may have another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Synchronises the list of names in which a file stands.
fn synchronise_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Most bytes of a file of keys and certificates.
const LONGEST: u64 = 1 << 20;
