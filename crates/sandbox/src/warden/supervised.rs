//! One confined process, from its first layer to its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::Limit;
use crate::channel::Channel;
use crate::control_groups::Group;
use crate::filter::{self, Decision};
use crate::limits::Limits;
use crate::message::{Confinement, Ended, Reason, Report};
use crate::outcome::Outcome;
use crate::system;
use crate::warden::place::Scratch;
use crate::warden::watch;

/// A process that cannot be taken for a later one.
#[derive(Debug)]
pub(crate) struct Process {
    pid: i32,
    descriptor: OwnedFd,
}

impl Process {
    /// A child that has not been reaped.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let known = Pid::from_raw(pid).filter(|_| pid > 0);
        let known = known.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let descriptor = rustix::process::pidfd_open(known, PidfdFlags::empty())?;
        Ok(Self { pid, descriptor })
    }

    /// Its identifier.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        let _ended_already = rustix::process::pidfd_send_signal(&self.descriptor, Signal::KILL);
    }
}

/// Whose child a process is, and so who reaps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The warden's.
    Own,
    /// The fork server's.
    Servers,
}

/// A confined process and what is known of it.
#[derive(Debug)]
pub(crate) struct Supervised {
    job: u64,
    process: Option<Process>,
    death: Death,
    report: Option<Channel>,
    listener: Option<OwnedFd>,
    scratch: Scratch,
    group: Option<Group>,
    limits: Limits,
    threads: u32,
    begun: Instant,
    looked: Instant,
    peak: u64,
    stage: Stage,
    has_executed: bool,
    is_dead: bool,
    cause: Option<Outcome>,
    failure: Option<String>,
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Confining,
    Confined,
    Started,
    /// A layer could not be put on.
    Refused,
}

