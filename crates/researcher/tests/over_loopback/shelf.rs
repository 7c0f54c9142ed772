//! A shelf that keeps artifacts in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use protocol::{ArtifactReference, Digest};
use transport::Caller;
use transport::artifact::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};

/// What is whole, and what is being brought.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) kept: Mutex<BTreeMap<Digest, Vec<u8>>>,
    begun: Mutex<BTreeMap<String, ArtifactReference>>,
    this: Mutex<Option<Arc<Shelf>>>,
}

impl Shelf {
    pub(crate) fn new() -> Arc<Self> {
        let shelf = Arc::new(Self::default());
        *shelf.this.lock().unwrap() = Some(Arc::clone(&shelf));
        shelf
    }

    pub(crate) fn keep(&self, bytes: &[u8]) -> ArtifactReference {
        let digest = Digest::of(bytes);
        self.kept.lock().unwrap().insert(digest, bytes.to_vec());
        ArtifactReference::new(digest, bytes.len() as u64)
    }
}

impl ArtifactShelf for Shelf {
    fn allows(&self, caller: &Caller, _access: &Access) -> Result<bool, ShelfError> {
        Ok(matches!(caller, Caller::Researcher(_)))
    }

    fn open(&self, digest: &Digest) -> Result<OpenArtifact, ShelfError> {
        let kept = self.kept.lock().unwrap();
        let bytes = kept.get(digest).ok_or(ShelfError::Absent)?;
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Ok(OpenArtifact { file, size: bytes.len() as u64 })
    }

    fn begin(&self, _caller: &Caller, reference: &ArtifactReference) -> Result<Begun, ShelfError> {
        if self.kept.lock().unwrap().contains_key(&reference.digest) {
            return Ok(Begun::Complete);
        }
        let id = reference.digest.hexadecimal();
        self.begun.lock().unwrap().insert(id.clone(), reference.clone());
        Ok(Begun::Partial { id, offset: 0 })
    }

    fn resume(&self, _caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError> {
        let reference = self.begun.lock().unwrap().get(id).cloned().ok_or(ShelfError::Absent)?;
        let shelf = self.this.lock().unwrap().clone().unwrap();
        Ok(Box::new(Arriving { shelf, reference, bytes: Vec::new() }))
    }
}

struct Arriving {
    shelf: Arc<Shelf>,
    reference: ArtifactReference,
    bytes: Vec<u8>,
}

impl Upload for Arriving {
    fn reference(&self) -> ArtifactReference {
        self.reference.clone()
    }

    fn offset(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ShelfError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), ShelfError> {
        if Digest::of(&self.bytes) != self.reference.digest {
            return Err(ShelfError::DigestMismatch);
        }
        self.shelf.keep(&self.bytes);
        Ok(())
    }
}
