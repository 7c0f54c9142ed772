//! The artifacts, and who may touch which.

use std::sync::Arc;

use protocol::{ArtifactReference, Digest};
use store::Durability;
use store::artifact::{Begun as Found, Error, Partial, PartialId};
use store::rusqlite::params;
use transport::Caller;
use transport::artifact::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};

use crate::message::Message;
use crate::record::{self, column};
use crate::retention::{is_full, note_upload};
use crate::shared::Shared;

/// The coordinator's artifacts, served to whoever has an open request that names them.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    shared: Arc<Shared>,
}

impl Shelf {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A researcher may fetch what belongs to an experiment of theirs.
    fn owns(&self, researcher: &str, digest: &Digest) -> Result<bool, ShelfError> {
        let (researcher, digest) = (researcher.to_owned(), digest.to_string());
        let found = self.shared.database.read_blocking(move |transaction| {
            let owned = transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM experiments WHERE researcher_id = ?1 AND plan_digest = ?2)
                 OR EXISTS (SELECT 1 FROM rounds JOIN experiments USING (experiment_id)
                 WHERE researcher_id = ?1 AND model_digest = ?2 AND model_kept)",
                params![researcher, digest],
                |row| row.get(0),
            );
            owned.map_err(record::Error::from)
        });
        found.map_err(|error| ShelfError::Unavailable(error.into()))
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
                Ok(self.shared.board.may_read(node, digest))
            }
            (Caller::Node(node), Access::Write(reference)) => {
                Ok(self.shared.board.may_write(node, reference))
            }
            (Caller::Researcher(researcher), Access::Read(digest)) => {
                self.owns(researcher.as_str(), digest)
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
        let owner = caller.to_string();
        let begun = self.shared.artifacts.begin(&owner, reference, Durability::PowerLoss);
        // Nothing was written yet: that what a researcher declares does not fit says nothing of the disk, and must not
        // stop the experiments of others.
        let refused = |error| match caller {
            Caller::Node(_) => self.refuse(error),
            Caller::Researcher(_) => refusal(error),
        };
        match begun.map_err(refused)? {
            Found::Complete => {
                note(&self.shared, reference.digest)?;
                Ok(Begun::Complete)
            }
            Found::Partial(partial) => {
                Ok(Begun::Partial { id: partial.id().to_string(), offset: partial.offset() })
            }
        }
    }

    fn resume(&self, caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError> {
        let id: PartialId = id.parse().map_err(|_| ShelfError::Absent)?;
        if !id.belongs_to(&caller.to_string()) {
            return Err(ShelfError::Absent);
        }
        let partial = self.shared.artifacts.resume(&id).map_err(refusal)?;
        // What was brought must survive a loss of power before it is acknowledged.
        let partial = partial.with_early_write_back();
        Ok(Box::new(Bringing { shelf: self.clone(), partial }))
    }
}

/// An upload in progress.
struct Bringing {
    shelf: Shelf,
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
        let Self { shelf, partial } = *self;
        let digest = partial.id().digest();
        // The note first: a file without one may be swept away before a row names it.
        note(&shelf.shared, digest)?;
        partial.commit(Durability::PowerLoss).map_err(|error| shelf.refuse(error))
    }
}

fn note(shared: &Shared, digest: Digest) -> Result<(), ShelfError> {
    let now = column(shared.clock.now());
    let noted =
        shared.database.write_blocking(move |transaction| note_upload(transaction, &digest, now));
    noted.map_err(|error| ShelfError::Unavailable(error.into()))
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
