//! The file: opened where it ends, cut where a crash has left a part of a record, appended to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Digest, NodeId};
use store::Clock;

use super::chain::{Chain, Fault, Flaw, Scrutiny};
use super::entry::{Action, Actor, Entry, Object};
use super::key::{self, Key, synchronise_parent};
use super::record::{self, Header};

/// Why nothing can be recorded; while it is so, nothing that has to be recorded is done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refuses.
    #[error("the audit log cannot be written")]
    Unwritable(#[from] io::Error),
    /// Another program holds the file.
    #[error("the audit log is locked by another program")]
    Locked,
    /// The log is not what the node wrote.
    #[error("the audit log is damaged")]
    Damaged(#[from] Fault),
    /// There are records, and no key with which they were signed.
    #[error("the audit log has no key: {} is missing", path.display())]
    KeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key cannot be used.
    #[error("the key of the audit log cannot be used")]
    Key(#[from] key::Error),
    /// The part of the node that writes the log has ended.
    #[error("the audit log is closed")]
    Closed,
}

/// A node's log, on its disk or about to be.
pub(super) struct Log {
    pub(super) file: PathBuf,
    pub(super) key: PathBuf,
    pub(super) node: NodeId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) open: Option<Open>,
    /// The number and hash of the last record that this process has seen in it.
    pub(super) known: Option<(u64, Digest)>,
}

/// A log whose end is known.
pub(super) struct Open {
    file: File,
    key: Key,
    length: u64,
    sequence: u64,
    head: Digest,
    /// What opening it has done, to be recorded first.
    first: Option<Entry>,
}

/// What an append must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The end of this process.
    Written,
    /// The loss of power.
    Synchronised,
}

impl Log {
    /// Appends records, all or none.
    pub(super) fn append(&mut self, entries: &[Entry], wanted: Wanted) -> Result<(), Error> {
        for _ in 0..OPENINGS {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open()?,
            };
            let lock = Lock::take(&open.file)?;
            if !self.is_current(&open)? {
                continue;
            }
            let appended = open.append(entries, wanted);
            drop(lock);
            if appended.is_ok() {
                self.known = Some((open.sequence, open.head));
            }
            self.open = Some(open);
            return appended;
        }
        Err(Error::Locked)
    }

    /// Whether the file at the path is still the one that is open, and has not grown or shrunk.
    fn is_current(&self, open: &Open) -> Result<bool, Error> {
        let here = open.file.metadata()?;
        Ok(match fs::metadata(&self.file) {
            Ok(there) => {
                here.len() == open.length && here.ino() == there.ino() && here.dev() == there.dev()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        })
    }

    /// Reads the log from its beginning to its end, or begins one.
    fn open(&mut self) -> Result<Open, Error> {
        let is_new = !self.file.exists();
        if is_new {
            self.refuse_to_begin_again()?;
            Key::create(&self.key)?;
        } else if !self.key.exists() {
            return Err(Error::KeyMissing { path: self.key.clone() });
        }
        let key = Key::load(&self.key)?;
        if is_new {
            self.begin(&key)?;
        }
        let file = OpenOptions::new().read(true).append(true).open(&self.file)?;
        let lock = Lock::take(&file)?;
        let mut open = self.read(&file, key)?;
        drop(lock);
        if open.sequence == 0 {
            let begin = Entry::new(self.clock.now(), Actor::of_process(), Action::LogBegin);
            open.first = Some(begin.node(&self.node).key(&open.key.public()));
        }
        Ok(open)
    }

    fn read(&self, file: &File, key: Key) -> Result<Open, Error> {
        let mut chain =
            Chain::open(BufReader::with_capacity(BUFFER, file.try_clone()?), Scrutiny::Links)?;
        let found = chain.header().key;
        if found != key.public() {
            return Err(Fault {
                record: 0,
                offset: 0,
                flaw: Flaw::OtherKey { found: Box::new(found) },
            }
            .into());
        }
        let mut is_known = self.known.is_none_or(|(sequence, _)| sequence == 0);
        let torn = loop {
            match chain.next() {
                Ok(Some(record)) => {
                    is_known |= self.known == Some((record.sequence, record.hash));
                }
                Ok(None) => break false,
                Err(Fault { flaw: Flaw::Torn, .. }) => break true,
                Err(fault) => return Err(fault.into()),
            }
        };
        chain.check_last_signature()?;
        if let Some((sequence, head)) = self.known.filter(|_| !is_known) {
            let flaw = Flaw::Headless { head };
            return Err(Fault { record: sequence, offset: chain.offset(), flaw }.into());
        }
        let length = chain.offset();
        let mut first = None;
        if torn {
            let cut = file.metadata()?.len() - length;
            file.set_len(length)?;
            file.sync_all()?;
            tracing::warn!(bytes = cut, "the audit log's last record was torn, and is cut off");
            let entry = Entry::new(self.clock.now(), Actor::Node, Action::LogCut);
            first = Some(entry.number(Object::Bytes, cut));
        }
        let (sequence, head) = (chain.sequence(), chain.head());
        Ok(Open { file: file.try_clone()?, key, length, sequence, head, first })
    }

    /// A log that was there a moment ago does not begin anew.
    fn refuse_to_begin_again(&self) -> Result<(), Error> {
        let Some((record, head)) = self.known else { return Ok(()) };
        Err(Fault { record, offset: 0, flaw: Flaw::Headless { head } }.into())
    }

    /// Writes what a log begins with, whole or not at all.
    fn begin(&self, key: &Key) -> Result<(), Error> {
        let header = Header { node: self.node.clone(), key: key.public() };
        let temporary = self.file.with_extension("temporary");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&header.encode())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.file)?;
        Ok(synchronise_parent(&self.file)?)
    }
}

impl Open {
    fn append(&mut self, entries: &[Entry], wanted: Wanted) -> Result<(), Error> {
        let (mut sequence, mut head) = (self.sequence, self.head);
        let mut bytes = Vec::new();
        for entry in self.first.iter().chain(entries) {
            sequence += 1;
            let record = record::encode(entry, sequence, &head, &self.key);
            head = record::hash(&record);
            bytes.extend_from_slice(&record);
        }
        let written = self.file.write_all(&bytes).and_then(|()| match wanted {
            Wanted::Written => Ok(()),
            Wanted::Synchronised => self.file.sync_data(),
        });
        if let Err(error) = written {
            // What was not acknowledged was not recorded; where this fails, too, the next opening cuts it.
            drop(self.file.set_len(self.length));
            return Err(error.into());
        }
        self.first = None;
        self.length += bytes.len() as u64;
        (self.sequence, self.head) = (sequence, head);
        Ok(())
    }
}

/// Holds the file against other writers, and against readers who want a whole end.
struct Lock(File);

impl Lock {
    fn take(file: &File) -> Result<Self, Error> {
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file.try_clone()?)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Err(Error::Locked)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Both handles are one open file to the lock, so closing this one would not release it.
        drop(self.0.unlock());
    }
}

/// How often a log is opened that others write to in between.
const OPENINGS: u32 = 5;
/// How often a file is tried that somebody holds: a reader holds it for microseconds.
const TRIES: u32 = 100;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(2);
const BUFFER: usize = 64 << 10;
