//! The artifacts, and who may touch which.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::{ArtifactReference, Digest};
use store::artifact::{Error, Partial, PartialId};
use store::{Durability, Transaction};
use transport::Caller;
use transport::artifact::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};

use crate::approval_requests;
use crate::message::Message;
use crate::possession;
use crate::record::{self, column};
use crate::retention::is_full;
use crate::shared::Shared;

/// The coordinator's artifacts, served to whoever has an open request that names them.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    shared: Arc<Shared>,
    admission: Arc<Mutex<()>>,
}

impl Shelf {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, admission: Arc::default() }
    }

    /// A researcher may fetch what belongs to an experiment of theirs.
    fn serves(&self, researcher: &str, digest: &Digest) -> Result<bool, ShelfError> {
        let (researcher, digest) = (researcher.to_owned(), digest.to_string());
        self.read(move |transaction| possession::serves(transaction, &researcher, &digest))
    }

    /// Whether the caller has the file, and so may know whether it is here.
    fn has(&self, caller: &Caller, digest: &Digest) -> Result<bool, ShelfError> {
        let (caller, digest) = (caller.clone(), *digest);
        self.read(move |transaction| possession::has(transaction, &caller, &digest))
    }

    /// Refuses a caller that has begun or brought too much already.
    fn admit(&self, caller: &Caller, reference: &ArtifactReference) -> Result<(), ShelfError> {
        let owner = caller.to_string();
        let id = PartialId::new(&owner, reference);
        let mut begun = self.shared.artifacts.partials_of(&owner).map_err(refusal)?;
        // To go on with an upload is always allowed.
        begun.retain(|other| *other != id);
        let asking = caller.clone();
        let waiting =
            self.read(move |transaction| possession::waiting_bytes(transaction, &asking))?;
        let bytes = begun.iter().map(PartialId::size).fold(waiting, u64::saturating_add);
        let config = &self.shared.config;
        let is_within = begun.len() < config.uploads_per_caller
            && bytes.saturating_add(reference.size) <= config.waiting_bytes_per_caller;
        if is_within { Ok(()) } else { Err(ShelfError::TooMany) }
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, record::Error> + Send + 'static,
    ) -> Result<T, ShelfError> {
        let found = self.shared.database.read_blocking(read);
        found.map_err(|error| ShelfError::Unavailable(error.into()))
    }

    /// Notes that a caller has brought a file: from now on it may name it.
    fn note(&self, owner: String, reference: &ArtifactReference) -> Result<(), ShelfError> {
        let now = column(self.shared.clock.now());
        let ArtifactReference { digest, size, .. } = *reference;
        let noted = self.shared.database.write_blocking(move |transaction| {
            possession::note(transaction, (&owner, &digest, size), now)
        });
        noted.map_err(|error| ShelfError::Unavailable(error.into()))
    }

    /// Answers for a file that the caller has and that is here; nothing where it is not.
    fn find_brought(
        &self,
        caller: &Caller,
        reference: &ArtifactReference,
    ) -> Result<Option<Begun>, ShelfError> {
        let artifacts = &self.shared.artifacts;
        let digest = &reference.digest;
        if !self.has(caller, digest)? || artifacts.size(digest) != Some(reference.size) {
            return Ok(None);
        }
        let _pin = artifacts.pin(digest);
        match artifacts.make_durable(digest, Durability::PowerLoss) {
            Ok(()) => {}
            // It was deleted just now, or found damaged: it is to be brought again.
            Err(Error::Absent { .. } | Error::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(refusal(error)),
        }
        let _turn = self.shared.possession.read().unwrap_or_else(PoisonError::into_inner);
        self.note(caller.to_string(), reference)?;
        Ok(Some(Begun::Complete))
    }

    fn refuse(&self, error: Error) -> ShelfError {
        if is_full(&error) {
            // The director may be busy; the next refusal tells it again.
            let _told = self.shared.mailbox.try_send(Message::StorageFilled);
        }
        refusal(error)
    }
}

