//! What the routes need of a store of artifacts.

use std::fs::File;

use protocol::{ArtifactReference, Digest};

use crate::Caller;

/// A store of artifacts and the rule of who may touch which.
///
/// The methods block; the routes call them where blocking is allowed.
pub trait ArtifactShelf: Send + Sync + 'static {
    /// Says whether the caller may do this now.
    ///
    /// # Errors
    ///
    /// Returns [`ShelfError::Unavailable`] where that cannot be found out.
    fn allows(&self, caller: &Caller, access: &Access) -> Result<bool, ShelfError>;

    /// Opens a whole, verified file.
    ///
    /// # Errors
    ///
    /// Returns [`ShelfError::Absent`] where it is not here.
    fn open(&self, digest: &Digest) -> Result<OpenArtifact, ShelfError>;

    /// Begins or continues the caller's upload of a file.
    ///
    /// # Errors
    ///
    /// Returns [`ShelfError::Full`], [`ShelfError::TooLong`], [`ShelfError::TooMany`] or
    /// [`ShelfError::Busy`].
    fn begin(&self, caller: &Caller, reference: &ArtifactReference) -> Result<Begun, ShelfError>;

    /// Takes a whole file, checks its digest and keeps it, as durably as the next step needs.
    ///
    /// # Errors
    ///
    /// As [`ArtifactShelf::begin`] and [`Upload::commit`].
    fn put(
        &self,
        caller: &Caller,
        reference: &ArtifactReference,
        bytes: &[u8],
    ) -> Result<(), ShelfError> {
        if Digest::of(bytes) != reference.digest {
            return Err(ShelfError::DigestMismatch);
        }
        let Begun::Partial { id, .. } = self.begin(caller, reference)? else { return Ok(()) };
        let mut upload = self.resume(caller, &id)?;
        let missing = usize::try_from(upload.offset()).ok().and_then(|start| bytes.get(start..));
        upload.append(missing.ok_or(ShelfError::TooLong)?)?;
        upload.commit()
    }

    /// Takes up an upload that the caller began; held until dropped.
    ///
    /// # Errors
    ///
    /// Returns [`ShelfError::Absent`] for an id that is unknown, malformed or another caller's.
    fn resume(&self, caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError>;
}

/// A file that is being brought.
pub trait Upload: Send {
    /// Returns what the whole file will be.
    fn reference(&self) -> ArtifactReference;

    /// Returns how many bytes have arrived.
    fn offset(&self) -> u64;

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Returns [`ShelfError::TooLong`] or [`ShelfError::Full`]; what arrived before stays.
    fn append(&mut self, bytes: &[u8]) -> Result<(), ShelfError>;

    /// Checks the digest and keeps the file, as durably as the next step needs.
    ///
    /// # Errors
    ///
    /// Returns [`ShelfError::DigestMismatch`], after which the bytes are gone.
    fn commit(self: Box<Self>) -> Result<(), ShelfError>;
}

/// What a caller wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Fetch the file with this digest.
    Read(Digest),
    /// Bring this file.
    Write(ArtifactReference),
}

/// What [`ArtifactShelf::begin`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The whole file is here already, as durable as an upload would have made it, and the caller
    /// may know that.
    Complete,
    /// Bytes are missing from `offset` on.
    Partial {
        /// Names the upload in the routes that follow.
        id: String,
        /// Bytes that have arrived.
        offset: u64,
    },
}

/// A whole file.
#[derive(Debug)]
pub struct OpenArtifact {
    /// Open for reading; its position is of no account.
    pub file: File,
    /// The length in bytes.
    pub size: u64,
}

/// Why a shelf refuses.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Nothing by this name is here.
    #[error("the artifact or upload is not here")]
    Absent,
    /// More bytes than were declared, or than may be.
    #[error("the artifact is too long")]
    TooLong,
    /// What arrived has another digest.
    #[error("the artifact that arrived has another digest")]
    DigestMismatch,
    /// Somebody else is appending.
    #[error("the upload is in use")]
    Busy,
    /// The caller has begun too many uploads, or brought too many bytes that nothing names yet.
    #[error("the caller has reached its limit of uploads")]
    TooMany,
    /// No room is left.
    #[error("the coordinator's disk is full")]
    Full,
    /// The shelf itself is out of order; the cause is for its own log.
    #[error("the coordinator cannot use its artifacts")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
