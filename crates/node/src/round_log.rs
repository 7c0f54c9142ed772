//! The operator's log of one round: the local texts behind its reply, bounded, never sent.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

/// Appends lines to a round's log file.
#[derive(Debug, Clone)]
pub(crate) struct RoundLog {
    path: PathBuf,
}

/// One line of a round's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// The attempt, 0 before the first.
    pub attempt: u32,
    /// The phase it belongs to.
    pub phase: Phase,
    /// What happened.
    pub text: String,
}

impl RoundLog {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes a line; a log that is full or cannot be written stays as it is.
    pub(crate) fn write(&self, line: &LogLine) {
        if let Err(error) = self.append(line) {
            tracing::warn!(%error, "a round's log cannot be written");
        }
    }

    fn append(&self, line: &LogLine) -> std::io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        if text.len() > LONGEST_LINE {
            let mut short = line.clone();
            short.text = line.text.chars().take(LONGEST_LINE / 8).collect();
            text = serde_json::to_string(&short)?;
        }
        text.push('\n');
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        if file.metadata()?.len() + text.len() as u64 > LARGEST {
            return Ok(());
        }
        file.write_all(text.as_bytes())
    }

    /// Deletes the log.
    pub(crate) fn delete(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a round's log cannot be deleted");
            }
            _ => {}
        }
    }
}

/// Reads a round's log; one that is not there has no lines.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<LogLine>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// An error with everything that led to it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Bytes of one round's log.
const LARGEST: u64 = 256 << 10;
/// Bytes of one line.
const LONGEST_LINE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let log = RoundLog::at(folder.path().join("round.jsonl"));
        let line = LogLine {
            at: Timestamp::from_milliseconds(1),
            attempt: 1,
            phase: Phase::Train,
            text: "x".repeat(10_000),
        };
        for _ in 0..100 {
            log.write(&line);
        }
        assert!(fs::metadata(&log.path).unwrap().len() <= LARGEST);
        assert_eq!(read(&log.path).unwrap()[0], line);
        log.delete();
        assert!(read(&log.path).unwrap().is_empty());
    }
}
