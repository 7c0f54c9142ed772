//! What a confined process may use.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::filter::User;
use crate::system::LimitNumber;

/// The most that a confined process may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Time on the clock.
    pub wall: Duration,
    /// Processor time over all threads; without it, the time on the clock for each thread and a little more.
    pub processor: Option<Duration>,
    /// Resident memory in bytes.
    pub memory: u64,
    /// Threads.
    pub processes: u32,
    /// Bytes in the scratch folder.
    pub disk: u64,
    /// Files and folders in the scratch folder.
    pub files: u64,
    /// Bytes of one file, memory files included: what a result may have.
    pub file: u64,
    /// Bytes on standard output and standard error together.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(3600),
            processor: None,
            memory: 4 << 30,
            processes: 128,
            disk: 256 << 20,
            files: 10_000,
            file: 2 << 30,
            output: 16 << 20,
        }
    }
}

impl Limits {
    /// The processor time that `threads` threads may use.
    pub(crate) fn processor_time(&self, threads: u32) -> Duration {
        self.processor.unwrap_or_else(|| {
            self.wall.saturating_mul(threads.max(1)).saturating_add(Duration::from_secs(10))
        })
    }

    /// The same limits as the system enforces by itself, as a second net.
    ///
    /// The number of processes counts everything that a user has, so it is only set for a user that nobody else is.
    /// The jobs of one interpreter and the interpreter itself share it, and the warden must see a job go over its own
    /// number before the system refuses: it leaves room for both.
    pub(crate) fn resources(&self, threads: u32, user: User) -> Vec<Resource> {
        let time = self.processor_time(threads);
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        let fixed = |number, value| Resource { number, soft: value, hard: value };
        let mut resources = vec![
            fixed(libc::RLIMIT_CORE, 0),
            fixed(libc::RLIMIT_NOFILE, 256),
            fixed(libc::RLIMIT_FSIZE, self.file.max(self.disk)),
            Resource { number: libc::RLIMIT_CPU, soft: seconds.max(1), hard: seconds.max(1) + 1 },
            fixed(libc::RLIMIT_DATA, self.memory.saturating_add(1 << 30)),
            fixed(libc::RLIMIT_MEMLOCK, 0),
            fixed(libc::RLIMIT_MSGQUEUE, 0),
        ];
        if user == User::Own {
            let most = u64::from(self.processes).saturating_mul(SIDE_BY_SIDE) + OTHERS;
            resources.push(fixed(libc::RLIMIT_NPROC, most));
        }
        resources
    }
}

/// Jobs of one interpreter for which the limit of a user has room.
const SIDE_BY_SIDE: u64 = 4;
/// Processes of the same user that are no job's.
const OTHERS: u64 = 64;

/// One limit as the system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) number: LimitNumber,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Which limit ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Time on the clock.
    Wall,
    /// Processor time.
    Cpu,
    /// Resident memory.
    Memory,
    /// Threads.
    Processes,
    /// Bytes or files in the scratch folder.
    Disk,
    /// Bytes on standard output and standard error.
    Output,
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Wall => "wall",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Disk => "disk",
            Self::Output => "output",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_only_for_a_user_that_is_nobody_else() {
        let limits = Limits { processes: 16, ..Limits::default() };
        let counted = |user| {
            let all = limits.resources(1, user);
            all.into_iter().find(|one| one.number == libc::RLIMIT_NPROC).map(|one| one.hard)
        };
        assert_eq!(counted(User::Same), None);
        let most = counted(User::Own).unwrap();
        assert!(most > 2 * 16 && most < 1000, "{most}");
    }
}
