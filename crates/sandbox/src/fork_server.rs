//! An interpreter that loads its libraries once and forks a confined process for every job.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::capture::Capture;
use crate::command::end_of;
use crate::filter::User;
use crate::message::{Alone, Fork, Mode, Prepare, Report, Request};
use crate::outcome::{End, Outcome, Output};
use crate::session::{Ender, Session, awaited, unexpected};
use crate::{Error, Facts, Launcher, Level, Limit, Limits, grants};

/// Which interpreter, and what it loads.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The interpreter, for instance a virtual environment's `bin/python`.
    pub interpreter: PathBuf,
    /// The folder that holds the package `wardround` with the worker.
    pub package: PathBuf,
    /// What a job calls, as `module:function`.
    pub job: String,
    /// Folders that are searched for modules after the package's.
    pub path: Vec<PathBuf>,
    /// Modules that are loaded, and used once, before the first job: `torch`, `sklearn`, or any other.
    pub warm_up: Vec<String>,
    /// What the confined user must be able to read: what the interpreter needs, and as far as it is known what jobs
    /// will be granted. Where another user cannot read it all, the jobs keep the caller's user.
    pub read: Vec<PathBuf>,
    /// The level below which nothing is started.
    pub minimum: Level,
    /// How long the warm-up may take.
    pub patience: Duration,
}

impl ServerOptions {
    /// An interpreter with nothing to load, which calls the worker's job.
    #[must_use]
    pub fn new(interpreter: impl Into<PathBuf>, package: impl Into<PathBuf>) -> Self {
        Self {
            interpreter: interpreter.into(),
            package: package.into(),
            job: "wardround.worker.job:serve".to_owned(),
            path: Vec::new(),
            warm_up: Vec::new(),
            read: Vec::new(),
            minimum: Level::B,
            patience: Duration::from_secs(180),
        }
    }
}

/// What one job may read and use.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Files and folders that it may read, beside what the interpreter needs.
    pub read: Vec<PathBuf>,
    /// What it may use.
    pub limits: Limits,
    /// How many threads its libraries shall use.
    pub threads: u32,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self { read: Vec::new(), limits: Limits::default(), threads: 1 }
    }
}

/// An interpreter that is warm.
///
/// Without Landlock a process can only be shown what was made for it before it began. So at level C the interpreter is
/// started and warmed up again for each job, in a view of what that job is granted, which takes as long as the warm-up.
///
/// Dropping it, and the last of its jobs, ends it.
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
/// use std::time::Duration;
///
/// use sandbox::{ForkServer, JobOptions, Launcher, ServerOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let launcher = Launcher::new("/usr/bin/wardround").argument("sandbox").argument("launch");
/// let mut options = ServerOptions::new("/opt/plans/bin/python", "/var/lib/wardround/worker");
/// options.warm_up = vec!["torch".to_owned()];
/// let mut server = ForkServer::start(&launcher, &options)?;
/// let job = server.fork(JobOptions { read: vec!["/data".into()], ..JobOptions::default() })?;
/// job.socket().write_all(b"what to do")?;
/// let end = job.wait(Duration::from_secs(60))?;
/// println!("{}, level {}", end.outcome, end.level);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ForkServer {
    way: Way,
    launcher: Launcher,
    options: ServerOptions,
    granted: Vec<PathBuf>,
    user: User,
    level: Level,
    versions: BTreeMap<String, String>,
    next: u64,
}

/// How jobs come to their interpreter.
#[derive(Debug)]
enum Way {
    /// One interpreter forks them all.
    Shared(Arc<Session>),
    /// Each has its own.
    Alone,
}

impl ForkServer {
    /// Starts an interpreter in a sandbox and waits until it is warm.
    ///
    /// # Errors
    ///
    /// The machine does not reach the level, the interpreter cannot be used, or a module is not there.
    pub fn start(launcher: &Launcher, options: &ServerOptions) -> Result<Self, Error> {
        let mut granted = crate::interpreter_paths(&options.interpreter)?;
        granted.push(options.package.clone());
        granted.extend(options.path.iter().cloned());
        let mut server = Self {
            way: Way::Alone,
            launcher: launcher.clone(),
            options: options.clone(),
            granted,
            user: User::Own,
            level: Level::D,
            versions: BTreeMap::new(),
            next: 1,
        };
        server.begin()?;
        Ok(server)
    }

