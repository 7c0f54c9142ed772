//! What a process occupies and uses, read from `/proc`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The peaks of one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peak {
    /// The largest sampled `RssAnon`, in bytes: what the process has to itself.
    pub anonymous: u64,
    /// `VmHWM`, in bytes: with every page of a mapped file, program text included.
    pub resident: u64,
}

/// Reads the memory of some processes again and again until it is told to stop.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Peak>>,
}

impl Sampler {
    /// Starts to sample.
    pub fn start(processes: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let page = kilobytes("/proc/self/smaps", "KernelPageSize").unwrap_or(4) * 1024;
        let thread = std::thread::spawn(move || sample(&processes, page, &asked));
        Self { stop, thread }
    }

    /// Stops, and gives each process's peaks in the order of the start.
    ///
    /// # Panics
    ///
    /// Panics where sampling has.
    pub fn stop(self) -> Vec<Peak> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("sampling does not panic")
    }
}

/// Reads one line of `/proc/PID/status`, in bytes; 0 where the process is gone.
pub fn status_bytes(process: u32, key: &str) -> u64 {
    kilobytes(&format!("/proc/{process}/status"), key).unwrap_or(0) * 1024
}

/// How many bytes a process has caused to be written to a disk.
pub fn written_bytes(process: u32) -> u64 {
    kilobytes(&format!("/proc/{process}/io"), "write_bytes").unwrap_or(0)
}

/// User and system time of all threads of a process, in steps of 10 ms.
pub fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Fields 14 and 15; the second is a name that may hold anything.
    let times = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
    let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn sample(processes: &[u32], page: u64, asked: &AtomicBool) -> Vec<Peak> {
    let mut peaks = vec![Peak::default(); processes.len()];
    while !asked.load(Ordering::Relaxed) {
        for (process, peak) in processes.iter().zip(&mut peaks) {
            peak.anonymous = peak.anonymous.max(anonymous_pages(*process) * page);
        }
        std::thread::sleep(INTERVAL);
    }
    for (process, peak) in processes.iter().zip(&mut peaks) {
        peak.resident = status_bytes(*process, "VmHWM");
    }
    peaks
}

/// `RssAnon`: what is resident and not shared with a file. The kernel writes `statm` in a fraction of the time that
/// `status` takes, which is read here so often that it would slow down what is measured.
fn anonymous_pages(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let mut pages = text.split(' ').skip(1).map_while(|count| count.parse::<u64>().ok());
    let (resident, shared) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    resident.saturating_sub(shared)
}

fn kilobytes(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Between two samples.
const INTERVAL: Duration = Duration::from_millis(2);
