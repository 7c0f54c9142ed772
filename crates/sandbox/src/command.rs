//! One program in a sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::Capture;
use crate::filter::User;
use crate::message::{Ended, Mode, Prepare, Report};
use crate::outcome::{End, Output};
use crate::session::{Session, awaited, unexpected};
use crate::{Error, Facts, Launcher, Level, Limits};

/// A program, what it may read, and what it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Files and folders that it may read, beside the system's libraries and itself.
    pub read: Vec<PathBuf>,
    /// Variables for its environment, beside those that every sandbox has.
    pub environment: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
    /// How many threads its libraries shall use.
    pub threads: u32,
    /// The level below which it is not started.
    pub minimum: Level,
}

impl Command {
    /// A program without arguments, with the default limits, from level B on.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            read: Vec::new(),
            environment: BTreeMap::new(),
            limits: Limits::default(),
            threads: 1,
            minimum: Level::B,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Lets it read a file, or a folder and everything below.
    #[must_use]
    pub fn reading(mut self, path: impl AsRef<Path>) -> Self {
        self.read.push(path.as_ref().to_owned());
        self
    }
}

/// Runs a program in a sandbox and waits for its end.
///
/// # Errors
///
/// The machine does not reach the level, or something could not be granted, started or watched.
/// Whatever happens to the program once it runs is an [`End`].
///
/// # Examples
///
/// ```no_run
/// use sandbox::{Command, Launcher, Outcome};
///
/// # fn main() -> Result<(), sandbox::Error> {
/// let launcher = Launcher::new("/usr/bin/wardround").argument("sandbox").argument("launch");
/// let command = Command::new("/usr/bin/wc").argument("/data/table.csv").reading("/data/table.csv");
/// let end = sandbox::run(&launcher, &command)?;
/// assert_eq!(end.outcome, Outcome::Ok);
/// # Ok(())
/// # }
/// ```
pub fn run(launcher: &Launcher, command: &Command) -> Result<End, Error> {
    run_and_tell(launcher, command).map(|(end, _)| end)
}

/// As [`run`], and tells what the launcher found.
pub(crate) fn run_and_tell(launcher: &Launcher, command: &Command) -> Result<(End, Facts), Error> {
    let (stdout, stdout_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
    let (stderr, stderr_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
    let session = Session::start(launcher)?;
    let reports = session.register(ONLY)?;
    session.prepare(prepare(command), stdout_writer, stderr_writer)?;
    let facts = session.found(command.minimum)?;
    match awaited(&reports, "the program's start", START)? {
        Report::Started { .. } => {}
        other => return Err(unexpected(other)),
    }
    let ender = session.ender(ONLY);
    let limit = command.limits.output;
    let mut capture = Capture::of(stdout, stderr);
    let following = std::thread::spawn(move || {
        capture.follow(limit, || ender.end(crate::Outcome::Limit(crate::Limit::Output)));
        capture.output()
    });
    let patience = command.limits.wall.saturating_add(GRACE);
    let report = awaited(&reports, "the program's end", patience)?;
    let Report::Ended(ended) = report else { return Err(unexpected(report)) };
    // The program is dead, so both pipes have ended.
    let output = following.join().map_err(|_| Error::Gone)?;
    Ok((end_of(ended, output, facts.level()), facts))
}

/// Puts an end together.
pub(crate) fn end_of(ended: Ended, output: Output, level: Level) -> End {
    End {
        outcome: ended.outcome,
        output,
        peak_memory: ended.peak_memory,
        processor: Duration::from_millis(ended.processor_ms),
        status: ended.status,
        level,
    }
}

fn prepare(command: &Command) -> Prepare {
    Prepare {
        minimum: command.minimum,
        user: User::Own,
        scratch: std::env::temp_dir(),
        read: command.read.clone(),
        program: command.program.clone(),
        arguments: command.arguments.clone(),
        environment: command.environment.clone(),
        mode: Mode::Execute { limits: command.limits.clone(), threads: command.threads },
    }
}

/// The number of the only job.
const ONLY: u64 = 0;
/// How long the program's start may take.
const START: Duration = Duration::from_secs(30);
/// How long the warden may take to end a program whose time is over.
const GRACE: Duration = Duration::from_secs(30);
