//! The caller's side of a launcher: a thread that owns it and hands on what it reports.

use std::collections::BTreeMap;
use std::io::PipeWriter;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags};

use crate::channel::Channel;
use crate::message::{Prepare, Reason, Report, Request};
use crate::outcome::Outcome;
use crate::{Error, Facts, Launcher, Level, system};

/// A launcher that runs, and what it has said.
///
/// The thread that starts the launcher stays with it: the launcher asks the system to be ended with
/// the thread that made it.
#[derive(Debug)]
pub(crate) struct Session {
    channel: Arc<Channel>,
    routes: Arc<Mutex<Routes>>,
    general: Mutex<Receiver<Report>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Routes {
    closed: bool,
    jobs: BTreeMap<u64, Sender<Report>>,
}

impl Session {
    /// Starts a launcher, which makes nothing before it is told what.
    pub(crate) fn start(launcher: &Launcher) -> Result<Self, Error> {
        let (ours, theirs) = Channel::pair().map_err(Error::system("make a pair of sockets"))?;
        let channel = Arc::new(ours);
        let routes = Arc::new(Mutex::new(Routes::default()));
        let (general_sender, general) = mpsc::channel();
        let (started_sender, started) = mpsc::channel();
        let follower = Follower {
            channel: Arc::clone(&channel),
            routes: Arc::clone(&routes),
            general: general_sender,
        };
        let command = command(launcher, theirs);
        let thread = std::thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || follower.run(command, &started_sender))
            .map_err(Error::system("start a thread"))?;
        let session = Self { channel, routes, general: Mutex::new(general), thread: Some(thread) };
        started
            .recv()
            .map_err(|_| Error::Gone)?
            .map_err(|source| Error::Launcher { program: launcher.program.clone(), source })?;
        Ok(session)
    }

    /// Tells the launcher what to make. A job that begins with it must be registered before: its reports may come at
    /// once, and those of a job that nobody has registered are lost.
    pub(crate) fn prepare(
        &self,
        prepare: Prepare,
        stdout: PipeWriter,
        stderr: PipeWriter,
    ) -> Result<(), Error> {
        let outputs = [stdout.as_fd(), stderr.as_fd()];
        let sent = self.channel.send(&Request::Prepare(prepare), &outputs);
        sent.map_err(Error::system("send to the launcher"))
    }

    /// Waits for what the launcher found, and for nothing less than the level that is demanded.
    pub(crate) fn found(&self, minimum: Level) -> Result<Facts, Error> {
        match self.next("the launcher's first report", SOON)? {
            Report::Found(facts) if facts.level() >= minimum && facts.level() > Level::D => {
                Ok(facts)
            }
            Report::Found(facts) => {
                Err(Error::Level { reached: facts.level(), required: minimum.max(Level::C), facts })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Waits for the next report that belongs to no job.
    pub(crate) fn next(&self, what: &'static str, time: Duration) -> Result<Report, Error> {
        let general = self.general.lock().unwrap_or_else(PoisonError::into_inner);
        awaited(&general, what, time)
    }

    /// Gives the reports of a job a place of their own.
    pub(crate) fn register(&self, job: u64) -> Result<Receiver<Report>, Error> {
        let (sender, receiver) = mpsc::channel();
        let mut routes = lock(&self.routes);
        if routes.closed {
            return Err(Error::Gone);
        }
        routes.jobs.insert(job, sender);
        Ok(receiver)
    }

    /// Sends a request.
    pub(crate) fn send(&self, request: &Request, descriptors: &[OwnedFd]) -> Result<(), Error> {
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        self.channel.send(request, &borrowed).map_err(|_| Error::Gone)
    }

    /// Something that ends a job from any thread.
    pub(crate) fn ender(&self, job: u64) -> Ender {
        Ender { channel: Arc::clone(&self.channel), job }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closing for both directions wakes the thread, which ends the launcher.
        let _closed_already = rustix::net::shutdown(&*self.channel, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Ends one job.
#[derive(Clone, Debug)]
pub(crate) struct Ender {
    channel: Arc<Channel>,
    job: u64,
}

impl Ender {
    /// Ends the job at once, under this name. Nothing happens where it has ended already.
    pub(crate) fn end(&self, outcome: Outcome) {
        let request = Request::End { job: self.job, outcome };
        // Where the warden is gone, so is the job.
        let _gone = self.channel.send(&request, &[]);
    }
}

/// Waits for a report of a job.
pub(crate) fn awaited(
    reports: &Receiver<Report>,
    what: &'static str,
    time: Duration,
) -> Result<Report, Error> {
    match reports.recv_timeout(time) {
        Ok(report) => Ok(report),
        Err(RecvTimeoutError::Timeout) => Err(Error::Late { what, seconds: time.as_secs() }),
        Err(RecvTimeoutError::Disconnected) => Err(Error::Gone),
    }
}

/// The error that a report makes where another was awaited.
pub(crate) fn unexpected(report: Report) -> Error {
    match report {
        Report::Refused { reason: Reason::Grant { path, reason }, .. } => {
            Error::Grant { path, reason }
        }
        Report::Refused { reason: Reason::Barred { path, reason }, .. } => {
            Error::Barred { path, reason }
        }
        Report::Refused { reason: Reason::Fact(fact), .. } => Error::Refused(fact),
        other => Error::Refused(format!("the launcher answered out of turn: {other:?}")),
    }
}

struct Follower {
    channel: Arc<Channel>,
    routes: Arc<Mutex<Routes>>,
    general: Sender<Report>,
}

impl Follower {
    fn run(self, mut command: std::process::Command, started: &Sender<Result<(), std::io::Error>>) {
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let _nobody_waits = started.send(Err(error));
                return;
            }
        };
        // The command holds the other end of the channel, which must close with the launcher.
        drop(command);
        let _nobody_waits = started.send(Ok(()));
        while let Ok(Some(received)) = self.channel.receive::<Report>() {
            self.hand_on(received.message);
        }
        end(&mut child);
        let mut routes = lock(&self.routes);
        routes.closed = true;
        routes.jobs.clear();
    }

    fn hand_on(&self, report: Report) {
        let job = match &report {
            Report::Started { job, .. } => Some(*job),
            Report::Ended(ended) => Some(ended.job),
            Report::Refused { job, .. } => *job,
            Report::Found(_) | Report::Warm { .. } => None,
        };
        let Some(job) = job else {
            let _nobody_waits = self.general.send(report);
            return;
        };
        let over = matches!(report, Report::Ended(_) | Report::Refused { .. });
        let mut routes = lock(&self.routes);
        if let Some(sender) = routes.jobs.get(&job) {
            let _nobody_waits = sender.send(report);
        }
        if over {
            routes.jobs.remove(&job);
        }
    }
}

/// Lets the launcher wipe and leave, which it does once nobody speaks to it; then makes sure.
fn end(child: &mut Child) {
    let known = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let opened = known.map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
    if let Some(Ok(process)) = opened {
        let _late = system::readable(&[process.as_fd()], Some(LEAVING));
    }
    let _ended_already = child.kill();
    let _reaped_already = child.wait();
}

fn command(launcher: &Launcher, channel: Channel) -> std::process::Command {
    let mut command = launcher.command();
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(channel.into_descriptor()))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

fn lock(routes: &Mutex<Routes>) -> MutexGuard<'_, Routes> {
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the launcher may take to try its layers.
const SOON: Duration = Duration::from_secs(30);
/// How long the launcher may take to leave.
const LEAVING: Duration = Duration::from_secs(10);
