//! What can go wrong with a parameters file.

use std::{io, path::PathBuf};

use crate::{Dtype, header, schema};

/// Says why parameters could not be read, written or accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file's head is malformed or breaks a limit.
    #[error(transparent)]
    Header(#[from] header::Error),
    /// A list of tensors is not a schema.
    #[error(transparent)]
    Schema(#[from] schema::Error),
    /// Two files that are compared have different tensors.
    #[error("the two files have different tensors")]
    OtherTensors,
    /// There is no tensor of this name.
    #[error("there is no tensor {name:?}")]
    UnknownTensor {
        /// The name that was asked for.
        name: String,
    },
    /// Bytes beyond the end of a tensor were asked for or offered.
    #[error("tensor {name:?} has {bytes} bytes, bytes up to {end} were asked for")]
    OutOfRange {
        /// The tensor's name.
        name: String,
        /// Its length.
        bytes: u64,
        /// The end of the range.
        end: u64,
    },
    /// The values do not fill the shape.
    #[error("{values} values of {dtype} do not fill the shape {shape:?}")]
    WrongValueCount {
        /// How many values there are.
        values: usize,
        /// Their type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Floats were asked for, the tensor holds something else.
    #[error("a tensor of {dtype} does not give f32 values exactly")]
    NotFloat {
        /// What it holds.
        dtype: Dtype,
    },
    /// A value is infinite, not a number, or neither true nor false.
    #[error("element {index} of tensor {name:?} is not a finite value")]
    NotFinite {
        /// The tensor's name.
        name: String,
        /// The first such element.
        index: usize,
    },
    /// Not as many bytes were written as the schema announces.
    #[error("{written} data bytes were written, the schema needs {needed}")]
    WrongDataLength {
        /// How many were written.
        written: u64,
        /// How many are needed.
        needed: u64,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
