//! Files named by their content.
//!
//! A file is in the store or it is not: bytes arrive in a partial file, size and digest are checked
//! while they do, and a rename puts the whole file in its place. All calls block on the disk; an
//! asynchronous caller makes them where blocking is allowed.

mod at_once;
mod error;
mod index;
mod partial;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::{ArtifactReference, Digest, Digester, Timestamp};

pub use self::error::Error;
use self::index::{Entry, Index};
pub use self::partial::{Partial, PartialId};
use crate::clock::Clock;
use crate::whole_file::{Durability, is_disk_full, synchronise_folder};

/// A folder of artifacts; clones share it.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use protocol::ArtifactReference;
/// use protocol::Digest;
/// use store::artifact::{ArtifactStore, Settings};
/// use store::{Durability, SystemClock};
///
/// let folder = tempfile::tempdir()?;
/// let store = ArtifactStore::open(folder.path(), Settings::default(), Arc::new(SystemClock))?;
/// let bytes = b"parameters";
/// let reference = ArtifactReference::new(Digest::of(bytes), bytes.len() as u64);
/// store.ingest(&mut &bytes[..], &reference, Durability::PowerLoss)?;
/// assert_eq!(std::fs::read(store.open_verified(&reference.digest)?.path)?, bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArtifactStore {
    inner: Arc<Inner>,
}

/// What a store keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most bytes of whole files; the least recently used unpinned ones make room. `None`: no bound,
    /// and nothing is ever removed but by [`ArtifactStore::delete`].
    pub capacity: Option<u64>,
    /// Bytes of the disk that artifacts leave free, so that a journal beside them can still grow.
    pub reserve: u64,
    /// How long a partial file that nobody continues is kept.
    pub partial_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { capacity: None, reserve: 64 << 20, partial_lifetime: day }
    }
}

/// A file of the store, open and known to have the digest it is named by.
#[derive(Debug)]
pub struct Artifact {
    /// The digest.
    pub digest: Digest,
    /// The length in bytes.
    pub size: u64,
    /// Where it lies, until it is deleted or evicted; the open file outlives both.
    pub path: PathBuf,
    /// The file, open for reading.
    pub file: File,
}

/// A whole file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Its name and length.
    pub reference: ArtifactReference,
    /// When it was written.
    pub written_at: Timestamp,
    /// Whether somebody needs it.
    pub is_pinned: bool,
}

/// What [`ArtifactStore::begin`] finds.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is returned")]
pub enum Begun {
    /// The whole file is there already.
    Complete,
    /// Bytes are missing; [`Partial::offset`] says from where on.
    Partial(Partial),
}

/// Keeps an artifact from being evicted or deleted, whether it is there yet or not.
#[derive(Debug)]
pub struct Pin {
    inner: Arc<Inner>,
    digest: Digest,
}

