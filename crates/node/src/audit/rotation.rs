//! Another key for the log: drawn, recorded, and used from the next record on.
//!
//! The new key is on the disk before its record is, and the record decides: until it is there whole, the old key is in
//! force, and from then on the new one, wherever its file lies. What is left to do after it is done by [`super::place`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};

use protocol::Digest;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Fault, Flaw, Scrutiny};
use super::entry::Entry;
use super::key::{self, Key, PublicKey, synchronise_parent};
use super::log::{Error, Lock, Log, Open, Wanted};
use super::succession::{self, Handover};
use crate::folder::Folder;

/// What is asked for: who asks, why, and where it is to stand still.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    /// Actor, instant and action.
    pub(crate) entry: Entry,
    pub(crate) handover: Handover,
    /// The last record that a coordinator has signed.
    pub(crate) countersigned: Option<(u64, Digest)>,
    pub(crate) pause_at: Option<Step>,
}

/// A key that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) before: PublicKey,
    pub(crate) key: PublicKey,
    /// The record that says so.
    pub(crate) record: u64,
}

/// What lies behind when a key is replaced, for tests of what a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The new key is on the disk, and nothing says that it is to be used.
    Drawn,
    /// The log is signed with it from now on.
    Recorded,
    /// The grants are, too; the old key still has its place.
    Granted,
}

/// What an earlier replacement has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Nothing.
    Nothing,
    /// A key that never came into force.
    Leftover,
    /// A key that is in force and not in its place.
    Unfinished {
        /// The key before it.
        before: PublicKey,
    },
}

impl Log {
    /// Draws a key and records that it takes over.
    pub(super) fn replace(&mut self, replacement: &Replacement) -> Result<Replaced, Error> {
        match replacement.handover {
            Handover::Rotated => self.rotate(replacement),
            Handover::Lost => self.replace_lost(replacement),
        }
    }

    fn rotate(&mut self, replacement: &Replacement) -> Result<Replaced, Error> {
        self.with_open(|open, log| {
            // What opening has done comes first, so that the place of the record is known.
            open.append(&[], Wanted::Synchronised)?;
            let (before, sequence) = (open.key.public(), open.sequence + 1);
            let next = Key::draw(&log.key_next)?;
            Step::Drawn.stand_still(replacement.pause_at);
            let seal = succession::seal(&next, sequence, &open.head, &before);
            let entry = replacement.entry.clone().key(&next.public()).key_before(&before);
            open.append(&[entry.key_signature(&seal)], Wanted::Synchronised)?;
            let key = next.public();
            open.key = next;
            Ok(Replaced { before, key, record: sequence })
        })
    }

    fn replace_lost(&mut self, replacement: &Replacement) -> Result<Replaced, Error> {
        if let Some(open) = &self.open
            && self.is_current(open)?
        {
            return Err(Error::KeyInMemory);
        }
        self.open = None;
        if !self.file.exists() {
            self.refuse_to_begin_again()?;
            return Err(Error::NoLog);
        }
        let file = OpenOptions::new().read(true).append(true).open(&self.file)?;
        let lock = Lock::take(&file)?;
        let mut walked = self.walk(&file)?;
        let (before, cut) = (walked.key, walked.cut.take());
        match Key::load(&self.key) {
            Ok(key) if key.public() == before => {
                return Err(Error::KeyThere { path: self.key.clone() });
            }
            Err(error) if error.is_in_the_way() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        let next = Key::draw(&self.key_next)?;
        Step::Drawn.stand_still(replacement.pause_at);
        let (key, mut open) = (next.public(), Open::at(file, walked, next));
        let entry = replacement.entry.clone().key(&key).key_before(&before);
        open.append(&[entry.countersigned(replacement.countersigned)], Wanted::Synchronised)?;
        let record = open.sequence;
        // It cannot be signed before there is a key.
        open.first = cut;
        self.known = Some((open.sequence, open.head));
        drop(lock);
        self.open = Some(open);
        Ok(Replaced { before, key, record })
    }
}

impl Step {
    /// Stands still for ever where a test asks for it.
    pub(crate) fn stand_still(self, pause_at: Option<Self>) {
        if pause_at == Some(self) {
            tracing::warn!(step = ?self, "the replacement of the key stands still");
            loop {
                std::thread::park();
            }
        }
    }
}

/// Looks at what an earlier replacement has left in a folder that no other process replaces keys in.
pub(crate) fn pending(folder: &Folder) -> Result<Pending, Error> {
    if !folder.audit_key_next().exists() {
        return Ok(Pending::Nothing);
    }
    let file = match File::open(folder.audit_log()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Pending::Leftover),
        Err(error) => return Err(error.into()),
    };
    let mut chain = Chain::open(BufReader::with_capacity(BUFFER, file), Scrutiny::Links)?;
    let mut before = chain.key();
    loop {
        let known = chain.key();
        match chain.next() {
            Ok(Some(_)) if chain.succession().is_some() => before = known,
            Ok(Some(_)) => {}
            Ok(None) | Err(Fault { flaw: Flaw::Torn, .. }) => break,
            Err(fault) => return Err(fault.into()),
        }
    }
    chain.check_last_signature()?;
    if Key::load(&folder.audit_key()).is_ok_and(|key| key.public() == chain.key()) {
        return Ok(Pending::Leftover);
    }
    match Key::load(&folder.audit_key_next()) {
        Ok(next) if next.public() == chain.key() => Ok(Pending::Unfinished { before }),
        Err(error) if error.is_in_the_way() => Err(error.into()),
        Ok(_) | Err(_) => Ok(Pending::Leftover),
    }
}

/// The key that a folder's log is about to be signed with alone.
pub(crate) fn next_key(folder: &Folder) -> Result<Key, key::Error> {
    Key::load(&folder.audit_key_next())
}

/// Brings the key that is in force to its place, where the old one lay.
pub(crate) fn place(folder: &Folder) -> io::Result<()> {
    let place = folder.audit_key();
    fs::rename(folder.audit_key_next(), &place)?;
    synchronise_parent(&place)
}

/// Deletes a key that never came into force.
pub(crate) fn discard(folder: &Folder) -> io::Result<()> {
    let next = folder.audit_key_next();
    fs::remove_file(&next)?;
    synchronise_parent(&next)
}

const BUFFER: usize = 64 << 10;
