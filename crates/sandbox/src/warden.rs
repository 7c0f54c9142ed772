//! The warden: stays with the confined processes, measures them, and ends them when they overstep.
//!
//! It is the launcher's process, or in namespaces their first, so that its own end is the end of
//! everything below it. It has one thread and one loop. Nothing that a plan can say reaches it, but
//! for the numbers of system calls that the filter asks about.

pub(crate) mod confine;
pub(crate) mod passage;
pub(crate) mod place;
mod supervised;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use confine::{Ending, Program};
use passage::Passages;
use place::{Place, Scratch};
use supervised::{Death, Process, Supervised};
use view::View;

use crate::channel::Channel;
use crate::control_groups::{Group, Groups};
use crate::filter::{Execution, Filter, Kind, User};
use crate::landlock::{Access, Ruleset};
use crate::limits::Limits;
use crate::message::{Alone, Answer, Fork, Mode, Order, Prepare, Reason, Report, Request};
use crate::outcome::Outcome;
use crate::system::{self, Forked};
use crate::{grants, limits};

/// Whose user confined processes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// This one, which owns nothing.
    Own(u32),
    /// The launcher's.
    Same,
}

/// Watches the confined processes of one launcher.
pub(crate) struct Warden<'a> {
    control: &'a Channel,
    // Jobs and their groups end before the folder that the groups are in.
    jobs: BTreeMap<u64, Supervised>,
    enclosure: Enclosure,
    server: Option<Server>,
    /// The interpreter's own scratch folder; without Landlock it becomes that of its only job.
    prepared: Option<Scratch>,
    passages: Passages,
}

/// What a warden has to confine with.
pub(crate) struct Enclosure {
    pub(crate) place: Place,
    pub(crate) identity: Identity,
    pub(crate) landlock: bool,
    pub(crate) groups: Option<Groups>,
}

struct Server {
    channel: Channel,
    process: Process,
}

/// What can wake the warden.
#[derive(Clone, Copy, Debug)]
enum Waker {
    Control,
    Server,
    Report(u64),
    Listener(u64),
    Process(u64),
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Leave,
}

impl<'a> Warden<'a> {
    pub(crate) fn new(control: &'a Channel, enclosure: Enclosure) -> Self {
        Self {
            control,
            jobs: BTreeMap::new(),
            enclosure,
            server: None,
            prepared: None,
            passages: Passages::default(),
        }
    }

    /// Makes what was asked for and stays until the caller is gone or the only program has ended.
    pub(crate) fn attend(&mut self, prepare: Prepare, outputs: [OwnedFd; 2]) -> io::Result<()> {
        let mut needed = prepare.read.clone();
        needed.push(prepare.program.clone());
        self.open(FOR_ALL, &needed)?;
        let once = match &prepare.mode {
            Mode::Execute { limits, threads } => {
                self.execute(&prepare, limits, *threads, &outputs)?;
                true
            }
            Mode::Serve { .. } => {
                self.serve(&prepare, &outputs)?;
                false
            }
        };
        // Only the confined process may hold the ends that are written to.
        drop(outputs);
        loop {
            if self.step()? == Next::Leave || (once && self.jobs.is_empty()) {
                break;
            }
        }
        self.leave();
        Ok(())
    }

    fn execute(
        &mut self,
        prepare: &Prepare,
        limits: &Limits,
        threads: u32,
        outputs: &[OwnedFd; 2],
    ) -> io::Result<()> {
        let scratch = self.enclosure.place.scratch(ONLY, limits, self.owner())?;
        let granted = granted_with(&prepare.program, &prepare.read);
        if let Some((path, reason)) = missing(&granted) {
            return self.refuse(Some(ONLY), Reason::Grant { path, reason });
        }
        let rules = self.enclosure.landlock.then(|| rules(&granted, scratch.path())).transpose()?;
        let view =
            (!self.enclosure.landlock).then(|| self.view(&granted, scratch.path())).transpose()?;
        let (report, theirs) = Channel::pair()?;
        let kind = Kind { execution: Execution::AskOnce, user: self.user() };
        let resources = limits.resources(threads, self.user());
        let group = self.group(ONLY, limits, threads)?;
        let program = Program {
            program: &prepare.program,
            arguments: &prepare.arguments,
            environment: confine::environment(scratch.path(), threads, &prepare.environment),
            scratch: scratch.path(),
            outputs,
            identity: self.enclosure.identity,
            is_namespaced: self.enclosure.place.is_mounted(),
            group: group.as_ref(),
            resources: &resources,
            rules,
            view,
            ending: Ending::Filtered(kind, theirs),
        };
        let process = start(program)?;
        let mut job = Supervised::new(ONLY, scratch, limits.clone(), threads, report).within(group);
        job.attach(process, Death::Own);
        self.jobs.insert(ONLY, job);
        Ok(())
    }

