//! A file that is hashed once and then read in pieces, of which each must be what was hashed.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use protocol::{Digest, Digester};

use crate::{Error, Interrupt};

/// A file as it was when it was hashed.
///
/// A Parquet file is read in pieces, here and there, after it was hashed from its start to its end. Another program
/// may write to it meanwhile, so what is read is compared with what was hashed, block by block.
#[derive(Clone)]
pub(crate) struct Unchanging(Arc<Hashed>);

struct Hashed {
    file: File,
    size: u64,
    blocks: Vec<u64>,
    has_changed: AtomicBool,
}

impl Unchanging {
    /// Hashes a file.
    pub(crate) fn of(file: &File, interrupt: &mut Interrupt<'_>) -> Result<(Digest, Self), Error> {
        let file = file.try_clone().map_err(Error::Read)?;
        let (mut digester, mut blocks, mut size) = (Digester::new(), Vec::new(), 0);
        let mut buffer = vec![0; BLOCK];
        loop {
            interrupt.look()?;
            let length = fill(&file, &mut buffer, size).map_err(Error::Read)?;
            if length > 0 {
                digester.update(&buffer[..length]);
                blocks.push(hash(&buffer[..length]));
                size += length as u64;
            }
            if length < BLOCK {
                break;
            }
        }
        let has_changed = AtomicBool::new(false);
        Ok((digester.finish(), Self(Arc::new(Hashed { file, size, blocks, has_changed }))))
    }

    /// Whether something was read that was not hashed; then nothing that was read counts.
    pub(crate) fn has_changed(&self) -> bool {
        self.0.has_changed.load(Ordering::Relaxed)
    }
}

impl Hashed {
    /// Reads some blocks; the last one of the file may be shorter than the others.
    fn read(&self, first: usize, count: usize) -> io::Result<Vec<u8>> {
        let start = first as u64 * BLOCK as u64;
        let length = (self.size.saturating_sub(start)).min(count as u64 * BLOCK as u64);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let is_whole = fill(&self.file, &mut bytes, start)? == length;
        let hashes = self.blocks[first..].iter();
        if is_whole && bytes.chunks(BLOCK).zip(hashes).all(|(block, known)| hash(block) == *known) {
            return Ok(bytes);
        }
        self.has_changed.store(true, Ordering::Relaxed);
        Err(io::Error::other(Error::Changed))
    }
}

impl Length for Unchanging {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for Unchanging {
    type T = Blocks;

    fn get_read(&self, start: u64) -> Result<Blocks, ParquetError> {
        Ok(Blocks { file: Arc::clone(&self.0), position: start, block: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.0.size);
        let Some(end) = end else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        let (first, skipped) = place(start)?;
        let count = place(end.div_ceil(BLOCK as u64) * BLOCK as u64)?.0 - first;
        let bytes = Bytes::from(self.0.read(first, count)?);
        Ok(bytes.slice(skipped..skipped + length))
    }
}

/// Reads on from somewhere in the file.
pub(crate) struct Blocks {
    file: Arc<Hashed>,
    position: u64,
    /// The block that was read last, by its number.
    block: Option<(usize, Vec<u8>)>,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.file.size || buffer.is_empty() {
            return Ok(0);
        }
        let (number, skipped) = place(self.position)?;
        if self.block.as_ref().is_none_or(|(known, _)| *known != number) {
            self.block = Some((number, self.file.read(number, 1)?));
        }
        let block = self.block.as_ref().map_or(&[][..], |(_, block)| &block[skipped..]);
        let length = block.len().min(buffer.len());
        buffer[..length].copy_from_slice(&block[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

/// The number of the block at a position, and the place in it.
fn place(position: u64) -> io::Result<(usize, usize)> {
    let whole = |number: u64| usize::try_from(number).map_err(io::Error::other);
    Ok((whole(position / BLOCK as u64)?, whole(position % BLOCK as u64)?))
}

/// Reads until the buffer is full or the file ends; gives how much was read.
fn fill(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], start + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Notices what another program writes; it need not withstand somebody who seeks equal hashes.
fn hash(block: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(block);
    hasher.finish()
}

/// How much is hashed and read at once.
const BLOCK: usize = 16 << 10;
