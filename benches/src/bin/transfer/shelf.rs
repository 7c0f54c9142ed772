//! The artifact store as a shelf on which everybody may do everything.

use protocol::{ArtifactReference, Digest};
use store::Durability;
use store::artifact::{self, ArtifactStore, Partial, PartialId};
use transport::Caller;
use transport::artifact::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};

/// A store, and how durable an upload is before it is acknowledged.
pub(crate) struct BenchShelf {
    pub(crate) store: ArtifactStore,
    pub(crate) durability: Durability,
}

impl ArtifactShelf for BenchShelf {
    fn allows(&self, _caller: &Caller, _access: &Access) -> Result<bool, ShelfError> {
        Ok(true)
    }

    fn open(&self, digest: &Digest) -> Result<OpenArtifact, ShelfError> {
        let artifact = self.store.open_verified(digest).map_err(unavailable)?;
        Ok(OpenArtifact { file: artifact.file, size: artifact.size })
    }

    fn begin(&self, caller: &Caller, reference: &ArtifactReference) -> Result<Begun, ShelfError> {
        let begun = self.store.begin(&caller.to_string(), reference, self.durability);
        match begun.map_err(unavailable)? {
            artifact::Begun::Complete => Ok(Begun::Complete),
            artifact::Begun::Partial(partial) => {
                Ok(Begun::Partial { id: partial.id().to_string(), offset: partial.offset() })
            }
        }
    }

    fn resume(&self, _caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError> {
        let id: PartialId = id.parse().map_err(|_| ShelfError::Absent)?;
        let partial = self.store.resume(&id).map_err(unavailable)?;
        Ok(Box::new(BenchUpload { partial, durability: self.durability }))
    }
}

struct BenchUpload {
    partial: Partial,
    durability: Durability,
}

impl Upload for BenchUpload {
    fn reference(&self) -> ArtifactReference {
        ArtifactReference::new(self.partial.id().digest(), self.partial.id().size())
    }

    fn offset(&self) -> u64 {
        self.partial.offset()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ShelfError> {
        self.partial.append(bytes).map_err(unavailable)
    }

    fn commit(self: Box<Self>) -> Result<(), ShelfError> {
        self.partial.commit(self.durability).map_err(unavailable)
    }
}

fn unavailable(error: artifact::Error) -> ShelfError {
    ShelfError::Unavailable(Box::new(error))
}