    fn serve(&mut self, prepare: &Prepare, outputs: &[OwnedFd; 2]) -> io::Result<()> {
        let Mode::Serve { job, path, warm_up, alone } = &prepare.mode else { return Ok(()) };
        let (rules, view) = match (self.enclosure.landlock, alone) {
            (true, _) => {
                // Some libraries want to write when they are loaded, and its user owns nothing else.
                let limits = Limits { disk: 64 << 20, ..Limits::default() };
                self.prepared = Some(self.enclosure.place.scratch(ONLY, &limits, self.owner())?);
                (Some(self.server_rules()?), None)
            }
            (false, Some(alone)) => {
                self.open(FOR_ALL, &alone.read)?;
                let granted = granted_with(&prepare.program, &alone.read);
                if let Some((path, reason)) = missing(&granted) {
                    return self.refuse(None, Reason::Grant { path, reason });
                }
                (None, Some(self.only_view(alone, &granted)?))
            }
            // Whoever has heard that there is no Landlock comes again with the grants of each job.
            (false, None) => return Ok(()),
        };
        let (channel, theirs) = Channel::pair()?;
        let resources = [limits::Resource { number: libc::RLIMIT_CORE, soft: 0, hard: 0 }];
        let base = self.enclosure.place.base();
        let base = self.prepared.as_ref().map_or(base, Scratch::path).to_owned();
        let program = Program {
            program: &prepare.program,
            arguments: &prepare.arguments,
            environment: confine::environment(&base, 1, &prepare.environment),
            scratch: Path::new("/"),
            outputs,
            identity: self.enclosure.identity,
            is_namespaced: self.enclosure.place.is_mounted(),
            group: None,
            resources: &resources,
            rules,
            view,
            ending: Ending::Serving(theirs.into_descriptor()),
        };
        let process = start(program)?;
        let filter = Filter::generate(Kind { execution: Execution::Refused, user: self.user() });
        let order = Order::Configure {
            job,
            path,
            warm_up,
            filter: hexadecimal(&filter.bytes()),
            own_identifiers: filter.own_identifiers(),
            seccomp_call: libc::SYS_seccomp,
            restrict_call: libc::SYS_landlock_restrict_self,
        };
        channel.send(&order, &[])?;
        self.server = Some(Server { channel, process });
        Ok(())
    }

    fn server_rules(&self) -> io::Result<Ruleset> {
        let mut rules = Ruleset::refusing_everything()?;
        rules.allow(Path::new("/"), Access::Execute)?;
        rules.allow(self.enclosure.place.base(), Access::Scratch)?;
        rules.allow(Path::new("/dev/null"), Access::Device)?;
        Ok(rules)
    }

    /// What the only job of an interpreter sees, with its scratch folder.
    fn only_view(&mut self, alone: &Alone, granted: &[(PathBuf, Access)]) -> io::Result<View> {
        let scratch = self.enclosure.place.scratch(FIRST, &alone.limits, self.owner())?;
        let view = self.view(granted, scratch.path())?;
        self.prepared = Some(scratch);
        Ok(view)
    }

    fn step(&mut self) -> io::Result<Next> {
        let (wakers, descriptors): (Vec<_>, Vec<_>) = self.wakers().into_iter().unzip();
        let timeout = (!self.jobs.is_empty()).then_some(PERIOD);
        let ready = system::readable(&descriptors, timeout)?;
        let woken: Vec<Waker> = wakers
            .into_iter()
            .zip(ready)
            .filter_map(|(waker, ready)| ready.then_some(waker))
            .collect();
        for waker in woken {
            if self.wake(waker)? == Next::Leave {
                return Ok(Next::Leave);
            }
        }
        for job in self.jobs.values_mut() {
            job.watch();
        }
        Ok(Next::GoOn)
    }

    /// What may wake the warden; a job's reports come before its end.
    fn wakers(&self) -> Vec<(Waker, BorrowedFd<'_>)> {
        let mut wakers = vec![(Waker::Control, self.control.as_fd())];
        wakers.extend(self.server.as_ref().map(|server| (Waker::Server, server.channel.as_fd())));
        for (id, job) in &self.jobs {
            wakers.extend(job.report().map(|report| (Waker::Report(*id), report)));
            wakers.extend(job.listener().map(|listener| (Waker::Listener(*id), listener)));
            wakers.extend(job.ending().map(|process| (Waker::Process(*id), process)));
        }
        wakers
    }