    /// Starts the interpreter that forks, where there can be one.
    fn begin(&mut self) -> Result<(), Error> {
        let interpreter = Interpreter::begin(&self.launcher, self.prepare(None))?;
        if !interpreter.facts.own_user {
            self.user = User::Same;
        }
        self.level = interpreter.facts.level();
        self.next = 1;
        self.way = Way::Alone;
        if self.level > Level::C {
            let (session, versions) = interpreter.warm(self.options.patience)?;
            self.way = Way::Shared(session);
            self.versions = versions;
        }
        Ok(())
    }

    /// How well its jobs are confined.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The versions of the interpreter and of what was loaded, by name; at level C, once there was a job.
    #[must_use]
    pub fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }

    fn prepare(&self, alone: Option<Alone>) -> Prepare {
        let options = &self.options;
        let main = options.package.join("wardround/worker/fork_server_main.py");
        let mut read = self.granted.clone();
        read.extend(options.read.iter().cloned());
        Prepare {
            minimum: options.minimum,
            user: self.user,
            scratch: std::env::temp_dir(),
            read,
            program: options.interpreter.clone(),
            arguments: ["-I".to_owned(), "-B".to_owned(), main.to_string_lossy().into_owned()]
                .into(),
            environment: BTreeMap::new(),
            mode: Mode::Serve {
                job: options.job.clone(),
                path: options.path.clone(),
                warm_up: options.warm_up.clone(),
                alone,
            },
        }
    }

    /// The session of the next job, and the job's number in it.
    fn session_for(&mut self, options: &JobOptions) -> Result<(Arc<Session>, u64), Error> {
        if let Way::Shared(session) = &self.way {
            let job = self.next;
            self.next += 1;
            return Ok((Arc::clone(session), job));
        }
        let mut read = self.granted.clone();
        read.extend(options.read.iter().cloned());
        let alone = Alone { read, limits: options.limits.clone() };
        let interpreter = Interpreter::begin(&self.launcher, self.prepare(Some(alone)))?;
        if interpreter.facts.level() != self.level {
            let facts = interpreter.facts;
            return Err(Error::Level { reached: facts.level(), required: self.level, facts });
        }
        let (session, versions) = interpreter.warm(self.options.patience)?;
        self.versions = versions;
        Ok((session, 1))
    }

    /// Whether everything is there, and a user of its own could read what lies in it.
    fn judge(&self, read: &[PathBuf]) -> Result<(), Error> {
        if let Some(path) = read.iter().find(|path| !path.exists()) {
            let reason = "it is not there".to_owned();
            return Err(Error::Grant { path: path.clone(), reason });
        }
        let closed = read.iter().filter(|_| self.user == User::Own);
        match closed.clone().find_map(|path| grants::closed_inside(path).zip(Some(path))) {
            Some((closed, path)) => {
                let reason = format!("other users cannot read {}", closed.display());
                Err(Error::Barred { path: path.clone(), reason })
            }
            None => Ok(()),
        }
    }

    /// Forks a job and waits until it is confined.
    ///
    /// Where a user of its own could not read what is granted, and less than level A is enough, the interpreter is
    /// started again with the caller's user, and stays so: the job's level says it.
    ///
    /// # Errors
    ///
    /// Something cannot be granted, a layer could not be put on, or the server has ended.
    pub fn fork(&mut self, options: JobOptions) -> Result<Job, Error> {
        match self.fork_once(options.clone()) {
            Err(Error::Barred { .. }) if self.options.minimum < Level::A => {
                self.user = User::Same;
                self.begin()?;
                self.fork_once(options)
            }
            other => other,
        }
    }

    fn fork_once(&mut self, options: JobOptions) -> Result<Job, Error> {
        self.judge(&options.read)?;
        let (session, job) = self.session_for(&options)?;
        let reports = session.register(job)?;
        let (ours, theirs) = UnixStream::pair().map_err(Error::system("make a pair of sockets"))?;
        let (stdout, stdout_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
        let (stderr, stderr_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
        let descriptors =
            [OwnedFd::from(theirs), OwnedFd::from(stdout_writer), OwnedFd::from(stderr_writer)];
        let ender = session.ender(job);
        let output = options.limits.output;
        let wall = options.limits.wall;
        let mut read = self.granted.clone();
        read.extend(options.read);
        let fork = Fork { job, read, limits: options.limits, threads: options.threads };
        session.send(&Request::Fork(fork), &descriptors)?;
        drop(descriptors);
        let scratch = match awaited(&reports, "a confined process", START) {
            Ok(Report::Started { scratch, .. }) => scratch,
            Ok(Report::Ended(ended)) => {
                let fact = format!("the process ended before it was confined: {}", ended.outcome);
                return Err(Error::Refused(fact));
            }
            Ok(other) => return Err(unexpected(other)),
            Err(error) => {
                ender.end(Outcome::Failed);
                return Err(error);
            }
        };
        let mut capture = Capture::of(stdout, stderr);
        let watched = ender.clone();
        let printed = std::thread::spawn(move || {
            capture.follow(output, || watched.end(Outcome::Limit(Limit::Output)));
            capture.output()
        });
        Ok(Job {
            _session: session,
            ender,
            reports,
            socket: ours,
            scratch,
            wall,
            level: self.level,
            printed: Some(printed),
        })
    }
}

/// A confined process that waits on its socket for what it shall do.
///
/// Dropping it ends the process.
#[derive(Debug)]
pub struct Job {
    // Keeps the warden until the last job has been waited for.
    _session: Arc<Session>,
    ender: Ender,
    reports: Receiver<Report>,
    socket: UnixStream,
    scratch: PathBuf,
    wall: Duration,
    level: Level,
    printed: Option<JoinHandle<Output>>,
}

impl Job {
    /// The caller's end of the job's socket. What comes from it is hostile until parsed.
    #[must_use]
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// The scratch folder's path, as the job sees it; nobody else can see into it.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// How well it is confined.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Ends the process at once; its end is called failed. Nothing happens where it has ended already.
    pub fn kill(&self) {
        self.end(Outcome::Failed);
    }

    /// Ends the process at once and says how its end is called, for instance once its result is there.
    pub fn end(&self, outcome: Outcome) {
        self.ender.end(outcome);
    }

    /// Waits until nothing is left of the process; ends it where that takes longer than `time`.
    ///
    /// # Errors
    ///
    /// The warden is gone, and with it the process.
    pub fn wait(mut self, time: Duration) -> Result<End, Error> {
        let report = match awaited(&self.reports, "the job's end", time) {
            Err(Error::Late { .. }) => {
                self.ender.end(Outcome::Limit(Limit::Wall));
                awaited(&self.reports, "the job's end", GRACE.saturating_add(self.wall.min(GRACE)))?
            }
            other => other?,
        };
        let Report::Ended(ended) = report else { return Err(unexpected(report)) };
        let printed = self.printed.take().map(JoinHandle::join);
        let output = printed.and_then(Result::ok).unwrap_or_default();
        Ok(end_of(ended, output, self.level))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.printed.is_some() {
            self.kill();
        }
    }
}

/// An interpreter that has been started.
struct Interpreter {
    session: Session,
    facts: Facts,
    printed: JoinHandle<Output>,
}

impl Interpreter {
    /// Starts a launcher and waits for what it has found.
    fn begin(launcher: &Launcher, prepare: Prepare) -> Result<Self, Error> {
        let (stdout, stdout_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
        let (stderr, stderr_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
        let minimum = prepare.minimum;
        let session = Session::start(launcher)?;
        session.prepare(prepare, stdout_writer, stderr_writer)?;
        let facts = session.found(minimum)?;
        let mut capture = Capture::of(stdout, stderr);
        let printed = std::thread::spawn(move || {
            capture.follow(u64::MAX, || {});
            capture.output()
        });
        Ok(Self { session, facts, printed })
    }

    /// Waits until it is warm.
    fn warm(self, patience: Duration) -> Result<(Arc<Session>, BTreeMap<String, String>), Error> {
        match self.session.next("a warm interpreter", patience) {
            Ok(Report::Warm { versions }) => Ok((Arc::new(self.session), versions)),
            Ok(other) => Err(unexpected(other)),
            Err(Error::Gone) => Err(ended_early(self.session, self.printed)),
            Err(other) => Err(other),
        }
    }
}

fn ended_early(session: Session, printed: JoinHandle<Output>) -> Error {
    drop(session);
    let output = printed.join().unwrap_or_default();
    let text = output.stderr.text();
    let last: Vec<&str> = text.trim().lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Error::Refused(format!("the interpreter ended before it was warm: {}", last.join("; ")))
}

/// How long a fork may take.
const START: Duration = Duration::from_secs(30);
/// How long the warden may take to end a job.
const GRACE: Duration = Duration::from_secs(30);
