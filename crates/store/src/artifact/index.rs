//! What a store knows of its files without asking the disk.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use protocol::{ArtifactReference, Digest, Digester};

use super::{PartialId, UNSYNCHRONISED};
use crate::whole_file::{Durability, synchronise_folder};

/// Whole files, pins, and the partial files that are held or were hashed so far.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<Digest, Entry>,
    pins: HashMap<Digest, usize>,
    held: HashSet<PartialId>,
    resting: HashMap<PartialId, Hashed>,
    total: u64,
    turn: u64,
}

/// A whole file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) size: u64,
    pub(super) durability: Durability,
    pub(super) verified: bool,
    used: u64,
}

/// A partial file's bytes so far, so that going on does not read them again.
#[derive(Clone, Debug)]
pub(super) struct Hashed {
    pub(super) digester: Digester,
    pub(super) offset: u64,
}

/// Takes files out of the folders by first digits in which earlier versions kept them.
///
/// A folder for each cost more than it gave: to make one when a file comes is slow, and one more name to synchronise.
pub(super) fn flatten(folder: &Path) -> io::Result<()> {
    let mut moved = false;
    for group in fs::read_dir(folder)? {
        let group = group?;
        if !group.file_type()?.is_dir() {
            continue;
        }
        for listed in fs::read_dir(group.path())? {
            let listed = listed?;
            let mut name = group.file_name();
            name.push(listed.file_name());
            fs::rename(listed.path(), folder.join(name))?;
        }
        fs::remove_dir(group.path())?;
        moved = true;
    }
    if moved { synchronise_folder(folder) } else { Ok(()) }
}

/// Reads what is in the folder; the least recently written file counts as least recently used.
pub(super) fn scan(folder: &Path) -> io::Result<Index> {
    let mut found = Vec::new();
    for listed in fs::read_dir(folder)? {
        let listed = listed?;
        let name = listed.file_name();
        let name = name.to_string_lossy();
        let (digits, durability) = match name.strip_suffix(UNSYNCHRONISED) {
            Some(digits) => (digits, Durability::Process),
            None => (name.as_ref(), Durability::PowerLoss),
        };
        let Ok(digest) = format!("sha256:{digits}").parse::<Digest>() else { continue };
        let metadata = listed.metadata()?;
        let reference = ArtifactReference::new(digest, metadata.len());
        found.push((metadata.modified()?, reference, durability));
    }
    found.sort_by_key(|(modified, ..)| *modified);
    let mut index = Index::default();
    for (_, reference, durability) in found {
        let is_durable = index.entry(&reference.digest).map(|entry| entry.durability);
        if is_durable == Some(Durability::PowerLoss) {
            continue;
        }
        index.insert(&reference, durability);
        if let Some(entry) = index.entries.get_mut(&reference.digest) {
            entry.verified = durability == Durability::PowerLoss;
        }
    }
    Ok(index)
}

impl Index {
    pub(super) fn entry(&self, digest: &Digest) -> Option<&Entry> {
        self.entries.get(digest)
    }

    pub(super) fn list(&self) -> Vec<ArtifactReference> {
        let references = self.entries.iter();
        references.map(|(digest, entry)| ArtifactReference::new(*digest, entry.size)).collect()
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Marks a file as used now.
    pub(super) fn touch(&mut self, digest: &Digest) -> Option<Entry> {
        self.turn += 1;
        let entry = self.entries.get_mut(digest)?;
        entry.used = self.turn;
        Some(*entry)
    }

    /// Adds a file whose digest is known to be right.
    pub(super) fn insert(&mut self, reference: &ArtifactReference, durability: Durability) {
        self.turn += 1;
        let size = reference.size;
        let entry = Entry { size, durability, verified: true, used: self.turn };
        let replaced = self.entries.insert(reference.digest, entry);
        self.total = self.total - replaced.map_or(0, |entry| entry.size) + size;
    }

    pub(super) fn set_verified(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.get_mut(digest) {
            entry.verified = true;
        }
    }

    pub(super) fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(digest)?;
        self.total -= entry.size;
        Some(entry)
    }

    /// Removes a file that was looked for under the name of `durability` and is not there.
    pub(super) fn remove_if(&mut self, digest: &Digest, durability: Durability) {
        if self.entries.get(digest).is_some_and(|entry| entry.durability == durability) {
            self.remove(digest);
        }
    }

    /// Says whether evicting all that may be evicted would make room.
    pub(super) fn could_fit(&self, needed: u64, capacity: u64) -> bool {
        let pinned = self.entries.iter().filter(|(digest, _)| self.is_pinned(digest));
        let pinned: u64 = pinned.map(|(_, entry)| entry.size).sum();
        pinned.saturating_add(needed) <= capacity
    }

    /// Removes the least recently used file that nobody has pinned.
    pub(super) fn evict(&mut self) -> Option<(Digest, Entry)> {
        let unpinned = self.entries.iter().filter(|(digest, _)| !self.is_pinned(digest));
        let digest = *unpinned.min_by_key(|(_, entry)| entry.used)?.0;
        self.remove(&digest).map(|entry| (digest, entry))
    }

    pub(super) fn pin(&mut self, digest: &Digest) {
        *self.pins.entry(*digest).or_default() += 1;
    }

    pub(super) fn unpin(&mut self, digest: &Digest) {
        if let Some(count) = self.pins.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(digest);
            }
        }
    }

    pub(super) fn is_pinned(&self, digest: &Digest) -> bool {
        self.pins.contains_key(digest)
    }

    /// Takes a partial file for one holder; false when it has one already.
    pub(super) fn hold(&mut self, id: &PartialId) -> bool {
        self.held.insert(id.clone())
    }

    /// Gives a partial file back, with what of it is hashed.
    pub(super) fn release(&mut self, id: &PartialId, hashed: Option<Hashed>) {
        self.held.remove(id);
        match hashed {
            Some(hashed) => drop(self.resting.insert(id.clone(), hashed)),
            None => drop(self.resting.remove(id)),
        }
    }

    pub(super) fn hashed(&mut self, id: &PartialId) -> Option<Hashed> {
        self.resting.remove(id)
    }

    /// Forgets a partial file that is about to be deleted; false while somebody holds it.
    pub(super) fn forget(&mut self, id: &PartialId) -> bool {
        if self.held.contains(id) {
            return false;
        }
        self.resting.remove(id);
        true
    }
}