    fn wake(&mut self, waker: Waker) -> io::Result<Next> {
        match waker {
            Waker::Control => return self.obey(),
            Waker::Server => return self.hear(),
            Waker::Report(id) => self.confined(id)?,
            Waker::Listener(id) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.judge()?;
                }
            }
            Waker::Process(id) => self.ended(id)?,
        }
        Ok(Next::GoOn)
    }

    fn obey(&mut self) -> io::Result<Next> {
        let Some(received) = self.control.receive::<Request>()? else { return Ok(Next::Leave) };
        match received.message {
            Request::Fork(fork) => {
                let id = fork.job;
                if let Err(error) = self.fork(fork, received.descriptors) {
                    self.jobs.remove(&id);
                    self.passages.close(id);
                    let fact = format!("a job cannot be made: {error}");
                    self.refuse(Some(id), Reason::Fact(fact))?;
                }
            }
            Request::End { job, outcome } => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.end(outcome);
                }
            }
            Request::Prepare(_) => return Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
        Ok(Next::GoOn)
    }

    fn fork(&mut self, fork: Fork, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let mut granted = grants::system();
        granted.extend(fork.read.iter().map(|path| (path.clone(), Access::Read)));
        self.open(fork.job, &fork.read)?;
        if let Some((path, reason)) = self.barred(&fork.read) {
            self.passages.close(fork.job);
            return self.refuse(Some(fork.job), Reason::Barred { path, reason });
        }
        if let Some((path, reason)) = missing(&granted) {
            return self.refuse(Some(fork.job), Reason::Grant { path, reason });
        }
        let (scratch, rules) = self.room(&fork, &granted)?;
        let (report, theirs) = Channel::pair()?;
        let path = scratch.path().to_string_lossy().into_owned();
        let order = Order::Fork {
            job: fork.job,
            scratch: &path,
            threads: fork.threads.max(1),
            resources: fork.limits.resources(fork.threads, self.user()),
        };
        let group = self.group(fork.job, &fork.limits, fork.threads)?;
        let job = Supervised::new(fork.job, scratch, fork.limits, fork.threads, report);
        self.jobs.insert(fork.job, job.within(group));
        let Some(server) = &self.server else {
            return Err(io::Error::from(io::ErrorKind::NotConnected));
        };
        let mut sent: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        sent.push(theirs.as_fd());
        sent.extend(rules.as_ref().map(AsFd::as_fd));
        server.channel.send(&order, &sent)
    }

    /// A job's scratch folder, and the rules that let it out of nothing else.
    fn room(
        &mut self,
        fork: &Fork,
        granted: &[(PathBuf, Access)],
    ) -> io::Result<(Scratch, Option<OwnedFd>)> {
        if !self.enclosure.landlock {
            let prepared = self.prepared.take();
            let prepared = prepared.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
            return Ok((prepared, None));
        }
        let scratch = self.enclosure.place.scratch(fork.job, &fork.limits, self.owner())?;
        let rules = rules(granted, scratch.path())?.into_descriptor();
        Ok((scratch, Some(rules)))
    }

    fn hear(&mut self) -> io::Result<Next> {
        let Some(server) = &self.server else { return Ok(Next::Leave) };
        let Some(received) = server.channel.receive::<Answer>()? else { return Ok(Next::Leave) };
        match received.message {
            Answer::Warm { versions } => self.control.send(&Report::Warm { versions }, &[])?,
            Answer::Cold { reason } => {
                self.refuse(None, Reason::Fact(reason))?;
                return Ok(Next::Leave);
            }
            Answer::Forked { job, pid } => {
                let process = Process::of(pid)?;
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.admit(&process)?;
                    let started = job.attach(process, Death::Servers);
                    started.map_or(Ok(()), |started| self.control.send(&started, &[]))?;
                }
            }
            Answer::NotForked { job, reason } => {
                self.jobs.remove(&job);
                self.passages.close(job);
                self.refuse(Some(job), Reason::Fact(reason))?;
            }
            Answer::Reaped { job, status, processor_ms } => {
                if let Some(mut job) = self.jobs.remove(&job) {
                    let id = job.id();
                    let report = job.finish(status, Duration::from_millis(processor_ms));
                    drop(job);
                    self.passages.close(id);
                    self.control.send(&report, &[])?;
                }
            }
        }
        Ok(Next::GoOn)
    }

    fn confined(&mut self, id: u64) -> io::Result<()> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        if let Some(started) = job.hear()? {
            self.control.send(&started, &[])?;
        }
        Ok(())
    }

    fn ended(&mut self, id: u64) -> io::Result<()> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        if let Some(started) = job.late_start() {
            self.control.send(&started, &[])?;
        }
        let Some(pid) = job.died() else { return Ok(()) };
        match job.death() {
            Death::Own => {
                let reaped = system::reap(pid)?;
                let report = job.finish(reaped.status, reaped.processor);
                // The scratch folder is wiped before anybody hears of the end.
                self.jobs.remove(&id);
                self.control.send(&report, &[])
            }
            Death::Servers => match &self.server {
                Some(server) => server.channel.send(&Order::Reap { job: id, pid }, &[]),
                None => Ok(()),
            },
        }
    }

    /// Ends everything.
    fn leave(&mut self) {
        for job in self.jobs.values_mut() {
            job.end(Outcome::Failed);
        }
        if let Some(server) = self.server.take() {
            for job in self.jobs.values() {
                job.await_end(PATIENCE);
            }
            server.process.kill();
            // Its jobs ask the system to be ended with it.
            let _reaped_already = system::reap(server.process.pid());
        }
        for job in self.jobs.values().filter(|job| job.death() == Death::Own) {
            if let Some(pid) = job.pid() {
                let _reaped_already = system::reap(pid);
            }
        }
        self.jobs.clear();
    }

    fn refuse(&self, job: Option<u64>, reason: Reason) -> io::Result<()> {
        self.control.send(&Report::Refused { job, reason }, &[])
    }

    fn view(&self, granted: &[(PathBuf, Access)], scratch: &Path) -> io::Result<View> {
        let root = self.enclosure.place.base().join("root");
        std::fs::create_dir_all(&root)?;
        Ok(View { root, grants: granted.to_vec(), scratch: scratch.to_owned() })
    }

    /// Opens ways to paths for a user that could not pass what leads to them.
    fn open(&mut self, job: u64, paths: &[PathBuf]) -> io::Result<()> {
        if self.enclosure.identity == Identity::Same || !self.enclosure.place.is_mounted() {
            return Ok(());
        }
        self.passages.open(job, paths)
    }

    fn barred(&self, paths: &[PathBuf]) -> Option<(PathBuf, String)> {
        if self.enclosure.identity == Identity::Same {
            return None;
        }
        let unique: BTreeSet<&PathBuf> = paths.iter().collect();
        unique.into_iter().find_map(|path| {
            let barred = grants::barred_to_others(path)?;
            let reason = format!("other users cannot read or pass {}", barred.display());
            Some((path.clone(), reason))
        })
    }

    /// A job's group, with room for its scratch folder where that lies in memory.
    fn group(&self, job: u64, limits: &Limits, threads: u32) -> io::Result<Option<Group>> {
        let scratch = if self.enclosure.place.is_mounted() { limits.disk } else { 0 };
        let groups = self.enclosure.groups.as_ref();
        groups.map(|groups| groups.group(job, limits, scratch, threads)).transpose()
    }

    fn owner(&self) -> Option<u32> {
        match self.enclosure.identity {
            Identity::Own(user) => Some(user),
            Identity::Same => None,
        }
    }

    fn user(&self) -> User {
        match self.enclosure.identity {
            Identity::Own(_) => User::Own,
            Identity::Same => User::Same,
        }
    }
}

