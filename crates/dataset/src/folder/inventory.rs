//! Two digests of a folder: one of its bytes, and one of its files' names, sizes and times, which is quickly made again.

use protocol::{Digest, Digester};
use serde::{Deserialize, Serialize};

use super::FileEntry;
use crate::Error;
use crate::limits::FILES;

/// What a folder's files look like from outside.
///
/// A round compares this, for it cannot read a hundred gibibytes again. Where it is another, the bytes decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// The number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// A digest of their names, sizes and times.
    pub digest: Digest,
}

/// Takes the files of a folder in their order.
#[derive(Default)]
pub(crate) struct Inventory {
    files: u64,
    bytes: u64,
    listing: Digester,
    content: Digester,
}

impl Inventory {
    /// Takes a file whose bytes are not looked at.
    pub(crate) fn list(&mut self, file: &FileEntry) -> Result<(), Error> {
        self.files += 1;
        if self.files > FILES {
            return Err(Error::FolderLimit { limit: FILES, what: "files" });
        }
        self.bytes = self.bytes.saturating_add(file.size);
        item(&mut self.listing, file.path.as_bytes());
        item(&mut self.listing, &file.size.to_le_bytes());
        item(&mut self.listing, &file.modified.to_le_bytes());
        item(&mut self.listing, &file.changed.0.to_le_bytes());
        item(&mut self.listing, &file.changed.1.to_le_bytes());
        Ok(())
    }

    /// Takes a file with the digest of its bytes.
    pub(crate) fn take(&mut self, file: &FileEntry, digest: &Digest) -> Result<(), Error> {
        self.list(file)?;
        self.mix(&file.path, digest);
        Ok(())
    }

    /// Takes something else that belongs to the content.
    pub(crate) fn mix(&mut self, name: &str, digest: &Digest) {
        item(&mut self.content, name.as_bytes());
        item(&mut self.content, digest.to_string().as_bytes());
    }

    /// The listing.
    pub(crate) fn listing(self) -> Listing {
        self.finish().0
    }

    /// The listing, and the digest of the content.
    pub(crate) fn finish(self) -> (Listing, Digest) {
        let digest = self.listing.finish();
        (Listing { files: self.files, bytes: self.bytes, digest }, self.content.finish())
    }
}

/// Adds an item with its length before it, so that no two lists of items are the same bytes.
fn item(digester: &mut Digester, bytes: &[u8]) {
    digester.update(&(bytes.len() as u64).to_le_bytes());
    digester.update(bytes);
}
