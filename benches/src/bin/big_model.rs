//! Parameters through two nodes and back: how long a round takes that only carries, and what it occupies.
//!
//! `cargo run --release -p benches --bin big_model [-- MEGABYTES[xROUNDS]…]`, after `cargo build --release -p
//! wardround`; `100x7 1000x3` by default.
//!
//! Each round is an experiment of its own, with parameters that nobody has seen. Both nodes fetch them, load them,
//! train for no epoch, write them as their update and bring it; the coordinator averages the two. The time is that
//! between the journal's `round-started` and `round-finished`. The floor of the same run is what the machine takes to
//! move the bytes that must move, two streams at once: sent over loopback, hashed as they arrive and written, down and
//! up; what goes up is synchronised, and the disk begins with it while bytes still arrive. Then two files are read, and
//! one is written and hashed, by two threads. The mean of two equal updates has their bytes, which are on the disk
//! already: it is not synchronised again. The nodes' writing of their updates is no part of the floor.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::federation::{Federation, Study};
use benches::machine;
use benches::memory::{Peak, Sampler, processor_time, written_bytes};
use benches::model::{WideModel, experiment, table};
use benches::spread::Spread;
use protocol::Digester;

fn main() -> anyhow::Result<()> {
    machine::print_heading();
    let mut sizes = Vec::new();
    for argument in std::env::args().skip(1) {
        let (megabytes, rounds) = argument.split_once('x').unwrap_or((&argument, "3"));
        sizes.push((megabytes.parse()?, rounds.parse()?));
    }
    if sizes.is_empty() {
        sizes = vec![(100, 7), (1000, 3)];
    }
    for (megabytes, rounds) in sizes {
        measure(megabytes, rounds)?;
    }
    println!("load average at the end: {}", machine::load());
    Ok(())
}

fn measure(megabytes: u64, rounds: u64) -> anyhow::Result<()> {
    let federation = Federation::start(2, &table(40))?;
    let model = WideModel::of_megabytes(megabytes);
    let parameters = federation.folder().join("parameters.safetensors");
    let (mut times, mut floors, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut phases, mut processors) = (Vec::new(), Vec::new());
    let (mut bytes, mut left_out) = (0, 0);
    for round in 0..rounds * 4 {
        if times.len() as u64 == rounds {
            break;
        }
        bytes = model.write(&parameters, round + megabytes)?;
        let floor = floor(&parameters, federation.folder())?;
        let carried = carry(&federation, model, &parameters)?;
        peaks.push(carried.peaks);
        // The parameters, two updates and their mean: whatever of it was not written did not travel.
        let is_whole = carried.written > bytes * 39 / 10;
        // The first round also meets a plan that nobody knows.
        if round > 0 && is_whole {
            floors.push(floor);
            times.push(carried.time);
            processors.push(carried.processor);
            phases = federation.last_phases()?;
        } else {
            left_out += 1;
        }
    }
    ensure!(!times.is_empty(), "in no round both updates travelled");
    let targets = if megabytes > 500 { "10 s" } else { "1.0 s" };
    println!("\n{:.1} MB through 2 nodes both ways", mega(bytes));
    println!("  round: {} (target < {targets})", Spread::of(times));
    println!("  floor: {}", Spread::of(floors));
    for (index, name) in
        ["coordinator, submission included", "node", "other node"].iter().enumerate()
    {
        let used = Spread::of(processors.iter().map(|round| round[index]));
        println!("  processor time of the {name}: {used}");
    }
    println!("  left out: {left_out}, the first, and those in which not all was written");
    println!("  phases of the last round at one node: {}", phases.join(", "));
    for (index, (name, target)) in
        [("coordinator", "< 64 MB"), ("node", "<= 1.5 x model"), ("other node", "<= 1.5 x model")]
            .into_iter()
            .enumerate()
    {
        let anonymous = peaks.iter().map(|peak| peak[index].anonymous).max().unwrap_or(0);
        let resident = peaks.iter().map(|peak| peak[index].resident).max().unwrap_or(0);
        println!(
            "  {name}: peak RssAnon {:.1} MB = {:.2} x model (target {target}), VmHWM {:.1} MB",
            mega(anonymous),
            mega(anonymous) / mega(bytes),
            mega(resident)
        );
    }
    Ok(())
}

/// What one round took.
struct Carried {
    time: Duration,
    /// Of the coordinator, then of the nodes.
    peaks: Vec<Peak>,
    /// Processor time, likewise.
    processor: [Duration; 3],
    /// Bytes that the coordinator wrote to the disk.
    written: u64,
}

