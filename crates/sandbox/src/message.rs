//! What the caller and the launcher say to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::filter::User;
use crate::limits::{Limits, Resource};
use crate::outcome::Outcome;
use crate::{Facts, Level};

/// From the caller to the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Comes first: what shall be made. Brings descriptors for standard output and standard error.
    Prepare(Prepare),
    /// Asks for a job. Brings its socket, and descriptors for standard output and standard error.
    Fork(Fork),
    /// Ends a job.
    End {
        /// Which.
        job: u64,
        /// How that is to be called.
        outcome: Outcome,
    },
}

/// What a launcher shall make.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepare {
    pub(crate) minimum: Level,
    /// Whose user it shall have; one of its own only where that is possible.
    pub(crate) user: User,
    /// A folder below which scratch folders may be made where nothing can be mounted.
    pub(crate) scratch: PathBuf,
    /// Everything that the confined user must be able to read.
    pub(crate) read: Vec<PathBuf>,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) mode: Mode,
}

/// How the program is used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// It is the job.
    Execute { limits: Limits, threads: u32 },
    /// It is an interpreter that forks jobs.
    Serve { job: String, path: Vec<PathBuf>, warm_up: Vec<String>, alone: Option<Alone> },
}

/// The only job of an interpreter: without Landlock, what it sees must be made before the interpreter starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Alone {
    pub(crate) read: Vec<PathBuf>,
    pub(crate) limits: Limits,
}

/// A job for the fork server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fork {
    pub(crate) job: u64,
    pub(crate) read: Vec<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) threads: u32,
}

/// From the launcher, or the warden that it becomes, to the caller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// What was found; less than demanded if nothing follows.
    Found(Facts),
    /// Something is not possible: this job, or everything.
    Refused { job: Option<u64>, reason: Reason },
    /// The fork server is ready for jobs.
    Warm { versions: BTreeMap<String, String> },
    /// A job is confined and runs.
    Started { job: u64, scratch: PathBuf },
    /// A job has ended, and nothing of it is left.
    Ended(Ended),
}

/// Why something is not possible.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// A path cannot be granted.
    Grant { path: PathBuf, reason: String },
    /// A user of its own could not read a path.
    Barred { path: PathBuf, reason: String },
    /// Anything else, as a fact.
    Fact(String),
}

/// The end of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) job: u64,
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<i32>,
    pub(crate) peak_memory: u64,
    pub(crate) processor_ms: u64,
}

/// From the warden to the fork server.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Order<'a> {
    /// Comes first.
    Configure {
        job: &'a str,
        path: &'a [PathBuf],
        warm_up: &'a [String],
        /// The filter's bytes in hexadecimal digits.
        filter: String,
        /// Where in them the process's own identifier belongs.
        own_identifiers: Vec<usize>,
        seccomp_call: i64,
        restrict_call: i64,
    },
    /// Brings the job's socket, standard output, standard error, the report socket, and the rules where there are some.
    Fork { job: u64, scratch: &'a str, threads: u32, resources: Vec<Resource> },
    /// Asks how a child that has ended did so.
    Reap { job: u64, pid: i32 },
}

/// From the fork server to the warden.
#[derive(Debug, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// Everything is loaded.
    Warm { versions: BTreeMap<String, String> },
    /// What should be loaded could not be.
    Cold { reason: String },
    /// A child runs.
    Forked { job: u64, pid: i32 },
    /// A child could not be made.
    NotForked { job: u64, reason: String },
    /// How a child ended.
    Reaped { job: u64, status: i32, processor_ms: u64 },
}

/// From a process that confines itself to the warden, on its report socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Confinement {
    /// Every layer is on. Brings the descriptor on which the filter asks.
    Done,
    /// A layer could not be put on.
    Failed { reason: String },
}
