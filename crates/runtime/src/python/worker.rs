//! The seam between the protocol and the confined process that speaks it.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Failure, Monitor};

/// Starts workers, each in a confinement of its own.
///
/// There is one implementation that runs plans, and it confines them; another serves tests of the protocol.
pub trait Workers: Send + Sync {
    /// Starts a worker that has read nothing of a plan yet.
    ///
    /// # Errors
    ///
    /// `sandbox.unavailable` where it cannot be confined, `cancelled`, `deadline.exceeded`.
    fn start(&self, job: &Job, monitor: &mut dyn Monitor) -> Result<Box<dyn Worker>, Failure>;
}

/// What a worker may read, and how it is bounded beyond what the node says of all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Files and folders that the plan may read.
    pub readable: Vec<PathBuf>,
    /// The most bytes of memory, where the node sets a limit.
    pub memory: Option<u64>,
    /// The most bytes of the scratch folder, where the node sets a limit for this one.
    pub disk: Option<u64>,
}

/// A running worker.
pub trait Worker: Send {
    /// The node's end of the worker's socket.
    fn socket(&self) -> &UnixStream;

    /// How the worker is confined.
    fn confinement(&self) -> Confinement;

    /// Ends the worker and all that it started, waits until nothing of it is left, and tells how it ended.
    ///
    /// Asked again it tells the same.
    fn end(&mut self, life: Life) -> Ending;
}

/// What is known of a worker that is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It lives.
    Alive,
    /// It has closed its socket: it is ending, and whoever watches it may be about to say why.
    Going,
}

/// How a plan was confined, for the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The level: `A`, the strictest, to `D`.
    pub level: String,
    /// The digest of the packages that the interpreter has.
    pub environment: Option<protocol::Digest>,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why, as far as it was not the node that ended it.
    pub cause: Cause,
    /// What the plan printed, bounded. It stays with the node.
    pub output: String,
    /// The processor time that it used, where that is known.
    pub processor: Option<Duration>,
}

/// Why a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By itself, or because the node ended it.
    Ended,
    /// It exceeded a limit.
    Limit(Limit),
    /// It tried what no plan may do; the text says what.
    Violation(String),
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Time.
    Time,
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Processes.
    Processes,
    /// Disk space.
    Disk,
    /// Output.
    Output,
}

impl Limit {
    /// The code that a round ends with.
    #[must_use]
    pub const fn code(self) -> protocol::Code {
        match self {
            Self::Time => protocol::Code::LimitsTime,
            Self::Cpu => protocol::Code::LimitsCpu,
            Self::Memory => protocol::Code::LimitsMemory,
            Self::Processes => protocol::Code::LimitsProcesses,
            Self::Disk => protocol::Code::LimitsDisk,
            Self::Output => protocol::Code::LimitsOutput,
        }
    }
}
