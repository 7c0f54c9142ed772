//! The layers, in their order, put on by the process itself before it becomes the program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::{DumpableBehavior, Signal};
use rustix::thread::{Gid, Uid};

use crate::channel::Channel;
use crate::control_groups::Group;
use crate::filter::{self, Filter, Kind};
use crate::landlock::Ruleset;
use crate::limits::Resource;
use crate::message::Confinement;
use crate::system;
use crate::warden::view::View;
use crate::warden::{Identity, place};

/// A program, and everything that is put around it.
pub(crate) struct Program<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [String],
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) scratch: &'a Path,
    pub(crate) outputs: &'a [OwnedFd; 2],
    pub(crate) identity: Identity,
    /// Whether there are namespaces around it.
    pub(crate) is_namespaced: bool,
    pub(crate) group: Option<&'a Group>,
    pub(crate) resources: &'a [Resource],
    pub(crate) rules: Option<Ruleset>,
    pub(crate) view: Option<View>,
    pub(crate) ending: Ending,
}

/// What the program is given at the last step.
pub(crate) enum Ending {
    /// The filter of system calls; it reports on this channel.
    Filtered(Kind, Channel),
    /// This descriptor, as number 3, and no filter: it is an interpreter that runs nobody's code but forks those
    /// who do.
    Serving(OwnedFd),
}

impl Program<'_> {
    /// Puts the layers on and becomes the program; returns only to say why that did not happen.
    pub(crate) fn become_it(mut self) -> io::Error {
        match self.confine() {
            Ok(mut command) => command.exec(),
            Err(error) => error,
        }
    }

    fn confine(&mut self) -> io::Result<std::process::Command> {
        // A session that has no terminal cannot push characters into one.
        let _leads_already = rustix::process::setsid();
        if let Some(group) = self.group {
            group.admit(0).map_err(|error| stated("its control group", &error))?;
        }
        if self.is_namespaced {
            place::hide_groups().map_err(|error| stated("a view of control groups", &error))?;
        }
        let null = File::open("/dev/null")?;
        if let Some(view) = self.view.take() {
            view.enter().map_err(|error| stated("the view of granted paths", &error))?;
        }
        system::duplicate_to(null.as_fd(), 0)?;
        system::duplicate_to(self.outputs[0].as_fd(), 1)?;
        system::duplicate_to(self.outputs[1].as_fd(), 2)?;
        system::empty_bounding_set();
        if let Identity::Own(user) = self.identity {
            switch_user(user).map_err(|error| stated("another user", &error))?;
        }
        system::drop_capabilities().map_err(|error| stated("dropped privileges", &error))?;
        // A change of user has taken the signal away.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        for resource in self.resources {
            system::set_limit(resource.number, resource.soft, resource.hard)
                .map_err(|error| stated("limits", &error))?;
        }
        system::close_from_at_exec(3)?;
        if let Ending::Serving(channel) = &self.ending {
            // A descriptor that has the number already keeps its mark, so it is moved away first.
            let moved = rustix::io::fcntl_dupfd_cloexec(channel, 10)?;
            system::duplicate_to(moved.as_fd(), 3)?;
        }
        rustix::thread::set_no_new_privs(true)?;
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        if let Some(rules) = &self.rules {
            rules.restrict().map_err(|error| stated("Landlock", &error))?;
        }
        let command = self.command();
        if let Ending::Filtered(kind, report) = &self.ending {
            let filter = Filter::generate(*kind).for_process(std::process::id());
            let listener =
                filter::install(&filter).map_err(|error| stated("the filter", &error))?;
            report.send(&Confinement::Done, &[listener.as_fd()])?;
        }
        Ok(command)
    }

    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.program);
        command.args(self.arguments).env_clear().envs(&self.environment).current_dir(self.scratch);
        command
    }
}

/// Takes the identity of a user that owns nothing.
pub(crate) fn switch_user(user: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// The variables that a confined program has: nothing is inherited.
pub(crate) fn environment(
    scratch: &Path,
    threads: u32,
    more: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let scratch = scratch.to_string_lossy().into_owned();
    let mut variables: BTreeMap<String, String> = [
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TMPDIR", scratch.clone()),
        ("HOME", scratch),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ("JOBLIB_MULTIPROCESSING", "0".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for name in THREADS {
        variables.insert((*name).to_owned(), threads.max(1).to_string());
    }
    variables.extend(more.clone());
    variables
}

fn stated(layer: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{layer}: {error}"))
}

/// How the usual libraries are told their number of threads.
const THREADS: &[&str] =
    &["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"];
