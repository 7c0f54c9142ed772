//! The files behind what is kept: logs of rounds, and what plans said in them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{Phase, RoundId, Timestamp};
use store::{Durability, write_whole};

use crate::round_log;

/// A round's log.
pub(super) struct Log {
    pub(super) round: RoundId,
    pub(super) path: PathBuf,
    pub(super) written_at: Timestamp,
    bytes: u64,
}

impl Log {
    pub(super) fn dated(&self) -> (u64, Timestamp) {
        (self.bytes, self.written_at)
    }
}

/// The logs in a folder; what is no round's is left alone.
pub(super) fn logs(folder: &Path) -> io::Result<Vec<Log>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(round) = name.to_str().and_then(|name| name.strip_suffix(".jsonl")) else {
            continue;
        };
        let Ok(round) = round.parse() else { continue };
        let metadata = entry.metadata()?;
        let written_at = timestamp(metadata.modified()?);
        found.push(Log { round, path: entry.path(), written_at, bytes: metadata.len() });
    }
    Ok(found)
}

/// Whether a log holds what a plan may have said.
pub(super) fn has_words(log: &Log) -> bool {
    let lines = round_log::read(&log.path).unwrap_or_default();
    lines.iter().any(|line| is_a_plans(line.phase))
}

/// Takes out of a log what a plan may have said; the log's own age stays.
pub(super) fn clear_words(log: &Log) -> io::Result<()> {
    let lines = round_log::read(&log.path)?;
    let own: Vec<_> = lines.iter().filter(|line| !is_a_plans(line.phase)).collect();
    if own.len() == lines.len() {
        return Ok(());
    }
    let mut text = String::new();
    for line in own {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    let modified = fs::metadata(&log.path)?.modified()?;
    write_whole(&log.path, text.as_bytes(), Durability::Process)?;
    File::options().write(true).open(&log.path)?.set_modified(modified)
}

/// The folders in a folder, each with all its bytes.
pub(super) fn folders(folder: &Path) -> Vec<(u64, Timestamp)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| size(&entry.path()).ok()).collect()
}

/// One file, where there is one.
pub(super) fn file(path: &Path) -> Option<(u64, Timestamp)> {
    let metadata = fs::metadata(path).ok()?;
    let made = metadata.created().or_else(|_| metadata.modified()).ok()?;
    Some((metadata.len(), timestamp(made)))
}

fn size(folder: &Path) -> io::Result<(u64, Timestamp)> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?.0,
            false => entry.metadata()?.len(),
        };
    }
    Ok((bytes, timestamp(fs::metadata(folder)?.modified()?)))
}

/// Whether a plan works in this phase, so that a line of it may be the plan's words.
const fn is_a_plans(phase: Phase) -> bool {
    match phase {
        Phase::Instantiate
        | Phase::Initialise
        | Phase::Load
        | Phase::Data
        | Phase::ValidateBefore
        | Phase::Train
        | Phase::ValidateAfter
        | Phase::Export => true,
        Phase::Accept
        | Phase::Arguments
        | Phase::Plan
        | Phase::Approval
        | Phase::Parameters
        | Phase::Egress
        | Phase::Upload
        | Phase::Reply
        | Phase::Clean => false,
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_milliseconds(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
