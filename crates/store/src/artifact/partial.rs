//! A file that is still arriving.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::str::FromStr;
use std::sync::Arc;

use protocol::{ArtifactReference, Digest, Digester};

use super::index::Hashed;
use super::{ArtifactStore, BUFFER, Error, Inner};
use crate::whole_file::Durability;
use crate::write_back::WriteBack;

/// Names a partial file: who brings it, and the length and digest it will have.
///
/// The name holds all three, so that it still means the same after a restart. Who brings it is
/// hashed: a caller cannot read another's name from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartialId {
    owner: String,
    size: u64,
    digest: Digest,
}

/// A text is not the name of a partial file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a partial file's name is 16 hexadecimal digits, a length and 64 hexadecimal digits")]
pub struct NotPartialId;

/// A partial file, held by one holder at a time.
///
/// Dropping it keeps the bytes for whoever continues; [`Partial::discard`] does not.
#[derive(Debug)]
pub struct Partial {
    inner: Arc<Inner>,
    id: PartialId,
    file: File,
    digester: Digester,
    offset: u64,
    write_back: Option<WriteBack>,
    fate: Fate,
}

impl PartialId {
    /// Names the file that `owner` brings.
    pub fn new(owner: &str, reference: &ArtifactReference) -> Self {
        let owner = owner_digits(owner);
        Self { owner, size: reference.size, digest: reference.digest }
    }

    /// Says whether `owner` is who brings the file.
    pub fn belongs_to(&self, owner: &str) -> bool {
        self.owner == owner_digits(owner)
    }

    /// Returns the digest that the whole file will have.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the length that the whole file will have.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl fmt::Display for PartialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.owner, self.size, self.digest.hexadecimal())
    }
}

impl FromStr for PartialId {
    type Err = NotPartialId;

    fn from_str(text: &str) -> Result<Self, NotPartialId> {
        let mut parts = text.splitn(3, '-');
        let (Some(owner), Some(size), Some(digits)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NotPartialId);
        };
        let size = size.parse().map_err(|_| NotPartialId)?;
        let digest = format!("sha256:{digits}").parse().map_err(|_| NotPartialId)?;
        let id = Self { owner: owner.to_owned(), size, digest };
        let is_hexadecimal = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_owner = owner.len() == OWNER_DIGITS && owner.bytes().all(is_hexadecimal);
        // One spelling only: "+5" and "05" parse as lengths, too.
        if is_owner && id.to_string() == text { Ok(id) } else { Err(NotPartialId) }
    }
}

impl Partial {
    pub(super) fn open(inner: &Arc<Inner>, id: PartialId, create: bool) -> Result<Self, Error> {
        if !inner.index().hold(&id) {
            return Err(Error::Busy { id });
        }
        match open_hashed(inner, &id, create) {
            Ok((file, Hashed { digester, offset })) => {
                let inner = Arc::clone(inner);
                let write_back = None;
                Ok(Self { inner, id, file, digester, offset, write_back, fate: Fate::Kept })
            }
            Err(error) => {
                inner.index().release(&id, None);
                Err(error)
            }
        }
    }

    /// Returns the file's name.
    pub fn id(&self) -> &PartialId {
        &self.id
    }

    /// Returns how many bytes have arrived.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how many bytes are missing.
    pub fn missing(&self) -> u64 {
        self.id.size - self.offset
    }

    /// Lets the disk write while bytes still arrive, so that a commit that must survive a loss of
    /// power waits for the last of them only.
    #[must_use]
    pub fn with_early_write_back(mut self) -> Self {
        self.write_back = Some(WriteBack::from(self.offset));
        self
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Returns [`Error::TooLong`] for more than was declared and [`Error::DiskFull`]; the bytes
    /// that arrived before stay.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let count = bytes.len() as u64;
        if count > self.missing() {
            return Err(Error::TooLong { digest: self.id.digest, size: self.id.size });
        }
        if let Err(error) = self.file.write_all_at(bytes, self.offset) {
            let missing = self.missing();
            // What a failed write left beyond the offset must not count after a restart.
            drop(self.file.set_len(self.offset));
            return Err(self.inner.io(error, missing));
        }
        self.digester.update(bytes);
        self.offset += count;
        if let Some(write_back) = &mut self.write_back {
            write_back.follow(&self.file, self.offset);
        }
        Ok(())
    }

