//! How a confined process ended, and what it printed.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Level, Limit};

/// How a confined process ended: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ended by itself and reported success.
    Ok,
    /// It ended by itself and reported failure, or was ended because its caller asked.
    Failed,
    /// What it left behind was not what was agreed. The sandbox itself never says so; whoever reads the result does.
    RefusedOutput,
    /// It used more than it may.
    Limit(Limit),
    /// It tried what no honest program tries.
    Policy {
        /// The name of the system call.
        syscall: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => formatter.write_str("ok"),
            Self::Failed => formatter.write_str("failed"),
            Self::RefusedOutput => formatter.write_str("refused-output"),
            Self::Limit(limit) => write!(formatter, "limit:{limit}"),
            Self::Policy { syscall } => write!(formatter, "policy:{syscall}"),
        }
    }
}

/// The end of a confined process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed. It stays where the process ran.
    pub output: Output,
    /// The most resident memory that was seen, in bytes.
    pub peak_memory: u64,
    /// The processor time that it used.
    pub processor: Duration,
    /// Its exit status, where it ended by itself. It stays where the process ran.
    pub status: Option<i32>,
    /// How well it was confined.
    pub level: Level,
}

/// What a confined process printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

/// The beginning and the end of a stream, and how long it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The first bytes, at most 64 KiB.
    pub head: Vec<u8>,
    /// The last bytes after the first, at most 64 KiB.
    pub tail: Vec<u8>,
    /// How many bytes there were.
    pub total: u64,
}

impl Stream {
    /// Everything that was kept, with a line that says how much was left out, if something was.
    #[must_use]
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(&self.tail);
        match self.omitted() {
            0 => format!("{head}{tail}"),
            omitted => format!("{head}\n[{omitted} bytes left out]\n{tail}"),
        }
    }

    /// How many bytes were not kept.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        let kept = self.head.len().saturating_add(self.tail.len());
        self.total.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX))
    }
}
