//! Why an artifact is refused or lost.

use std::io;

use protocol::Digest;

use super::PartialId;

/// Why the store refuses or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No artifact with this digest is here.
    #[error("artifact {digest} is not here")]
    Absent {
        /// The digest.
        digest: Digest,
    },
    /// The bytes that arrived are not those of the digest; they are deleted.
    #[error("artifact {expected} arrived with digest {found}")]
    DigestMismatch {
        /// The digest that was declared.
        expected: Digest,
        /// The digest of what arrived.
        found: Digest,
    },
    /// A file in the store no longer has the digest it is named by; it is deleted.
    #[error("artifact {digest} was damaged on the disk")]
    Damaged {
        /// The digest.
        digest: Digest,
    },
    /// More bytes arrive than were declared.
    #[error("artifact {digest} is longer than the {size} bytes declared")]
    TooLong {
        /// The digest.
        digest: Digest,
        /// The declared length.
        size: u64,
    },
    /// Fewer bytes arrived than were declared.
    #[error("artifact {digest} has {offset} of {size} bytes")]
    Incomplete {
        /// The digest.
        digest: Digest,
        /// Bytes that arrived.
        offset: u64,
        /// The declared length.
        size: u64,
    },
    /// An artifact with this digest is here and has another length than is declared for it.
    #[error("artifact {digest} has {found} bytes, {declared} are declared")]
    SizeMismatch {
        /// The digest.
        digest: Digest,
        /// The declared length.
        declared: u64,
        /// The length of the file.
        found: u64,
    },
    /// Somebody else is appending to the partial file.
    #[error("partial file {id} is in use")]
    Busy {
        /// The partial file.
        id: PartialId,
    },
    /// No partial file has this id; it may have expired.
    #[error("partial file {id} is not here")]
    NoPartial {
        /// The partial file.
        id: PartialId,
    },
    /// The artifact is in use and may not be deleted.
    #[error("artifact {digest} is in use")]
    Pinned {
        /// The digest.
        digest: Digest,
    },
    /// The store's own bound leaves no room, even with everything evicted that may be.
    #[error("{needed} bytes do not fit in a store of {capacity} bytes")]
    NoRoom {
        /// The bytes to keep.
        needed: u64,
        /// The bound.
        capacity: u64,
    },
    /// The disk is full, or full but for the reserve.
    #[error("the disk is full: {needed} bytes are needed, {free} may be used")]
    DiskFull {
        /// The bytes that are still to be written.
        needed: u64,
        /// The bytes free, less the reserve.
        free: u64,
    },
    /// The file system failed.
    #[error("the artifact folder cannot be used")]
    Io(#[source] io::Error),
}
