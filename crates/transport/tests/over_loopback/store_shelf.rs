//! A shelf over the real artifact store, with a rule that a test can set.

use std::collections::HashSet;
use std::sync::Mutex;

use protocol::{ArtifactReference, Digest};
use store::Durability;
use store::artifact::{self, ArtifactStore, Partial, PartialId};
use transport::Caller;
use transport::artifact::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};

pub(crate) struct StoreShelf {
    pub(crate) store: ArtifactStore,
    pub(crate) forbidden: Mutex<HashSet<Digest>>,
}

impl ArtifactShelf for StoreShelf {
    fn allows(&self, _caller: &Caller, access: &Access) -> Result<bool, ShelfError> {
        let digest = match access {
            Access::Read(digest) => digest,
            Access::Write(reference) => &reference.digest,
        };
        Ok(!self.forbidden.lock().unwrap().contains(digest))
    }

    fn open(&self, digest: &Digest) -> Result<OpenArtifact, ShelfError> {
        let artifact = self.store.open_verified(digest).map_err(shelf_error)?;
        Ok(OpenArtifact { file: artifact.file, size: artifact.size })
    }

    fn begin(&self, caller: &Caller, reference: &ArtifactReference) -> Result<Begun, ShelfError> {
        let begun = self.store.begin(&caller.to_string(), reference, Durability::PowerLoss);
        match begun.map_err(shelf_error)? {
            artifact::Begun::Complete => Ok(Begun::Complete),
            artifact::Begun::Partial(partial) => {
                Ok(Begun::Partial { id: partial.id().to_string(), offset: partial.offset() })
            }
        }
    }

    fn resume(&self, caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError> {
        let id: PartialId = id.parse().map_err(|_| ShelfError::Absent)?;
        if !id.belongs_to(&caller.to_string()) {
            return Err(ShelfError::Absent);
        }
        Ok(Box::new(StoreUpload(self.store.resume(&id).map_err(shelf_error)?)))
    }
}

struct StoreUpload(Partial);

impl Upload for StoreUpload {
    fn reference(&self) -> ArtifactReference {
        ArtifactReference::new(self.0.id().digest(), self.0.id().size())
    }

    fn offset(&self) -> u64 {
        self.0.offset()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ShelfError> {
        self.0.append(bytes).map_err(shelf_error)
    }

    fn commit(self: Box<Self>) -> Result<(), ShelfError> {
        self.0.commit(Durability::PowerLoss).map_err(shelf_error)
    }
}

fn shelf_error(error: artifact::Error) -> ShelfError {
    match error {
        artifact::Error::Absent { .. } | artifact::Error::NoPartial { .. } => ShelfError::Absent,
        artifact::Error::DigestMismatch { .. } => ShelfError::DigestMismatch,
        artifact::Error::TooLong { .. } => ShelfError::TooLong,
        artifact::Error::Busy { .. } => ShelfError::Busy,
        artifact::Error::NoRoom { .. } | artifact::Error::DiskFull { .. } => ShelfError::Full,
        error => ShelfError::Unavailable(Box::new(error)),
    }
}