/// Forks a process that becomes the program.
fn start(program: Program<'_>) -> io::Result<Process> {
    match system::fork()? {
        Forked::Parent(pid) => Process::of(pid),
        Forked::Child => {
            let report = match &program.ending {
                Ending::Filtered(_, report) => report.as_fd().try_clone_to_owned().ok(),
                Ending::Serving(_) => None,
            };
            let shown = program.program.display().to_string();
            let error = program.become_it();
            let reason = format!("{shown} does not start: {error}");
            supervised::tell_failure(report, reason);
            system::exit_now(NOT_STARTED)
        }
    }
}

/// What a program may use that starts by itself.
fn granted_with(program: &Path, read: &[PathBuf]) -> Vec<(PathBuf, Access)> {
    let mut granted = grants::system();
    granted.push((program.to_owned(), Access::Execute));
    granted.extend(read.iter().map(|path| (path.clone(), Access::Read)));
    granted
}

fn rules(granted: &[(PathBuf, Access)], scratch: &Path) -> io::Result<Ruleset> {
    let mut rules = Ruleset::refusing_everything()?;
    for (path, access) in granted {
        rules.allow(path, *access)?;
    }
    rules.allow(scratch, Access::Scratch)?;
    Ok(rules)
}

fn missing(granted: &[(PathBuf, Access)]) -> Option<(PathBuf, String)> {
    let (path, _) = granted.iter().find(|(path, _)| !path.exists())?;
    Some((path.clone(), "it is not there".to_owned()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
        text
    })
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// The number of the only job where there is one.
const ONLY: u64 = 0;
/// The number of an interpreter's first job.
const FIRST: u64 = 1;
/// Whose the ways are that are open as long as the interpreter is there.
const FOR_ALL: u64 = u64::MAX;
/// How often processes are measured.
const PERIOD: Duration = Duration::from_millis(5);
/// How long processes that were killed may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a process ends with that could not become its program.
const NOT_STARTED: i32 = 127;
