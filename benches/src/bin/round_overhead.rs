//! What a round costs beside its training: two nodes, one dense unit, sixteen rows.
//!
//! `cargo run --release -p benches --bin round_overhead [-- ROUNDS]`, after `cargo build --release -p wardround`; 150
//! rounds by default. The overhead of a round is the time between its dispatch and the next, less the longest
//! `rtime_training` among its nodes. A dispatch is committed and then told, so the time is taken where the researcher
//! hears `round-started`; the journal's own instants, which have whole milliseconds, are printed beside it.
//!
//! The floor replays what a round commits and synchronises, in the same order, on the same disk, in the same run, with
//! nothing between: the same number of commits through the same SQLite settings and the same files. How many they are
//! was counted with `round_overhead count`, which needs `strace` and counts again.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use benches::federation::{Federation, Line, Study};
use benches::machine;
use benches::memory;
use benches::model::{experiment, small_plan, table};
use benches::spread::Spread;
use store::Database;
use store::database::{Error, Migration, Migrations};

fn main() -> anyhow::Result<()> {
    machine::print_heading();
    let argument = std::env::args().nth(1);
    let counts = argument.as_deref() == Some("count");
    let rounds = match &argument {
        Some(number) if !counts => number.parse()?,
        _ => 150,
    };
    let federation = Federation::start(2, &table(16))?;
    let tracers = if counts { trace(&federation)? } else { Vec::new() };
    let before = replay(federation.folder(), rounds)?;
    let processor = processor_times(&federation);
    let measured = measure(&federation, rounds)?;
    let spent = processor_times(&federation).into_iter().zip(processor);
    let after = replay(federation.folder(), rounds)?;
    for (name, tracer) in tracers {
        println!("{name}, {rounds} rounds:\n{}", tracer.finish()?);
    }
    let floor = Spread::of(before.into_iter().chain(after));
    println!("overhead of a round, as the researcher hears it: {}", Spread::new(measured.heard));
    println!("overhead of a round, by the journal's instants: {}", Spread::new(measured.journaled));
    println!("longest training of a round: {}", Spread::new(measured.training));
    for ((name, after), (_, before)) in spent {
        let time = (after - before).as_secs_f64() * 1e3 / f64::from(rounds);
        println!("processor time a round, {name}: {time:.1} ms");
    }
    println!("floor, its commits and synchronisations alone: {floor}");
    println!("target: median <= floor + 5 ms = {:.1} ms", floor.median() * 1e3 + 5.0);
    println!("load average at the end: {}", machine::load());
    Ok(())
}

/// What each daemon has used so far, all threads.
fn processor_times(federation: &Federation) -> Vec<(String, Duration)> {
    let daemons = std::iter::once(&federation.coordinator).chain(&federation.nodes);
    daemons.map(|one| (one.name().to_owned(), memory::processor_time(one.id()))).collect()
}

#[derive(Default)]
struct Measured {
    heard: Vec<f64>,
    journaled: Vec<f64>,
    training: Vec<f64>,
}

fn measure(federation: &Federation, rounds: u32) -> anyhow::Result<Measured> {
    let experiment = experiment(rounds + 1, 1);
    let study = Study { plan: &small_plan(), experiment: &experiment, parameters: None };
    let mut watch = federation.submit(&study)?;
    let mut measured = Measured::default();
    let mut last = watch.await_event("round-started")?;
    for _ in 0..rounds {
        let finished = watch.await_event("round-finished")?;
        let next = watch.await_event("round-started")?;
        let training = longest_training(&finished)?;
        measured.heard.push((next.at - last.at).as_secs_f64() - training);
        measured.journaled.push(journaled(&next)? - journaled(&last)? - training);
        measured.training.push(training);
        last = next;
    }
    watch.await_event("completed")?;
    Ok(measured)
}

fn longest_training(finished: &Line) -> anyhow::Result<f64> {
    let sites = finished.value["sites"].as_array().context("a round has sites")?;
    let times = sites.iter().filter_map(|site| site["training_seconds"].as_f64());
    times.reduce(f64::max).context("a site tells how long it trained")
}

fn journaled(line: &Line) -> anyhow::Result<f64> {
    Ok(line.value["at"].as_f64().context("an event has an instant")? / 1e3)
}

/// The commits and files of some rounds: two nodes at once, then the coordinator.
fn replay(folder: &Path, rounds: u32) -> anyhow::Result<Vec<Duration>> {
    let place = tempfile::tempdir_in(folder)?;
    let open = |name: &str| Database::open(&place.path().join(name), &[TABLES]);
    let (coordinator, nodes) = (open("coordinator")?, [open("first")?, open("second")?]);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let site = |node| {
                let (coordinator, place) = (&coordinator, place.path());
                scope.spawn(move || -> anyhow::Result<()> {
                    commit(node, NODE_COMMITS)?;
                    // What the coordinator writes for a site: a note that an update comes. How far the site is, is
                    // written with whatever comes next.
                    commit(coordinator, 1)?;
                    synchronise_file(place, &format!("update-{:?}", std::thread::current().id()))?;
                    // The reply, at both.
                    commit(node, 1)?;
                    commit(coordinator, 1)
                })
            };
            let sites = [site(&nodes[0]), site(&nodes[1])];
            for site in sites {
                site.join().map_err(|_| anyhow::anyhow!("a replay panicked"))??;
            }
            Ok(())
        })?;
        synchronise_file(place.path(), "mean")?;
        commit(&coordinator, COORDINATOR_COMMITS)?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn commit(database: &Database, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        database.write_blocking(|transaction| -> Result<_, Error> {
            Ok(transaction.execute("INSERT INTO entries (body) VALUES (?1)", [BODY])?)
        })?;
    }
    Ok(())
}

fn synchronise_file(folder: &Path, name: &str) -> anyhow::Result<()> {
    let temporary = folder.join(format!("{name}.temporary"));
    let mut file = File::create(&temporary)?;
    file.write_all(BODY.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, folder.join(name))?;
    Ok(File::open(folder)?.sync_all()?)
}

struct Tracer(Child);

fn trace(federation: &Federation) -> anyhow::Result<Vec<(String, Tracer)>> {
    let daemons = std::iter::once(&federation.coordinator).chain(&federation.nodes);
    let start = |daemon: &benches::federation::Daemon| {
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-p", &daemon.id().to_string()]);
        let child = command.stderr(Stdio::piped()).spawn().context("strace is needed")?;
        Ok((daemon.name().to_owned(), Tracer(child)))
    };
    daemons.map(start).collect()
}

impl Tracer {
    fn finish(self) -> anyhow::Result<String> {
        let interrupt = rustix::process::Signal::INT;
        let process = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(process.context("strace has a number")?, interrupt)?;
        let output = self.0.wait_with_output()?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// At a node before its update is sent: accepted, attempt started, exported. The reply is one more.
const NODE_COMMITS: usize = 3;
/// At the coordinator once the mean is kept: its event with the round's end, then the next dispatch.
const COORDINATOR_COMMITS: usize = 2;
/// As long as an entry of the journal.
const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const TABLES: Migrations = Migrations {
    component: "replay",
    steps: &[Migration {
        version: 1,
        sql: "CREATE TABLE entries (number INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    }],
};
