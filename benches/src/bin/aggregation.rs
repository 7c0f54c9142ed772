//! Aggregates 16 updates of 100 MB and prints the read throughput, its floor and the memory.
//!
//! ```text
//! cargo run --release -p benches --bin aggregation [FOLDER]
//! ```
//!
//! The floor is the same bytes read in the same chunks by the same number of threads without any
//! arithmetic, right before and after. The files are written once and are then in the page cache:
//! what is measured is the processor's part, not the disk's. Memory is the peak of `RssAnon`, sampled
//! every millisecond by a thread that does nothing else. Processor time is printed beside wall time: it
//! tells what the work costs where the machine has other work too. Each mean gets a name that is free, as
//! each round's does: to rename over a file of 100 MB makes ext4 write the new one out at once.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use aggregation::{FedAvg, Output, Update, Weights};
use anyhow::Context as _;
use benches::machine;
use parameters::{Dtype, Durability, Reader, Schema, TensorSchema, Writer};
use rustix::time::{ClockId, clock_gettime};

fn main() -> anyhow::Result<()> {
    machine::print_heading();
    let folder = match std::env::args_os().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let schema = schema()?;
    let paths = (0..UPDATES)
        .map(|number| write_update(folder.path(), number, &schema))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let bytes = schema.data_bytes() * UPDATES;
    println!("{UPDATES} updates of {} bytes, {threads} threads", schema.data_bytes());
    let target = folder.path().join("mean.safetensors");
    let done = AtomicBool::new(false);
    let peak = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample_memory(&done));
        let measured = measure(&paths, &schema, threads, bytes, &target);
        done.store(true, Ordering::Relaxed);
        let peak = sampler.join().map_err(|_| anyhow::anyhow!("the sampler panicked"))?;
        measured.and(peak)
    })?;
    println!("peak RssAnon {:.1} MB (target < 64)", to_mega(peak));
    println!("VmHWM {:.1} MB", to_mega(status_bytes("VmHWM:")?));
    Ok(())
}

/// Runs floor and aggregation in turn and prints the best and the median of each.
fn measure(
    paths: &[PathBuf],
    schema: &Schema,
    threads: NonZeroUsize,
    bytes: u64,
    target: &Path,
) -> anyhow::Result<()> {
    let (mut floors, mut means) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        floors.push(timed(|| read_only(paths, schema, threads))?);
        if target.exists() {
            std::fs::remove_file(target)?;
        }
        means.push(timed(|| aggregate(paths, schema, threads, target))?);
    }
    for (name, times) in [("floor: read only", &mut floors), ("aggregation", &mut means)] {
        times.sort();
        let (best, median) = (times[0].0, times[RUNS / 2].0);
        let mut processor: Vec<Duration> = times.iter().map(|(_, processor)| *processor).collect();
        processor.sort();
        println!(
            "{name}: median {median:.3?} = {:.2} GB/s, best {best:.3?} = {:.2} GB/s; processor time median {:.3?}",
            to_giga(bytes) / median.as_secs_f64(),
            to_giga(bytes) / best.as_secs_f64(),
            processor[RUNS / 2]
        );
    }
    Ok(())
}

fn aggregate(
    paths: &[PathBuf],
    schema: &Schema,
    threads: NonZeroUsize,
    target: &Path,
) -> anyhow::Result<()> {
    let update = |(number, path): (usize, &PathBuf)| {
        Ok(Update {
            node: format!("node-{number:02}").parse()?,
            dataset: "records".parse()?,
            sample_count: 100 + number as u64,
            reader: Reader::open(path)?,
        })
    };
    let updates = paths.iter().enumerate().map(update).collect::<anyhow::Result<Vec<_>>>()?;
    let output = Output { path: target, description: None, durability: Durability::Renamed };
    let fed_avg = FedAvg { weights: Weights::Samples, threads };
    fed_avg.aggregate(schema, &updates, output)?;
    Ok(())
}

fn read_only(paths: &[PathBuf], schema: &Schema, threads: NonZeroUsize) -> anyhow::Result<()> {
    let readers = paths.iter().map(|path| Reader::open(path)).collect::<Result<Vec<_>, _>>()?;
    let chunks: Vec<(usize, u64)> = (0..schema.tensors().len())
        .flat_map(|tensor| {
            let starts = (0..schema.bytes(tensor)).step_by(CHUNK_BYTES);
            starts.map(move |start| (tensor, start))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Some((tensor, start)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let length = (schema.bytes(*tensor) - start).min(CHUNK_BYTES as u64);
            let buffer = &mut buffer[..usize::try_from(length)?];
            readers.iter().try_for_each(|reader| reader.read_at(*tensor, *start, buffer))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, anyhow::Result<()>>| {
            worker.join().map_err(|_| anyhow::anyhow!("a reader panicked"))?
        };
        workers.into_iter().try_for_each(join)
    })
}

/// Describes 100 MB of F32 as a model has them: a few large tensors and many small ones.
fn schema() -> anyhow::Result<Schema> {
    let mut tensors: Vec<_> = (0..48)
        .flat_map(|layer| {
            [
                TensorSchema::new(&format!("layers.{layer}.weight"), Dtype::F32, &[1024, 508]),
                TensorSchema::new(&format!("layers.{layer}.bias"), Dtype::F32, &[508]),
            ]
        })
        .collect();
    let elements: usize = tensors.iter().filter_map(TensorSchema::checked_elements).sum();
    tensors.push(TensorSchema::new("head", Dtype::F32, &[25_000_000 - elements]));
    Ok(Schema::new(tensors)?)
}

fn write_update(folder: &Path, number: u64, schema: &Schema) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("update-{number}.safetensors"));
    let mut writer = Writer::create(&path, schema, None)?;
    let mut state = number;
    let mut value = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The upper bits as a number in [1, 2), less 1.5.
        let fraction = (state >> 41) as u32;
        f32::from_bits(0x3f80_0000 | fraction) - 1.5
    };
    let mut left = schema.data_bytes();
    while left > 0 {
        let length = left.min(1 << 20);
        let bytes: Vec<u8> = (0..length / 4).flat_map(|_| value().to_le_bytes()).collect();
        writer.append(&bytes)?;
        left -= length;
    }
    writer.finish(Durability::Renamed)?;
    Ok(path)
}

/// Returns wall time and processor time.
fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<(Duration, Duration)> {
    let (start, processor) = (Instant::now(), processor_time()?);
    work()?;
    Ok((start.elapsed(), processor_time()? - processor))
}

fn processor_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::ProcessCPUTime).try_into()?)
}

fn sample_memory(done: &AtomicBool) -> anyhow::Result<u64> {
    let mut peak = 0;
    while !done.load(Ordering::Relaxed) {
        peak = peak.max(status_bytes("RssAnon:")?);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(peak)
}

fn status_bytes(key: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.with_context(|| format!("no {key} in the status"))?.parse::<u64>()? * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "for printing")]
fn to_giga(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "for printing")]
fn to_mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

const UPDATES: u64 = 16;
const RUNS: usize = 9;
/// As aggregation reads.
const CHUNK_BYTES: usize = 128 << 10;