impl Supervised {
    pub(crate) fn new(
        job: u64,
        scratch: Scratch,
        limits: Limits,
        threads: u32,
        report: Channel,
    ) -> Self {
        let now = Instant::now();
        Self {
            job,
            process: None,
            death: Death::Own,
            report: Some(report),
            listener: None,
            scratch,
            group: None,
            limits,
            threads,
            begun: now,
            looked: now,
            peak: 0,
            stage: Stage::Confining,
            has_executed: false,
            is_dead: false,
            cause: None,
            failure: None,
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.job
    }

    /// Gives it a control group, in which its process is or will be.
    pub(crate) fn within(mut self, group: Option<Group>) -> Self {
        self.group = group;
        self
    }

    /// Puts its process into its group.
    pub(crate) fn admit(&mut self, process: &Process) -> io::Result<()> {
        match self.group.as_ref().map_or(Ok(()), |group| group.admit(process.pid())) {
            // It has ended already, or will now: nothing of a plan was read.
            Err(error) => {
                self.failure = Some(format!("its control group: {error}"));
                self.stage = Stage::Refused;
                process.kill();
                Ok(())
            }
            admitted => admitted,
        }
    }

    /// Says which process it is; gives the report of the start where the layers were on before that was known.
    pub(crate) fn attach(&mut self, process: Process, death: Death) -> Option<Report> {
        if self.cause.is_some() {
            process.kill();
        }
        self.process = Some(process);
        self.death = death;
        if self.report.is_none() { self.started() } else { None }
    }

    pub(crate) fn report(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// The descriptor that tells of the end, as long as the end is not known.
    pub(crate) fn ending(&self) -> Option<BorrowedFd<'_>> {
        let process = self.process.as_ref().filter(|_| !self.is_dead);
        process.map(|process| process.descriptor.as_fd())
    }

    pub(crate) fn death(&self) -> Death {
        self.death
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Ends the process; the first reason is the one that counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if self.is_dead {
            return;
        }
        self.cause.get_or_insert(outcome);
        if let Some(group) = &self.group {
            // The process is ended by itself as well.
            let _ended_already = group.end();
        }
        if let Some(process) = &self.process {
            process.kill();
        }
    }

    /// Waits until the process has ended.
    pub(crate) fn await_end(&self, time: Duration) {
        if let Some(process) = self.ending() {
            let _late = system::readable(&[process], Some(time));
        }
    }

    /// Hears how far the layers are; gives the report of the start once they all are on.
    pub(crate) fn hear(&mut self) -> io::Result<Option<Report>> {
        let Some(report) = &self.report else { return Ok(None) };
        match report.receive::<Confinement>() {
            Ok(Some(mut received)) => match received.message {
                Confinement::Done => {
                    self.listener = received.descriptors.pop();
                    if self.stage == Stage::Confining {
                        self.stage = Stage::Confined;
                    }
                    Ok(None)
                }
                Confinement::Failed { reason } => {
                    self.failure = Some(reason);
                    self.stage = Stage::Refused;
                    Ok(None)
                }
            },
            // The other end closes when the program begins, or when the process ends before that.
            Ok(None) => {
                self.report = None;
                Ok(self.started())
            }
            Err(error) => Err(error),
        }
    }

    /// The report of the start, where the process ended before it could be given.
    pub(crate) fn late_start(&mut self) -> Option<Report> {
        self.started()
    }

    fn started(&mut self) -> Option<Report> {
        let is_known = self.process.is_some() && self.listener.is_some();
        if self.stage != Stage::Confined || !is_known {
            return None;
        }
        self.stage = Stage::Started;
        Some(Report::Started { job: self.job, scratch: self.scratch.path().to_owned() })
    }

    /// Answers what the filter asks: a program starts once, and everything else is the end.
    pub(crate) fn judge(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let Some(asked) = filter::receive(listener.as_fd())? else { return Ok(()) };
        if filter::is_execution(asked.architecture, asked.number) {
            let decision = if self.has_executed { Decision::Refuse } else { Decision::Continue };
            self.has_executed = true;
            // A process that was ended meanwhile needs no answer.
            let _ended = filter::answer(listener.as_fd(), &asked, decision);
        } else {
            let syscall = filter::name_of(asked.architecture, asked.number);
            self.end(Outcome::Policy { syscall });
        }
        Ok(())
    }

    /// Measures the process and ends it where it uses too much.
    pub(crate) fn watch(&mut self) {
        if self.begun.elapsed() > self.limits.wall {
            self.end(Outcome::Limit(Limit::Wall));
        }
        let Some(process) = self.process.as_ref().filter(|_| !self.is_dead) else { return };
        let process = &process.descriptor;
        if let Ok(usage) = watch::usage(process, self.limits.memory) {
            self.peak = self.peak.max(usage.memory);
            if usage.memory > self.limits.memory {
                self.end(Outcome::Limit(Limit::Memory));
            } else if usage.threads > u64::from(self.limits.processes) {
                self.end(Outcome::Limit(Limit::Processes));
            }
        }
        if let Some(limit) = self.group.as_ref().and_then(Group::exceeded) {
            self.end(Outcome::Limit(limit));
        }
        if self.scratch.is_cheap() || self.looked.elapsed() > SELDOM {
            self.looked = Instant::now();
            if self.scratch.is_full() {
                self.end(Outcome::Limit(Limit::Disk));
            }
        }
    }

    /// Takes note of the end; gives who is to be reaped.
    pub(crate) fn died(&mut self) -> Option<i32> {
        self.is_dead = true;
        self.pid()
    }

    /// The report of the end.
    pub(crate) fn finish(&mut self, status: i32, processor: Duration) -> Report {
        if self.stage != Stage::Started {
            let told = self.failure.take();
            let fact =
                told.unwrap_or_else(|| "the process ended before it was confined".to_owned());
            return Report::Refused { job: Some(self.job), reason: Reason::Fact(fact) };
        }
        let enforced = self.group.as_ref().and_then(Group::exceeded).map(Outcome::Limit);
        let known = self.cause.take().or(enforced);
        let outcome = known.unwrap_or_else(|| self.outcome_of(status, processor));
        Report::Ended(Ended {
            job: self.job,
            outcome,
            status: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            peak_memory: self.peak,
            processor_ms: u64::try_from(processor.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn outcome_of(&self, status: i32, processor: Duration) -> Outcome {
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
            return Outcome::Ok;
        }
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        let used_up = processor >= self.limits.processor_time(self.threads);
        match signal {
            Some(libc::SIGSYS) => Outcome::Policy { syscall: "unknown".to_owned() },
            Some(libc::SIGXCPU) => Outcome::Limit(Limit::Cpu),
            Some(libc::SIGKILL) if used_up => Outcome::Limit(Limit::Cpu),
            Some(libc::SIGXFSZ) => Outcome::Limit(Limit::Disk),
            _ if self.scratch.is_full() => Outcome::Limit(Limit::Disk),
            _ => Outcome::Failed,
        }
    }
}

/// Says on the report channel, or on standard error where there is none, why no program began.
pub(crate) fn tell_failure(report: Option<OwnedFd>, reason: String) {
    match report {
        Some(report) => {
            let failed = Confinement::Failed { reason };
            // The warden hears of the end in any case.
            let _gone = Channel::from_descriptor(report).send(&failed, &[]);
        }
        None => {
            let _closed = io::Write::write_all(&mut io::stderr(), reason.as_bytes());
        }
    }
}

/// How often a scratch folder is walked through that is not a file system of its own.
const SELDOM: Duration = Duration::from_millis(50);
