//! What a process uses, as the system tells it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a process uses at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Memory in bytes, without the pages of files.
    pub(crate) memory: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// Asks what a process uses. It is named by its descriptor, so it cannot be taken for a later one.
///
/// Counted is what the system cannot take back by itself: the process's own and its shared memory,
/// what of it was swapped out, and the tables that it takes to address it, which grow also where
/// only zeroes are read. Pages of files are not counted. Memory that is shared with others is counted
/// by its share, but only once the whole of it would be too much: that answer takes the system
/// longer, and is not given to everybody.
pub(crate) fn usage(process: &OwnedFd, limit: u64) -> io::Result<Usage> {
    let path = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
    let known = std::fs::read_to_string(path)?;
    let identifier = field(&known, "Pid:").filter(|identifier| *identifier > 0);
    let identifier = identifier.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let status = std::fs::read_to_string(format!("/proc/{identifier}/status"))?;
    let besides = kilobytes(&status, "VmSwap:") + kilobytes(&status, "VmPTE:");
    let mut memory = kilobytes(&status, "RssAnon:") + kilobytes(&status, "RssShmem:") + besides;
    if memory > limit
        && let Ok(detail) = std::fs::read_to_string(format!("/proc/{identifier}/smaps_rollup"))
        && detail.contains("Pss_Anon:")
    {
        memory = kilobytes(&detail, "Pss_Anon:") + kilobytes(&detail, "Pss_Shmem:") + besides;
    }
    let threads = field(&status, "Threads:").and_then(|count| u64::try_from(count).ok());
    Ok(Usage { memory, threads: threads.unwrap_or(0) })
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let value = field(text, name).and_then(|value| u64::try_from(value).ok());
    value.unwrap_or(0).saturating_mul(1024)
}

fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_a_thread() {
        let own = rustix::process::getpid();
        let process =
            rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).unwrap();
        let whole = usage(&process, u64::MAX).unwrap();
        assert!(whole.memory > 100_000 && whole.threads >= 1);
        let share = usage(&process, 0).unwrap();
        assert!(share.memory > 0 && share.memory <= whole.memory + (8 << 20));
    }
}