impl ArtifactStore {
    /// Opens the store in `folder`, creating the folder if need be.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] for a folder that cannot be read or written.
    pub fn open(folder: &Path, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let folder = folder.to_owned();
        fs::create_dir_all(folder.join(WHOLE)).map_err(Error::Io)?;
        fs::create_dir_all(folder.join(PARTIAL)).map_err(Error::Io)?;
        index::flatten(&folder.join(WHOLE)).map_err(Error::Io)?;
        synchronise_folder(&folder).map_err(Error::Io)?;
        remove_second_names(&folder.join(PARTIAL)).map_err(Error::Io)?;
        let index = index::scan(&folder.join(WHOLE)).map_err(Error::Io)?;
        let inner =
            Inner { folder, settings, clock, index: Mutex::new(index), promoting: Mutex::new(()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the length of an artifact that is here.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.inner.index().entry(digest).map(|entry| entry.size)
    }

    /// Lists what is here, in no particular order.
    pub fn list(&self) -> Vec<ArtifactReference> {
        self.inner.index().list()
    }

    /// Lists what is here with its age, in no particular order; a file that goes meanwhile is left out.
    pub fn holdings(&self) -> Vec<Holding> {
        let dated = |reference: ArtifactReference| {
            let (durability, is_pinned) = {
                let index = self.inner.index();
                (index.entry(&reference.digest)?.durability, index.is_pinned(&reference.digest))
            };
            let path = self.inner.path(&reference.digest, durability);
            let written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
            Some(Holding { reference, written_at: timestamp(written), is_pinned })
        };
        self.list().into_iter().filter_map(dated).collect()
    }

    /// Returns how many bytes all whole files have together.
    pub fn total_size(&self) -> u64 {
        self.inner.index().total()
    }

    /// Opens an artifact; one that a loss of power may have damaged is hashed first, once.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Absent`] or [`Error::Damaged`].
    pub fn open_verified(&self, digest: &Digest) -> Result<Artifact, Error> {
        let (entry, path, mut file) = self.inner.open_listed(digest)?;
        if !entry.verified {
            let found = hash(&mut file).map_err(Error::Io)?;
            if found.digest != *digest {
                self.inner.index().remove(digest);
                fs::remove_file(&path).map_err(Error::Io)?;
                return Err(Error::Damaged { digest: *digest });
            }
            self.inner.index().set_verified(digest);
        }
        Ok(Artifact { digest: *digest, size: entry.size, path, file })
    }

    /// Begins or continues a file that `owner` brings. Owners do not share partial files.
    ///
    /// A file that is here already is made as durable as asked.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NoRoom`] and [`Error::DiskFull`] before a byte is taken, [`Error::Busy`]
    /// while the same partial file is held elsewhere.
    pub fn begin(
        &self,
        owner: &str,
        reference: &ArtifactReference,
        durability: Durability,
    ) -> Result<Begun, Error> {
        let digest = reference.digest;
        if let Some(found) = self.size(&digest) {
            if found != reference.size {
                return Err(Error::SizeMismatch { digest, declared: reference.size, found });
            }
            self.make_durable(&digest, durability)?;
            return Ok(Begun::Complete);
        }
        self.begin_whole(owner, reference).map(Begun::Partial)
    }

    /// Begins or continues a file of which `owner` must bring every byte, even where it is here:
    /// so that who only knows its name neither learns that nor gets further.
    ///
    /// # Errors
    ///
    /// As [`ArtifactStore::begin`].
    pub fn begin_whole(
        &self,
        owner: &str,
        reference: &ArtifactReference,
    ) -> Result<Partial, Error> {
        let id = PartialId::new(owner, reference);
        let partial = Partial::open(&self.inner, id, true)?;
        let room = self.inner.make_room(reference.size);
        let free = || self.inner.require_free(reference.size - partial.offset());
        match room.and_then(|()| free()) {
            Ok(()) => Ok(partial),
            // A name without a byte would count as an upload that was begun.
            Err(error) if partial.offset() == 0 => {
                partial.discard()?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Lists the partial files that `owner` has begun and not ended.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] for a folder that cannot be read.
    pub fn partials_of(&self, owner: &str) -> Result<Vec<PartialId>, Error> {
        let mut found = Vec::new();
        for listed in fs::read_dir(self.inner.folder.join(PARTIAL)).map_err(Error::Io)? {
            let name = listed.map_err(Error::Io)?.file_name();
            let id = name.to_string_lossy().parse::<PartialId>().ok();
            found.extend(id.filter(|id| id.belongs_to(owner)));
        }
        Ok(found)
    }

    /// Continues a partial file that was begun earlier, in this process or one before it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NoPartial`] or [`Error::Busy`].
    pub fn resume(&self, id: &PartialId) -> Result<Partial, Error> {
        Partial::open(&self.inner, id.clone(), false)
    }

    /// Takes a whole file from a reader, checking size and digest while it is read.
    ///
    /// # Errors
    ///
    /// As [`ArtifactStore::begin`] and [`Partial::commit`]; nothing of a refused file stays.
    pub fn ingest(
        &self,
        reader: &mut dyn Read,
        reference: &ArtifactReference,
        durability: Durability,
    ) -> Result<(), Error> {
        let Begun::Partial(mut partial) = self.begin("ingest", reference, durability)? else {
            return Ok(());
        };
        if durability == Durability::PowerLoss {
            partial = partial.with_early_write_back();
        }
        partial.restart()?;
        match copy(reader, &mut partial) {
            Ok(()) => partial.commit(durability),
            Err(error) => {
                partial.discard()?;
                Err(error)
            }
        }
    }

    /// Returns a name that nobody else has, on the store's own disk, for a file that is to be adopted.
    ///
    /// A file that a crash leaves under it goes with the next start.
    pub fn fresh_path(&self) -> PathBuf {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        self.inner.folder.join(PARTIAL).join(format!("new.{count}"))
    }

    /// Takes the file at `path` into the store by a rename, or by a copy from another disk. The
    /// file is gone from `path` afterwards.
    ///
    /// The bytes are not read again: `reference` is what this process found while it wrote the
    /// file, and nobody else may write to it. What comes from outside goes through
    /// [`ArtifactStore::begin`] or [`ArtifactStore::ingest`], which check it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::SizeMismatch`], [`Error::NoRoom`], [`Error::DiskFull`] or [`Error::Io`];
    /// the file then stays.
    pub fn adopt(
        &self,
        path: &Path,
        reference: &ArtifactReference,
        durability: Durability,
    ) -> Result<(), Error> {
        let file = File::open(path).map_err(Error::Io)?;
        let ArtifactReference { digest, size: declared, .. } = *reference;
        let found = file.metadata().map_err(Error::Io)?.len();
        if found != declared {
            return Err(Error::SizeMismatch { digest, declared, found });
        }
        if self.size(&digest).is_some() {
            self.make_durable(&digest, durability)?;
            return fs::remove_file(path).map_err(Error::Io);
        }
        self.inner.make_room(declared)?;
        match self.inner.place(path, &file, reference, durability) {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut again = File::open(path).map_err(Error::Io)?;
                self.ingest(&mut again, reference, durability)?;
                fs::remove_file(path).map_err(Error::Io)
            }
            placed => placed,
        }
    }

    /// Makes an artifact that is here at least as durable as asked.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Absent`], or [`Error::Damaged`] for one that is not what it should be.
    pub fn make_durable(&self, digest: &Digest, durability: Durability) -> Result<(), Error> {
        // One at a time: two second names of one file would not replace each other.
        let _promoting = self.inner.promoting.lock().unwrap_or_else(PoisonError::into_inner);
        let artifact = self.open_verified(digest)?;
        let durable = self.inner.path(digest, Durability::PowerLoss);
        if durability == Durability::Process || artifact.path == durable {
            return Ok(());
        }
        // A second name first, so that whoever opens the file meanwhile finds one of the two.
        let second = self.inner.second_name(digest);
        fs::hard_link(&artifact.path, &second).map_err(|error| self.inner.io(error, 0))?;
        let reference = ArtifactReference::new(*digest, artifact.size);
        self.inner.place(&second, &artifact.file, &reference, durability)?;
        match fs::remove_file(&artifact.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::Io(error)),
            _ => Ok(()),
        }
    }

    /// Keeps an artifact, there or still to come, from eviction and deletion while the pin lives.
    pub fn pin(&self, digest: &Digest) -> Pin {
        self.inner.index().pin(digest);
        Pin { inner: Arc::clone(&self.inner), digest: *digest }
    }

    /// Deletes an artifact; one that is not here is deleted already.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Pinned`] while somebody holds a pin.
    pub fn delete(&self, digest: &Digest) -> Result<(), Error> {
        let mut index = self.inner.index();
        if index.is_pinned(digest) {
            return Err(Error::Pinned { digest: *digest });
        }
        match index.remove(digest) {
            Some(entry) => self.inner.unlink(digest, &entry).map_err(Error::Io),
            None => Ok(()),
        }
    }

    /// Deletes partial files that nobody has appended to for [`Settings::partial_lifetime`] and
    /// returns how many they were.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] for a folder that cannot be read.
    pub fn expire_partials(&self) -> Result<usize, Error> {
        let now = self.inner.clock.now();
        let mut expired = 0;
        for listed in fs::read_dir(self.inner.folder.join(PARTIAL)).map_err(Error::Io)? {
            let listed = listed.map_err(Error::Io)?;
            let Ok(id) = listed.file_name().to_string_lossy().parse::<PartialId>() else {
                continue;
            };
            let touched = listed.metadata().and_then(|metadata| metadata.modified());
            let age = timestamp(touched.map_err(Error::Io)?).until(now);
            if age > self.inner.settings.partial_lifetime && self.inner.index().forget(&id) {
                fs::remove_file(listed.path()).map_err(Error::Io)?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// Returns the bytes that may still be written to the disk, the reserve already taken off.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] where the file system does not say.
    pub fn free_space(&self) -> Result<u64, Error> {
        self.inner.free_space()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.inner.index().unpin(&self.digest);
    }
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    settings: Settings,
    clock: Arc<dyn Clock>,
    index: Mutex<Index>,
    promoting: Mutex<()>,
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        // Every change of the index is one call that cannot panic half-way.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &Digest, durability: Durability) -> PathBuf {
        let digits = digest.hexadecimal();
        let name = match durability {
            Durability::PowerLoss => digits,
            Durability::Process => format!("{digits}{UNSYNCHRONISED}"),
        };
        self.folder.join(WHOLE).join(name)
    }

    fn partial_path(&self, id: &PartialId) -> PathBuf {
        self.folder.join(PARTIAL).join(id.to_string())
    }

    fn second_name(&self, digest: &Digest) -> PathBuf {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        self.folder.join(PARTIAL).join(format!("{}.{count}", digest.hexadecimal()))
    }

    fn open_listed(&self, digest: &Digest) -> Result<(Entry, PathBuf, File), Error> {
        loop {
            let absent = || Error::Absent { digest: *digest };
            let entry = self.index().touch(digest).ok_or_else(absent)?;
            let path = self.path(digest, entry.durability);
            match File::open(&path) {
                Ok(file) => return Ok((entry, path, file)),
                // Gone from under us, unless it has become durable meanwhile and moved.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.index().remove_if(digest, entry.durability);
                }
                Err(error) => return Err(Error::Io(error)),
            }
        }
    }

    /// Puts a file whose digest has just been checked in its place and into the index.
    fn place(
        &self,
        from: &Path,
        file: &File,
        reference: &ArtifactReference,
        durability: Durability,
    ) -> Result<(), Error> {
        let to = self.path(&reference.digest, durability);
        if durability == Durability::PowerLoss {
            file.sync_all().map_err(|error| self.io(error, reference.size))?;
        }
        fs::rename(from, &to).map_err(|error| self.io(error, 0))?;
        if durability == Durability::PowerLoss {
            synchronise_folder(&self.folder.join(WHOLE)).map_err(|error| self.io(error, 0))?;
        }
        self.index().insert(reference, durability);
        Ok(())
    }

    fn unlink(&self, digest: &Digest, entry: &Entry) -> io::Result<()> {
        match fs::remove_file(self.path(digest, entry.durability)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Evicts until `needed` more bytes fit under the store's bound.
    fn make_room(&self, needed: u64) -> Result<(), Error> {
        let Some(capacity) = self.settings.capacity else { return Ok(()) };
        let mut index = self.index();
        if !index.could_fit(needed, capacity) {
            return Err(Error::NoRoom { needed, capacity });
        }
        while index.total().saturating_add(needed) > capacity {
            let Some((digest, entry)) = index.evict() else {
                return Err(Error::NoRoom { needed, capacity });
            };
            self.unlink(&digest, &entry).map_err(Error::Io)?;
        }
        Ok(())
    }

    fn require_free(&self, needed: u64) -> Result<(), Error> {
        let free = self.free_space()?;
        if needed > free { Err(Error::DiskFull { needed, free }) } else { Ok(()) }
    }

    fn free_space(&self) -> Result<u64, Error> {
        let disk = rustix::fs::statvfs(&self.folder).map_err(|error| Error::Io(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(free.saturating_sub(self.settings.reserve))
    }

    fn io(&self, error: io::Error, needed: u64) -> Error {
        if is_disk_full(&error) {
            return Error::DiskFull { needed, free: self.free_space().unwrap_or(0) };
        }
        Error::Io(error)
    }
}

/// Removes what a crash left in the middle of making files durable.
fn remove_second_names(folder: &Path) -> io::Result<()> {
    for listed in fs::read_dir(folder)? {
        let listed = listed?;
        if listed.file_name().to_string_lossy().parse::<PartialId>().is_err() {
            fs::remove_file(listed.path())?;
        }
    }
    Ok(())
}

fn copy(reader: &mut dyn Read, partial: &mut Partial) -> Result<(), Error> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => partial.append(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
}

/// Hashes from the file's position to its end.
fn hash(file: &mut File) -> io::Result<ArtifactReference> {
    let mut digester = Digester::new();
    let mut size = 0;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                digester.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    io::Seek::rewind(file)?;
    Ok(ArtifactReference::new(digester.finish(), size))
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_milliseconds(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Folder of whole files, by the digits of their digests.
const WHOLE: &str = "sha256";

/// Folder of files that are still arriving.
const PARTIAL: &str = "partial";

/// Ends the name of a file that a loss of power may damage.
const UNSYNCHRONISED: &str = ".unsynchronised";

/// Large enough that a read costs nothing beside hashing what it brought.
const BUFFER: usize = 256 << 10;
