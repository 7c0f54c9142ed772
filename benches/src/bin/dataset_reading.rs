//! How fast a table is registered and read, and in how much memory.
//!
//! `cargo run --release -p benches --bin dataset_reading [ROWS]` writes a table of 30 numbers and one category a row
//! (200,000 rows unless stated otherwise) as CSV and as Parquet, and prints for each step the time, the rate over
//! the file's bytes, and the highest anonymous memory (`RssAnon`) seen while it ran, in 2 ms steps. The floor is
//! hashing the same file, which no step can do without.

#![expect(clippy::print_stdout, reason = "the report is the program's purpose")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dataset::{Check, Options, Registration, Request, TabularSource};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

fn main() -> Result<()> {
    let rows = match std::env::args().nth(1) {
        Some(rows) => rows.parse().context("the number of rows is a whole number")?,
        None => 200_000,
    };
    let folder = tempfile::tempdir()?;
    let (csv, parquet) = (folder.path().join("table.csv"), folder.path().join("table.parquet"));
    println!("{rows} rows, {COLUMNS} numbers and one category a row");
    println!("{:<28}{:>8}{:>10}{:>10}{:>14}", "step", "MB", "ms", "MB/s", "RssAnon, MB");
    write_csv(&csv, rows)?;
    measure_file(&csv)?;
    write_parquet(&parquet, rows)?;
    measure_file(&parquet)?;
    Ok(())
}

/// Registers, checks and reads one file.
fn measure_file(path: &Path) -> Result<()> {
    let kind = path.extension().and_then(|name| name.to_str()).unwrap_or_default();
    let bytes = fs::metadata(path)?.len();
    let registration = report(&format!("{kind}: register"), bytes, || {
        Ok(dataset::register(path, &Options::default())?)
    })?;
    report(&format!("{kind}: hash (floor)"), bytes, || {
        anyhow::ensure!(dataset::check(path, &registration)? == Check::Unchanged);
        Ok(())
    })?;
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let mut requests: Vec<Request<'_>> = names.iter().map(|name| Request::Numbers(name)).collect();
    requests.push(Request::Categories("diagnosis"));
    read(&format!("{kind}: read all columns"), path, &registration, &requests)?;
    read(&format!("{kind}: read two columns"), path, &registration, &requests[COLUMNS - 1..])
}

fn read(
    step: &str,
    path: &Path,
    registration: &Registration,
    requests: &[Request<'_>],
) -> Result<()> {
    let table = report(step, registration.size, || {
        Ok(TabularSource::open(path, registration)?.read(requests)?)
    })?;
    anyhow::ensure!(table.complete_rows().len() as u64 == registration.rows);
    Ok(())
}

/// Runs a step, watches its memory and prints a line.
fn report<T>(step: &str, bytes: u64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = anonymous_bytes();
    let (done, highest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(before)));
    let watcher = {
        let (done, highest) = (Arc::clone(&done), Arc::clone(&highest));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                highest.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let start = Instant::now();
    let outcome = work();
    let time = start.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    watcher.join().expect("the watcher does not panic");
    let (size, memory) = (megabytes(bytes), megabytes(highest.load(Ordering::Relaxed)));
    println!("{step:<28}{size:>8.1}{:>10.1}{:>10.1}{memory:>14.1}", time * 1e3, size / time);
    outcome
}

fn write_csv(path: &Path, rows: usize) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    writeln!(file, "{},diagnosis", names.join(","))?;
    for row in 0..rows {
        for column in 0..COLUMNS {
            write!(file, "{},", cell(row, column))?;
        }
        writeln!(file, "{}", label(row))?;
    }
    Ok(file.into_inner()?.sync_all()?)
}

fn write_parquet(path: &Path, rows: usize) -> Result<()> {
    let numbers: String =
        (0..COLUMNS).map(|column| format!("required double c{column}; ")).collect();
    let schema = format!("message table {{ {numbers} required binary diagnosis (UTF8); }}");
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema, Arc::default())?;
    for first in (0..rows).step_by(GROUP_ROWS) {
        let group_rows = first..rows.min(first + GROUP_ROWS);
        let mut group = writer.next_row_group()?;
        let mut place = 0;
        while let Some(mut column) = group.next_column()? {
            if place < COLUMNS {
                let cells: Vec<f64> = group_rows.clone().map(|row| cell(row, place)).collect();
                column.typed::<DoubleType>().write_batch(&cells, None, None)?;
            } else {
                let cells: Vec<ByteArray> =
                    group_rows.clone().map(|row| label(row).into()).collect();
                column.typed::<ByteArrayType>().write_batch(&cells, None, None)?;
            }
            column.close()?;
            place += 1;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// A number with six digits that no other cell near it has.
#[expect(clippy::cast_precision_loss, reason = "the numbers only have to look like measurements")]
fn cell(row: usize, column: usize) -> f64 {
    ((row * 31 + column * 7_919) * 7_368_787 % 1_000_003) as f64 / 1000.0
}

fn label(row: usize) -> &'static str {
    if row.is_multiple_of(3) { "M" } else { "B" }
}

/// The process's anonymous resident memory; 0 where the system does not tell.
fn anonymous_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kibibytes.unwrap_or(0_u64) * 1024
}

#[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

const COLUMNS: usize = 30;
const GROUP_ROWS: usize = 20_000;