    /// Forgets the bytes that have arrived.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] when the file cannot be shortened.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(Error::Io)?;
        self.digester = Digester::new();
        self.offset = 0;
        self.write_back = self.write_back.take().map(|_| WriteBack::from(0));
        Ok(())
    }

    /// Puts the file into the store, whole and checked.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Incomplete`], after which it may be continued, and
    /// [`Error::DigestMismatch`], after which its bytes are gone.
    pub fn commit(mut self, durability: Durability) -> Result<(), Error> {
        let PartialId { digest, size, .. } = self.id;
        if self.offset < size {
            return Err(Error::Incomplete { digest, offset: self.offset, size });
        }
        let found = self.digester.clone().finish();
        if found != digest {
            self.fate = Fate::Discarded;
            return Err(Error::DigestMismatch { expected: digest, found });
        }
        let store = ArtifactStore { inner: Arc::clone(&self.inner) };
        if store.size(&digest).is_some() {
            // Another owner was quicker; one file under one name is enough.
            self.fate = Fate::Discarded;
            return store.make_durable(&digest, durability);
        }
        self.inner.make_room(size)?;
        let path = self.inner.partial_path(&self.id);
        let reference = ArtifactReference::new(digest, size);
        self.inner.place(&path, &self.file, &reference, durability)?;
        self.fate = Fate::Committed;
        Ok(())
    }

    /// Deletes the file.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] when it cannot be deleted.
    pub fn discard(mut self) -> Result<(), Error> {
        self.fate = Fate::Committed;
        fs::remove_file(self.inner.partial_path(&self.id)).map_err(Error::Io)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.fate == Fate::Discarded {
            // A file that stays is hashed and refused again by whoever continues it.
            drop(fs::remove_file(self.inner.partial_path(&self.id)));
        }
        let hashed = (self.fate == Fate::Kept)
            .then(|| Hashed { digester: self.digester.clone(), offset: self.offset });
        self.inner.index().release(&self.id, hashed);
    }
}

/// What becomes of the bytes when the holder lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Committed,
    Discarded,
}

fn open_hashed(inner: &Inner, id: &PartialId, create: bool) -> Result<(File, Hashed), Error> {
    let path = inner.partial_path(id);
    let mut options = OpenOptions::new();
    let mut file = match options.read(true).write(true).create(create).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NoPartial { id: id.clone() });
        }
        Err(error) => return Err(inner.io(error, id.size)),
    };
    let length = file.metadata().map_err(Error::Io)?.len();
    if let Some(hashed) = inner.index().hashed(id)
        && hashed.offset <= length
    {
        return Ok((file, hashed));
    }
    if length > id.size {
        file.set_len(0).map_err(Error::Io)?;
        return Ok((file, Hashed { digester: Digester::new(), offset: 0 }));
    }
    let hashed = rehash(&mut file, length).map_err(Error::Io)?;
    Ok((file, hashed))
}

fn rehash(file: &mut File, length: u64) -> io::Result<Hashed> {
    let mut file = file.take(length);
    let mut hashed = Hashed { digester: Digester::new(), offset: 0 };
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hashed),
            Ok(count) => {
                hashed.digester.update(&buffer[..count]);
                hashed.offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn owner_digits(owner: &str) -> String {
    Digest::of(owner.as_bytes()).hexadecimal()[..OWNER_DIGITS].to_owned()
}

/// Sixteen digits: two callers of one coordinator do not share them by chance.
const OWNER_DIGITS: usize = 16;