impl ArtifactShelf for Shelf {
    fn allows(&self, caller: &Caller, access: &Access) -> Result<bool, ShelfError> {
        match (caller, access) {
            (Caller::Node(node), Access::Read(digest)) => {
                let (name, plan) = (node.clone(), *digest);
                let names = move |transaction: &Transaction<'_>| {
                    approval_requests::names(transaction, &name, &plan)
                };
                Ok(self.shared.board.may_read(node, digest) || self.read(names)?)
            }
            (Caller::Node(node), Access::Write(reference)) => {
                Ok(self.shared.board.may_write(node, reference))
            }
            (Caller::Researcher(researcher), Access::Read(digest)) => {
                self.serves(researcher.as_str(), digest)
            }
            (Caller::Researcher(_), Access::Write(reference)) => {
                Ok(reference.size <= self.shared.config.largest_artifact_bytes)
            }
        }
    }

    fn open(&self, digest: &Digest) -> Result<OpenArtifact, ShelfError> {
        let artifact = self.shared.artifacts.open_verified(digest).map_err(refusal)?;
        Ok(OpenArtifact { file: artifact.file, size: artifact.size })
    }

    fn begin(&self, caller: &Caller, reference: &ArtifactReference) -> Result<Begun, ShelfError> {
        if let Some(begun) = self.find_brought(caller, reference)? {
            return Ok(begun);
        }
        // One at a time: two that are counted together would both find room.
        let _turn = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        self.admit(caller, reference)?;
        // Nothing was written yet: that what a researcher declares does not fit says nothing of the disk, and must not
        // stop the experiments of others.
        let refused = |error| match caller {
            Caller::Node(_) => self.refuse(error),
            Caller::Researcher(_) => refusal(error),
        };
        let begun = self.shared.artifacts.begin_whole(&caller.to_string(), reference);
        let partial = begun.map_err(refused)?;
        Ok(Begun::Partial { id: partial.id().to_string(), offset: partial.offset() })
    }

    fn put(
        &self,
        caller: &Caller,
        reference: &ArtifactReference,
        bytes: &[u8],
    ) -> Result<(), ShelfError> {
        // Whoever brings the bytes may know that they are here.
        if self.shared.artifacts.size(&reference.digest).is_some()
            && Digest::of(bytes) == reference.digest
            && self.find_brought(caller, reference)?.is_some()
        {
            return Ok(());
        }
        let turn = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        self.admit(caller, reference)?;
        drop(turn);
        let artifacts = &self.shared.artifacts;
        // Until the row is there, only the pin keeps the file from whoever deletes what nobody wants.
        let _pin = artifacts.pin(&reference.digest);
        let put = artifacts.put(bytes, &reference.digest, Durability::PowerLoss);
        put.map_err(|error| self.refuse(error))?;
        let _turn = self.shared.possession.read().unwrap_or_else(PoisonError::into_inner);
        self.note(caller.to_string(), reference)
    }

    fn resume(&self, caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError> {
        let id: PartialId = id.parse().map_err(|_| ShelfError::Absent)?;
        if !id.belongs_to(&caller.to_string()) {
            return Err(ShelfError::Absent);
        }
        let partial = self.shared.artifacts.resume(&id).map_err(refusal)?;
        // What was brought must survive a loss of power before it is acknowledged.
        let partial = partial.with_early_write_back();
        Ok(Box::new(Bringing { shelf: self.clone(), owner: caller.to_string(), partial }))
    }
}

/// An upload in progress.
struct Bringing {
    shelf: Shelf,
    owner: String,
    partial: Partial,
}

impl Upload for Bringing {
    fn reference(&self) -> ArtifactReference {
        ArtifactReference::new(self.partial.id().digest(), self.partial.id().size())
    }

    fn offset(&self) -> u64 {
        self.partial.offset()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ShelfError> {
        self.partial.append(bytes).map_err(|error| self.shelf.refuse(error))
    }

    fn commit(self: Box<Self>) -> Result<(), ShelfError> {
        let reference = self.reference();
        let Self { shelf, owner, partial } = *self;
        // Until the row is there, only the pin keeps the file from whoever deletes what nobody wants.
        let _pin = shelf.shared.artifacts.pin(&reference.digest);
        partial.commit(Durability::PowerLoss).map_err(|error| shelf.refuse(error))?;
        let _turn = shelf.shared.possession.read().unwrap_or_else(PoisonError::into_inner);
        shelf.note(owner, &reference)
    }
}

fn refusal(error: Error) -> ShelfError {
    match error {
        Error::Absent { .. } | Error::NoPartial { .. } => ShelfError::Absent,
        Error::DigestMismatch { .. } => ShelfError::DigestMismatch,
        Error::TooLong { .. } | Error::SizeMismatch { .. } => ShelfError::TooLong,
        Error::Busy { .. } => ShelfError::Busy,
        Error::NoRoom { .. } | Error::DiskFull { .. } => ShelfError::Full,
        other => ShelfError::Unavailable(other.into()),
    }
}
