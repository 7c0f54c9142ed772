//! Files over HTTP: what serves them, and what fetches and brings them.
//!
//! | request | answer |
//! |---|---|
//! | `GET`, `HEAD /artifacts/{digest}` | the file; one `Range`, `If-None-Match`, `If-Range`; `ETag` is the digest |
//! | `PUT /artifacts/{digest}` | a file of 256 KiB at most, whole; 200 checked and kept |
//! | `POST /uploads` `{"digest", "size"}` | `{"id", "offset", "complete"}`; 201 begun or continued, 200 complete |
//! | `HEAD /uploads/{id}` | `Upload-Offset`, `Upload-Length` |
//! | `PATCH /uploads/{id}`, `Upload-Offset` | appends; 204 when bytes are missing still, 200 when whole, checked and kept |
//!
//! Refusals: 400 malformed, 401 no caller, 403 not allowed, 404 not here, 409 another offset or in
//! use, 413 too long, 416 no such range, 422 another digest, 429 too many uploads of the caller, 507 full,
//! 503 out of order.

mod allocator;
pub mod client;
pub mod destination;
mod download;
mod range;
mod read_ahead;
pub mod routes;
pub mod shelf;
mod upload;

pub use client::ArtifactClient;
pub use destination::{Destination, FileDestination};
pub use routes::routes;
pub use shelf::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};

/// Bytes that are read or written at once: few enough to stay in a core's cache from the network to
/// the digest, enough that a call costs nothing beside them.
pub(crate) const CHUNK: usize = 256 << 10;

/// The longest file that is brought or fetched in one step, in memory; longer ones stream and can be taken up again.
pub(crate) const AT_ONCE: u64 = CHUNK as u64;

/// Chunks that wait between the network and the disk; a full queue holds the network back.
const CHUNKS_WAITING: usize = 4;
