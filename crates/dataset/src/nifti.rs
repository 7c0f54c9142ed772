//! Volumes in the NIfTI format, versions 1 and 2, plain or compressed with gzip.
//!
//! A file is a stranger's until it is parsed: what its header says is judged before memory is taken, and a compressed
//! file is never unpacked further than its header says.
//!
//! <https://nifti.nimh.nih.gov/nifti-1>, <https://nifti.nimh.nih.gov/nifti-2>

mod header;
mod volume;

pub use header::{DataType, Header, Version};
pub use volume::{Volume, inspect, read};

use crate::limits::{VOLUME_BYTES, VOLUME_HEADER_BYTES};

/// Why a file is no volume that can be read. No variant holds a voxel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another format, whatever the file's name says.
    #[error("the file is not NIfTI")]
    Unknown,
    /// A header whose voxels are in a file of their own.
    #[error("the volume is split into a header and an image file, only single files can be read")]
    Split,
    /// The file, or what it unpacks to, ends too early.
    #[error("the file ends before the {part} does")]
    Truncated {
        /// What is not whole.
        part: &'static str,
    },
    /// Bytes after the last voxel.
    #[error("the file goes on after the last voxel that its header declares")]
    TooLong,
    /// A gzip stream that breaks its format.
    #[error("the file is not well-formed gzip")]
    Gzip,
    /// A field of the header that breaks a rule.
    #[error("the header's {field} is {value}, {rule}")]
    Field {
        /// The field, as the specification calls it.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A type of voxels that is not read.
    #[error("the voxels are of type {0}, which cannot be read")]
    DataType(i16),
    /// More voxels than can be read.
    #[error("the header declares more than {VOLUME_BYTES} bytes of voxels")]
    TooLarge,
    /// Too much before the first voxel.
    #[error("the first voxel is declared beyond byte {VOLUME_HEADER_BYTES}")]
    TooFar,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(std::io::ErrorKind),
    /// Whoever waited does not want it any more.
    #[error("the work was interrupted")]
    Interrupted,
}
