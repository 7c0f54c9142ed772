//! Where a download goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use protocol::{ArtifactReference, Digest, Digester};

use super::CHUNK;

/// What a download is written to. The methods block and are called where that is allowed.
pub trait Destination: Send {
    /// Returns how many bytes are there already; the download goes on from here.
    fn offset(&self) -> u64;

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`], a full disk included; what arrived before stays.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Forgets what is there.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] when it cannot.
    fn restart(&mut self) -> Result<(), Error>;

    /// Checks the digest of all that arrived and puts the file where it belongs.
    ///
    /// # Errors
    ///
    /// Returns [`Error::DigestMismatch`]; only [`Destination::restart`] may follow.
    fn complete(&mut self) -> Result<(), Error>;
}

/// Why a destination refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What arrived is not what was asked for.
    #[error("artifact {expected} arrived with digest {found}")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what arrived.
        found: Digest,
    },
    /// The disk failed or is full.
    #[error("the artifact cannot be written")]
    Io(#[from] io::Error),
}

/// A file that appears under its name once it is whole and checked.
///
/// Until then the bytes lie beside it, under the name with `.partial` added; a new download of the
/// same artifact goes on from them.
#[derive(Debug)]
pub struct FileDestination {
    path: PathBuf,
    partial: PathBuf,
    reference: ArtifactReference,
    file: File,
    digester: Digester,
    offset: u64,
}

impl FileDestination {
    /// Opens the destination, hashing what an earlier download left.
    ///
    /// # Errors
    ///
    /// Returns the file system's error.
    pub fn open(path: &Path, reference: &ArtifactReference) -> io::Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&partial)?;
        let mut destination = Self {
            path: path.to_owned(),
            partial,
            reference: reference.clone(),
            file,
            digester: Digester::new(),
            offset: 0,
        };
        if destination.file.metadata()?.len() > reference.size {
            destination.file.set_len(0)?;
        }
        destination.rehash()?;
        Ok(destination)
    }

    fn rehash(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.digester.update(&buffer[..count]);
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Destination for FileDestination {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.file.write_all_at(bytes, self.offset) {
            // What a failed write left beyond the offset must not count in the next download.
            drop(self.file.set_len(self.offset));
            return Err(error.into());
        }
        self.digester.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0)?;
        self.digester = Digester::new();
        self.offset = 0;
        Ok(())
    }

    fn complete(&mut self) -> Result<(), Error> {
        let found = self.digester.clone().finish();
        if found != self.reference.digest {
            self.restart()?;
            return Err(Error::DigestMismatch { expected: self.reference.digest, found });
        }
        fs::rename(&self.partial, &self.path)?;
        Ok(())
    }
}
