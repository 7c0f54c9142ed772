//! Control groups of version 2: one for each job, where the system has delegated a group to this process.
//!
//! The launcher makes a folder of its own below the delegated group and holds a lock on it. A folder that
//! nobody holds was left by a launcher that was killed, and the next one clears it away.

mod delegation;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::Limit;
use crate::limits::Limits;
use crate::system::{self, Forked};

/// The folder of one launcher's groups. Dropping it removes what is left of them.
#[derive(Debug)]
pub(crate) struct Groups {
    folder: PathBuf,
    controllers: BTreeSet<String>,
    /// Holds the folder: it is free once no process has it open.
    _lock: File,
}

impl Groups {
    /// Makes a folder below the group that is delegated, and tries it; none where nothing is, or where it does not
    /// hold what it is told.
    pub(crate) fn delegated() -> Option<Self> {
        let (root, controllers) = delegation::find()?;
        let groups = Self::below(&root, controllers).ok()?;
        groups.work().then_some(groups)
    }

    /// Makes a folder below a group whose children have these controllers.
    fn below(root: &Path, controllers: BTreeSet<String>) -> io::Result<Self> {
        sweep(root);
        for attempt in 0..ATTEMPTS {
            let folder = root.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Between the two steps another launcher may take the folder for one that was left.
            let Some(lock) = hold(&folder) else { continue };
            let groups = Self { folder, controllers, _lock: lock };
            delegation::enable(&groups.folder, &groups.controllers)?;
            return Ok(groups);
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    /// A group for a job, with its limits set and nobody in it.
    ///
    /// A scratch folder in memory counts as memory, so `scratch` bytes are allowed beside the limit.
    pub(crate) fn group(
        &self,
        job: u64,
        limits: &Limits,
        scratch: u64,
        threads: u32,
    ) -> io::Result<Group> {
        let folder = self.folder.join(format!("job-{job}"));
        fs::create_dir(&folder)?;
        let group = Group { folder };
        let share = u64::from(threads.max(1)) * CPU_PERIOD;
        let memory = limits.memory.saturating_add(scratch).to_string();
        let set = [
            ("memory", "memory.max", memory),
            ("memory", "memory.oom.group", "1".to_owned()),
            ("pids", "pids.max", limits.processes.to_string()),
            ("cpu", "cpu.max", format!("{share} {CPU_PERIOD}")),
        ];
        for (controller, file, value) in set {
            if self.controllers.contains(controller) {
                fs::write(group.folder.join(file), value)?;
            }
        }
        // A kernel without accounts of swapped memory has no such file.
        let swap = group.folder.join("memory.swap.max");
        if swap.exists() {
            fs::write(swap, "0")?;
        }
        Ok(group)
    }

    /// Whether a process can be put into a group and ended with it.
    fn work(&self) -> bool {
        let Ok(group) = self.group(TRIAL, &Limits::default(), 0, 1) else { return false };
        let Ok(forked) = system::fork() else { return false };
        match forked {
            Forked::Child => {
                let admitted = group.admit(0).is_ok();
                if admitted && group.end().is_ok() {
                    // Its own end has been asked for and comes before the next step.
                    std::thread::sleep(PATIENCE);
                }
                system::exit_now(1)
            }
            Forked::Parent(child) => system::reap(child).is_ok_and(|reaped| {
                libc::WIFSIGNALED(reaped.status) && libc::WTERMSIG(reaped.status) == libc::SIGKILL
            }),
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        clear(&self.folder);
    }
}

/// The group of one job. Dropping it ends what is in it.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// Puts a process into the group; 0 is the calling one.
    pub(crate) fn admit(&self, process: i32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), process.to_string())
    }

    /// Ends every process in the group at once.
    pub(crate) fn end(&self) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.kill"), "1")
    }

    /// Which limit the system has enforced.
    pub(crate) fn exceeded(&self) -> Option<Limit> {
        if self.count("memory.events", "oom_kill") > 0 {
            Some(Limit::Memory)
        } else if self.count("pids.events", "max") > 0 {
            Some(Limit::Processes)
        } else {
            None
        }
    }

    fn count(&self, file: &str, event: &str) -> u64 {
        let events = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let mut pairs = events.lines().filter_map(|line| line.split_once(' '));
        let found = pairs.find(|(name, _)| *name == event);
        found.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Takes a folder that nobody holds.
fn hold(folder: &Path) -> Option<File> {
    let opened = File::open(folder).ok()?;
    rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive).ok()?;
    let (held, named) = (opened.metadata().ok()?, fs::metadata(folder).ok()?);
    (held.ino() == named.ino()).then_some(opened)
}

/// Removes what launchers left that were killed before they could.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_ours && let Some(_held) = hold(&entry.path()) {
            clear(&entry.path());
        }
    }
}

/// Removes a launcher's folder and the groups in it.
fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _left_for_the_next = fs::remove_dir(folder);
}

/// Removes a group and whoever is in it. A group is free a moment after its last process has ended.
fn remove(group: &Path) {
    let until = Instant::now() + PATIENCE;
    let _empty = fs::write(group.join("cgroup.kill"), "1");
    while fs::remove_dir(group).is_err() && group.exists() && Instant::now() < until {
        std::thread::sleep(PAUSE);
    }
}

/// How launchers' folders are named, before the number of the process and that of the attempt.
const PREFIX: &str = "wardround-jobs-";
/// The number of the group that is tried first.
const TRIAL: u64 = u64::MAX;
/// Names that are tried for a folder.
const ATTEMPTS: u32 = 100;
/// Microseconds over which processor time is shared out.
const CPU_PERIOD: u64 = 100_000;
/// How long processes that were ended may take to leave.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to remove a group.
const PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
