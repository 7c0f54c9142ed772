//! What this process occupies and uses.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Returns the anonymous memory now and the resident peak, in megabytes.
pub(crate) fn in_megabytes() -> io::Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    Ok((value("RssAnon").unwrap_or(0) / 1000, value("VmHWM").unwrap_or(0) / 1000))
}

/// Returns the processor time of all threads since the last call, in steps of 10 ms.
pub(crate) fn processor_time_since_last() -> Duration {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = ticks().unwrap_or(0);
    Duration::from_millis((now - LAST.swap(now, Ordering::Relaxed).min(now)) * 10)
}

/// User and system time in hundredths of a second: fields 14 and 15 of `/proc/self/stat`.
fn ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let mut times = after_name.split(' ').skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}