fn carry(federation: &Federation, model: WideModel, parameters: &Path) -> anyhow::Result<Carried> {
    let coordinator = federation.coordinator.id();
    let processes =
        std::iter::once(coordinator).chain(federation.nodes.iter().map(|node| node.id()));
    let processes: Vec<u32> = processes.collect();
    let used = |before: [Duration; 3]| {
        std::array::from_fn(|index| processor_time(processes[index]).saturating_sub(before[index]))
    };
    let before_all: [Duration; 3] = used([Duration::ZERO; 3]);
    let sampler = Sampler::start(processes.clone());
    let experiment = experiment(1, 0);
    let study =
        Study { plan: &model.plan(), experiment: &experiment, parameters: Some(parameters) };
    let before = written_bytes(coordinator);
    let mut watch = federation.submit(&study)?;
    let started = at(&watch.await_event("round-started")?.value)?;
    let finished = at(&watch.await_event("round-finished")?.value)?;
    watch.await_event("completed")?;
    let peaks = sampler.stop();
    let written = written_bytes(coordinator) - before;
    let processor = used(before_all);
    Ok(Carried { time: Duration::from_millis(finished - started), peaks, processor, written })
}

fn at(event: &serde_json::Value) -> anyhow::Result<u64> {
    event["at"].as_u64().context("an event has an instant")
}

/// The same bytes over the same loopback and disk, without a round around them.
fn floor(parameters: &Path, folder: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    // Down: hashed as they arrive, and written.
    both(|stream| pass(parameters, &folder.join(format!("down-{stream}")), false))?;
    // Up: hashed as they arrive, written and synchronised.
    both(|stream| {
        let from = folder.join(format!("down-{stream}"));
        pass(&from, &folder.join(format!("up-{stream}")), true)
    })?;
    // The mean: two files read, one written and hashed.
    mean(folder)?;
    let took = begun.elapsed();
    for name in ["down-0", "down-1", "up-0", "up-1", "mean"] {
        std::fs::remove_file(folder.join(name))?;
    }
    Ok(took)
}

fn both(work: impl Fn(usize) -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work(1));
        work(0)?;
        other.join().map_err(|_| anyhow::anyhow!("a stream panicked"))?
    })
}

fn pass(from: &Path, to: &Path, synchronise: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || -> anyhow::Result<()> {
            let mut stream = TcpStream::connect(address)?;
            let mut file = File::open(from)?;
            let mut buffer = vec![0; CHUNK];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => stream.write_all(&buffer[..count])?,
                }
            }
        });
        let (mut stream, _) = listener.accept()?;
        let (mut file, mut digester) = (File::create(to)?, Digester::new());
        let early = file.try_clone()?;
        let (windows, filled) = mpsc::channel::<()>();
        let writing_back = scope.spawn(move || filled.iter().try_for_each(|()| early.sync_data()));
        let mut buffer = vec![0; CHUNK];
        let mut since = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => break,
                count => {
                    digester.update(&buffer[..count]);
                    file.write_all(&buffer[..count])?;
                    since += count;
                }
            }
            if synchronise && since >= WINDOW {
                since = 0;
                let _asked = windows.send(());
            }
        }
        std::hint::black_box(digester.finish());
        drop(windows);
        writing_back.join().map_err(|_| anyhow::anyhow!("the writer back panicked"))??;
        if synchronise {
            file.sync_all()?;
        }
        sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
    })
}

fn mean(folder: &Path) -> anyhow::Result<()> {
    let mut inputs = [File::open(folder.join("up-0"))?, File::open(folder.join("up-1"))?];
    let mut file = File::create(folder.join("mean"))?;
    let (chunks, written) = mpsc::sync_channel::<Vec<u8>>(4);
    let (free, used) = mpsc::channel();
    std::thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            let mut digester = Digester::new();
            for chunk in written {
                digester.update(&chunk);
                // Nobody fills it again after the last.
                let _taken = free.send(chunk);
            }
            digester.finish()
        });
        let mut other = vec![0; CHUNK];
        loop {
            let mut buffer: Vec<u8> = used.try_recv().unwrap_or_default();
            buffer.resize(CHUNK, 0);
            let count = inputs[0].read(&mut buffer)?;
            let _same = inputs[1].read(&mut other)?;
            if count == 0 {
                break;
            }
            buffer.truncate(count);
            file.write_all(&buffer)?;
            chunks.send(buffer)?;
        }
        drop(chunks);
        let digest = hashing.join().map_err(|_| anyhow::anyhow!("the hasher panicked"))?;
        std::hint::black_box(digest);
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "for printing")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

const CHUNK: usize = 256 << 10;

/// Bytes after which the disk is asked to begin.
const WINDOW: usize = 8 << 20;
