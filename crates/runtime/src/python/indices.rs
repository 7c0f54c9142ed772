//! Indices of rows on their way to a worker: sealed memory, so that their number is bounded by no frame.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Code;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::Failure;

/// Memory that holds indices, 64 bits each, little-endian, and that nobody can change.
pub(super) struct Indices(OwnedFd);

impl Indices {
    /// Writes indices into new memory.
    pub(super) fn new(indices: &[usize]) -> Result<Self, Failure> {
        write(indices).map(Self).map_err(|error| {
            let local = format!("no memory for {} indices: {error}", indices.len());
            Failure::new(Code::NodeInternal, local)
        })
    }

    /// The descriptor that goes to the worker.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn write(indices: &[usize]) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = BufWriter::new(File::from(memfd_create("wardround-indices", flags)?));
    for index in indices {
        file.write_all(&(*index as u64).to_le_bytes())?;
    }
    let memory = OwnedFd::from(file.into_inner().map_err(std::io::IntoInnerError::into_error)?);
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&memory, seals)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn more_indices_than_a_frame_holds_are_read_back() {
        let indices: Vec<usize> = (0..3_000_000).rev().collect();
        let file = File::from(Indices::new(&indices).unwrap().0);
        assert_eq!(file.metadata().unwrap().len(), 24_000_000);
        let mut first = [0; 8];
        file.read_exact_at(&mut first, 8).unwrap();
        assert_eq!(u64::from_le_bytes(first), 2_999_998);
        assert!(file.write_all_at(&first, 0).is_err(), "it is sealed");
    }
}
