//! The heading of every benchmark: which machine this is, and how busy it is.

use std::fs;

/// Prints the processor, its cores, the load, the day and the command, each on a line.
#[expect(clippy::print_stdout, reason = "a benchmark prints its result")]
pub fn print_heading() {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    println!("machine: {}, {cores} cores, {}", processor(), memory());
    println!("load average: {}", load());
    let arguments: Vec<String> = std::env::args().collect();
    println!("command: {}", arguments.join(" "));
}

/// The load averages of 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned())
}

fn memory() -> String {
    field("/proc/meminfo", "MemTotal")
        .map_or_else(String::new, |total| format!("{total} of memory"))
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
