//! The file: opened where it ends, cut where a crash has left a part of a record, appended to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Digest, NodeId};
use store::Clock;

use super::Head;
use super::chain::{Chain, Fault, Flaw, Scrutiny};
use super::entry::{Action, Actor, Entry, Object};
use super::key::{self, Key, PublicKey, synchronise_parent};
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
    /// The key is another than the one that signs the log.
    #[error("{} is another key than the one that signs the audit log, {expected}", path.display())]
    KeyOther {
        /// The key's file.
        path: PathBuf,
        /// The key that the log is signed with.
        expected: Box<PublicKey>,
    },
    /// A key that is to be replaced as a lost one is there.
    #[error("the key of the audit log is not lost: {} holds it", path.display())]
    KeyThere {
        /// The key's file.
        path: PathBuf,
    },
    /// A key that is to be replaced as a lost one is still in the memory of the process that has the log open.
    #[error("the key of the audit log is not lost: the running node has it in memory")]
    KeyInMemory,
    /// There is no log whose key could be replaced.
    #[error("the node has no audit log yet, and so no key of it was lost")]
    NoLog,
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
    /// The key that takes over, where it has not come to the other's place yet.
    pub(super) key_next: PathBuf,
    pub(super) node: NodeId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) open: Option<Open>,
    /// The number and hash of the last record that this process has seen in it.
    pub(super) known: Option<(u64, Digest)>,
}

/// A log whose end is known.
pub(super) struct Open {
    pub(super) file: File,
    pub(super) key: Key,
    length: u64,
    pub(super) sequence: u64,
    pub(super) head: Digest,
    /// What opening it has done, to be recorded first.
    pub(super) first: Option<Entry>,
}

/// A log that was read to its end.
pub(super) struct Walked {
    /// The key that signs the next record.
    pub(super) key: PublicKey,
    length: u64,
    pub(super) sequence: u64,
    pub(super) head: Digest,
    /// What was cut off at its end, to be recorded.
    pub(super) cut: Option<Entry>,
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
        self.with_open(|open, _| open.append(entries, wanted))
    }

    /// How far the log has come, as this process has left it.
    pub(super) fn head(&self) -> Option<Head> {
        let open = self.open.as_ref()?;
        Some(Head { records: open.sequence, hash: open.head, key: open.key.public() })
    }

    /// Opens the log where it is not open, and works on it while no other process does.
    pub(super) fn with_open<T>(
        &mut self,
        work: impl FnOnce(&mut Open, &Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 0..OPENINGS {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open()?,
            };
            let lock = Lock::take(&open.file)?;
            if !self.is_current(&open)? {
                continue;
            }
            let done = work(&mut open, self);
            drop(lock);
            if done.is_ok() {
                self.known = Some((open.sequence, open.head));
            }
            self.open = Some(open);
            return done;
        }
        Err(Error::Locked)
    }

    /// Whether the file at the path is still the one that is open, and has not grown or shrunk.
    pub(super) fn is_current(&self, open: &Open) -> Result<bool, Error> {
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
        if !self.file.exists() {
            self.refuse_to_begin_again()?;
            Key::create(&self.key)?;
            self.begin(&Key::load(&self.key)?)?;
        }
        let file = OpenOptions::new().read(true).append(true).open(&self.file)?;
        let lock = Lock::take(&file)?;
        let walked = self.walk(&file)?;
        let key = self.secret(&walked.key)?;
        drop(lock);
        let mut open = Open::at(file, walked, key);
        if open.sequence == 0 {
            let begin = Entry::new(self.clock.now(), Actor::of_process(), Action::LogBegin);
            open.first = Some(begin.node(&self.node).key(&open.key.public()));
        }
        Ok(open)
    }

    /// The secret key that a log is signed with now: the one in its place, or the one that is about to come there.
    fn secret(&self, expected: &PublicKey) -> Result<Key, Error> {
        let known = match Key::load(&self.key) {
            Ok(key) if key.public() == *expected => return Ok(key),
            other => other,
        };
        if let Ok(next) = Key::load(&self.key_next)
            && next.public() == *expected
        {
            return Ok(next);
        }
        let path = self.key.clone();
        Err(match known {
            Ok(_) => Error::KeyOther { path, expected: Box::new(*expected) },
            Err(error) if error.is_missing() => Error::KeyMissing { path },
            Err(error) => error.into(),
        })
    }

    /// Reads a log to its end, and takes away what a crash has left of a record there.
    pub(super) fn walk(&self, file: &File) -> Result<Walked, Error> {
        let mut chain =
            Chain::open(BufReader::with_capacity(BUFFER, file.try_clone()?), Scrutiny::Links)?;
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
        let mut cut = None;
        if torn {
            let bytes = file.metadata()?.len() - length;
            file.set_len(length)?;
            file.sync_all()?;
            tracing::warn!(bytes, "the audit log's last record was torn, and is cut off");
            let entry = Entry::new(self.clock.now(), Actor::Node, Action::LogCut);
            cut = Some(entry.number(Object::Bytes, bytes));
        }
        let (sequence, head, key) = (chain.sequence(), chain.head(), chain.key());
        Ok(Walked { key, length, sequence, head, cut })
    }

    /// A log that was there a moment ago does not begin anew.
    pub(super) fn refuse_to_begin_again(&self) -> Result<(), Error> {
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
    pub(super) fn at(file: File, walked: Walked, key: Key) -> Self {
        let Walked { length, sequence, head, cut, .. } = walked;
        Self { file, key, length, sequence, head, first: cut }
    }

    pub(super) fn append(&mut self, entries: &[Entry], wanted: Wanted) -> Result<(), Error> {
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
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn take(file: &File) -> Result<Self, Error> {
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
