//! What a node occupies while it waits and after twenty rounds, how fast the daemons start, how large the program is.
//!
//! `cargo run --release -p benches --bin idle_node`, after `cargo build --release -p wardround`.
//! The floor of a start is `wardround --version` of the same program in the same run: a process that does nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use benches::federation::{Federation, Study, program};
use benches::memory::status_bytes;
use benches::model::{experiment, small_plan, table};
use benches::spread::Spread;
use benches::{federation, machine};

fn main() -> anyhow::Result<()> {
    machine::print_heading();
    let size = std::fs::metadata(program()?)?.len();
    println!("program: {} (target < 40 MB)", megabytes(size));
    println!("floor of a start, `wardround --version`: {}", Spread::of(starts(version)?));
    println!("coordinator until it listens: {}", Spread::of(starts(federation::time_coordinator)?));
    let (begun, federation) = (Instant::now(), Federation::start(2, &table(ROWS))?);
    println!("coordinator and two nodes prepared, started and connected: {:.0?}", begun.elapsed());
    println!("node until it is connected: {}", Spread::of(federation.connecting()));
    let node = federation.nodes[0].id();
    std::thread::sleep(SETTLE);
    println!("node after {SETTLE:?} connected: {} (VmRSS target < 20 MB)", occupied(node));
    println!("coordinator then: {}", occupied(federation.coordinator.id()));
    let experiment = experiment(ROUNDS, 1);
    let study = Study { plan: &small_plan(), experiment: &experiment, parameters: None };
    federation.submit(&study)?.await_event("completed")?;
    println!("node after round {ROUNDS}: {} (VmRSS target < 40 MB)", occupied(node));
    println!("coordinator then: {}", occupied(federation.coordinator.id()));
    println!("load average at the end: {}", machine::load());
    Ok(())
}

fn starts(one: impl Fn() -> anyhow::Result<Duration>) -> anyhow::Result<Vec<Duration>> {
    (0..STARTS).map(|_| one()).collect()
}

fn version() -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let status = Command::new(program()?).arg("--version").stdout(Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "`wardround --version` fails");
    Ok(begun.elapsed())
}

fn occupied(process: u32) -> String {
    let [now, anonymous, most] =
        ["VmRSS", "RssAnon", "VmHWM"].map(|key| megabytes(status_bytes(process, key)));
    format!("VmRSS {now}, RssAnon {anonymous}, VmHWM {most}")
}

#[expect(clippy::cast_precision_loss, reason = "for printing")]
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

const STARTS: usize = 9;
const ROUNDS: u32 = 20;
const ROWS: usize = 569;
const SETTLE: Duration = Duration::from_secs(10);
