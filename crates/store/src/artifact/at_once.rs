//! Files that are small enough for one step.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use protocol::{ArtifactReference, Digest};

use super::{Artifact, ArtifactStore, Error, Inner};
use crate::whole_file::Durability;

impl ArtifactStore {
    /// Opens an artifact that needs no hashing to be known; nothing where it is not here, or not known yet.
    ///
    /// It costs no more than opening a file, so that it may be called where longer blocking is not allowed.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] for a file that cannot be opened.
    pub fn open_known(&self, digest: &Digest) -> Result<Option<Artifact>, Error> {
        if !self.inner.index().entry(digest).is_some_and(|entry| entry.verified) {
            return Ok(None);
        }
        match self.open_verified(digest) {
            Ok(artifact) => Ok(Some(artifact)),
            Err(Error::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a whole file from memory.
    ///
    /// Two who bring the same bytes at once both succeed.
    ///
    /// # Errors
    ///
    /// Returns [`Error::DigestMismatch`] for bytes that are not what `digest` says, [`Error::NoRoom`] and
    /// [`Error::DiskFull`]; nothing of a refused file stays.
    pub fn put(&self, bytes: &[u8], digest: &Digest, durability: Durability) -> Result<(), Error> {
        let found = Digest::of(bytes);
        if found != *digest {
            return Err(Error::DigestMismatch { expected: *digest, found });
        }
        if self.size(digest).is_some() {
            return self.make_durable(digest, durability);
        }
        let reference = ArtifactReference::new(*digest, bytes.len() as u64);
        self.inner.make_room(reference.size)?;
        self.inner.require_free(reference.size)?;
        let path = self.inner.second_name(digest);
        let written = self.inner.write(&path, bytes, &reference, durability);
        if written.is_err() {
            // The write's own error is the one to report; the next start removes a leftover.
            drop(fs::remove_file(&path));
        }
        written
    }
}

impl Inner {
    fn write(
        &self,
        path: &Path,
        bytes: &[u8],
        reference: &ArtifactReference,
        durability: Durability,
    ) -> Result<(), Error> {
        let mut file = File::create_new(path).map_err(|error| self.io(error, reference.size))?;
        file.write_all(bytes).map_err(|error| self.io(error, reference.size))?;
        self.place(path, &file, reference, durability)
    }
}
