//! What a round costs beside its training: two nodes, one dense unit, sixteen rows.
//!
//! `cargo run --release -p benches --bin round_overhead [-- ROUNDS]`, after `cargo build --release -p wardround`; 150
//! rounds by default. The overhead of a round is the time between its dispatch and the next, less the longest
//! `rtime_training` among its nodes. A dispatch is committed and then told, so the time is taken where the researcher
//! hears `round-started`; the journal's own instants, which have whole milliseconds, are printed beside it.
//!
//! The floor replays what a round commits and synchronises, in the same order, on the same disk, in the same run, with
//! nothing between: the same commits through the same SQLite settings, about as many rows in as many tables, and the
//! same synchronised files. Those are, one after the other:
//!
//! - at each node, both at once: the commit of acceptance and attempt; the audit record of the start; the commit of
//!   the export; the audit record of the release; the commit of the reply;
//! - at the coordinator: the commit of each reply. That of the last one ends the round and begins the next.
//!
//! The acknowledgement of a reply, which a node writes with whatever it writes next, is in the acceptance; files that
//! are not synchronised are left out. `round_overhead count`, which needs `strace`, counts again.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
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

/// The commits and synchronisations of some rounds: two nodes at once, each with its part of the coordinator's.
fn replay(folder: &Path, rounds: u32) -> anyhow::Result<Vec<Duration>> {
    let place = tempfile::tempdir_in(folder)?;
    let open = |name: &str| Database::open(&place.path().join(name), &[TABLES]);
    let (coordinator, nodes) = (open("coordinator")?, [open("first")?, open("second")?]);
    let logs = ["first.log", "second.log"].map(|name| File::create(place.path().join(name)));
    let mut times = Vec::new();
    let replied = Mutex::new(0);
    for _ in 0..rounds {
        let begun = Instant::now();
        *replied.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let site = |index: usize| {
                let (coordinator, nodes, replied) = (&coordinator, &nodes, &replied);
                let node = &nodes[index];
                let log = logs[index].as_ref();
                scope.spawn(move || -> anyhow::Result<()> {
                    let log = log.map_err(|error| anyhow::anyhow!("no log: {error}"))?;
                    commit(node, ACCEPTANCE)?;
                    record(log)?;
                    commit(node, EXPORT)?;
                    record(log)?;
                    commit(node, REPLY)?;
                    let is_last = {
                        let mut replied = replied.lock().unwrap_or_else(PoisonError::into_inner);
                        *replied += 1;
                        *replied == nodes.len()
                    };
                    commit(coordinator, if is_last { END } else { TAKEN })
                })
            };
            let sites = [site(0), site(1)];
            for site in sites {
                site.join().map_err(|_| anyhow::anyhow!("a replay panicked"))??;
            }
            Ok(())
        })?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// One row in each of these tables, in one commit.
fn commit(database: &Database, rows: &'static [usize]) -> anyhow::Result<()> {
    database.write_blocking(move |transaction| -> Result<_, Error> {
        for table in rows {
            let insert = format!("INSERT INTO entries_{table} (name, body) VALUES (?1, ?2)");
            transaction.execute(&insert, (uuid::Uuid::now_v7().to_string(), BODY))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// A record of the audit log.
fn record(mut log: &File) -> anyhow::Result<()> {
    log.write_all(BODY.as_bytes())?;
    Ok(log.sync_data()?)
}

struct Tracer(Child);

fn trace(federation: &Federation) -> anyhow::Result<Vec<(String, Tracer)>> {
    let daemons = std::iter::once(&federation.coordinator).chain(&federation.nodes);
    let start = |daemon: &benches::federation::Daemon| {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-c",
            "-e",
            "trace=fsync,fdatasync,rename",
            "-p",
            &daemon.id().to_string(),
        ]);
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

/// At a node, when it accepts: its machine's row, its first two events with the last one of the round before, its row.
const ACCEPTANCE: &[usize] = &[0, 1, 1, 1, 2];
/// When the update is exported: the event, and what it changes.
const EXPORT: &[usize] = &[0, 1, 2];
/// When the reply is written: as before, with the update.
const REPLY: &[usize] = &[0, 1, 2, 3];
/// At the coordinator, when a reply is taken: journal, experiment, what watchers are told, the reply, its update.
const TAKEN: &[usize] = &[0, 1, 2, 3, 3, 3, 4, 5];
/// When the last one is: beside it the journal of mean and end, the snapshot, the mean, the round and the next one,
/// its executions, what watchers are told, and the scalars.
const END: &[usize] = &[0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 7, 7, 8, 8, 9, 9];
/// As long as an entry of the journal.
const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// As many as a commit changes; each has an index of its names, as most of ours have.
const TABLES: Migrations = Migrations {
    component: "replay",
    steps: &[Migration {
        version: 1,
        sql: "
            CREATE TABLE entries_0 (number INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT);
            CREATE TABLE entries_1 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
            CREATE TABLE entries_2 (number INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT);
            CREATE TABLE entries_3 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
            CREATE TABLE entries_4 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
            CREATE TABLE entries_5 (number INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT);
            CREATE TABLE entries_6 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
            CREATE TABLE entries_7 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
            CREATE TABLE entries_8 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
            CREATE TABLE entries_9 (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
        ",
    }],
};
