//! Why a sandbox did not start, or lost what it watched.

use std::io;
use std::path::PathBuf;

use crate::{Facts, Level};

/// Why nothing could be confined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine offers less than the caller demands.
    #[error("the sandbox reaches level {reached}, level {required} is required; missing: {}", facts.missing().join(", "))]
    Level {
        /// What the machine reaches.
        reached: Level,
        /// What was demanded.
        required: Level,
        /// What was found.
        facts: Facts,
    },
    /// A path that shall be granted is not there, or the confined user could not read it.
    #[error("{} cannot be granted: {reason}", path.display())]
    Grant {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A path that shall be granted cannot be read by a user of its own, whom nothing belongs to.
    #[error("{} cannot be granted to a user of its own: {reason}", path.display())]
    Barred {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An interpreter does not say where its libraries are.
    #[error("{} is not a Python interpreter that can be used: {reason}", path.display())]
    Interpreter {
        /// The interpreter.
        path: PathBuf,
        /// What happened instead.
        reason: String,
    },
    /// The launcher could not be started.
    #[error("the launcher {} does not start", program.display())]
    Launcher {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layer could not be put on, so nothing was started.
    #[error("{0}")]
    Refused(String),
    /// The launcher, the warden or the fork server ended while it was needed.
    #[error("the sandbox's warden has ended")]
    Gone,
    /// Something did not happen in time.
    #[error("{what} did not come within {seconds} s")]
    Late {
        /// What was awaited.
        what: &'static str,
        /// For how long.
        seconds: u64,
    },
    /// Descriptors, threads or the disk are exhausted.
    #[error("the system refused to {attempt}")]
    System {
        /// What was tried.
        attempt: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(attempt: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { attempt, source }
    }
}
