//! Memory-mapped parameter files.
//!
//! A map gives the bytes of a large file without copying them, which positional reads cannot. The
//! price: if another process cuts the file short, touching the lost pages kills this one with
//! SIGBUS, and if it changes the file, the values change under the reader. So map only files in a
//! folder that nobody else writes to and in which files are replaced by rename, never rewritten;
//! everything else goes through [`crate::Reader`].

use std::{fs::File, path::Path};

use memmap2::Mmap;

use crate::{
    Error,
    header::{self, Header, Limits, PREFIX_BYTES},
    schema::Schema,
};

/// Gives the bytes of a file's tensors without reading them first.
#[derive(Debug)]
pub struct Mapped {
    map: Mmap,
    header: Header,
}

impl Mapped {
    /// Maps a file and checks its head under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// If the file cannot be mapped, or its head is malformed or breaks a limit.
    #[expect(unsafe_code, reason = "no safe interface gives a file's bytes without a copy")]
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        // SAFETY: the module's rule: files that are mapped are never cut short or written to
        // while they have a name, only replaced by rename, so the bytes behind the map stay as
        // they are. The map is private to this type and read-only.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| Error::io("map", path, source))?;
        let limits = Limits::default();
        let file_bytes = map.len() as u64;
        let truncated = header::Error::Truncated { needed: PREFIX_BYTES, bytes: file_bytes };
        let (prefix, rest) = map.split_first_chunk().ok_or(truncated)?;
        let json_bytes = Header::json_bytes(*prefix, file_bytes, &limits)?;
        let header = Header::parse(&rest[..json_bytes], file_bytes, &limits)?;
        Ok(Self { map, header })
    }

    /// Returns the checked head of the file.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what the file holds.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        self.header.schema()
    }

    /// Returns the bytes of the tensor of this name.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let index = self.schema().position(name)?;
        let begin = usize::try_from(self.header.position(index)).ok()?;
        let length = usize::try_from(self.schema().bytes(index)).ok()?;
        self.map.get(begin..begin + length)
    }
}
