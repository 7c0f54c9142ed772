//! `wardround node audit report`.

mod period;
mod sheet;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use node::audit::{self, Expectation, InspectionError, Record, Verified};
use serde::Serialize;

use super::list::{instant, instant_of};
use super::{folder, refused};
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;
use period::Period;

/// Which period, and where the sheet goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The sheet, which is written whole or not at all; one that is there is replaced.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// From then on: a date, an instant in UTC, or how long ago; without it, from the log's beginning.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<SystemTime>,
    /// Up to then, not included; without it, up to now.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<SystemTime>,
    #[command(flatten)]
    folder: Folder,
}

/// What a sheet came to.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    records: usize,
    rounds: usize,
    is_verified: bool,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { output, from, to, folder: given } = arguments;
    let folder = folder(given)?;
    let name = super::super::configuration(&folder)?.name;
    let now = SystemTime::now();
    let is_within = |record: &Record| {
        let at = instant_of(record);
        from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
    };
    let (verified, mut records) = (verify(&folder)?, records(&folder)?);
    records.retain(is_within);
    let period = Period::of(&records);
    let text =
        sheet::Sheet { node: name.as_str(), from, to, now, verified: &verified, period: &period };
    write(&output, &text.to_string()).map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}", output.display()))
    })?;
    let report = Report {
        file: output,
        records: records.len(),
        rounds: period.rounds.len(),
        is_verified: verified.is_ok(),
    };
    printer.result(&report, |report| {
        let Report { file, records, rounds, .. } = report;
        format!("{} tells of {records} records and {rounds} rounds", file.display())
    });
    // The sheet says so at its top, and nobody should miss it here.
    verified.map(drop).map_err(|error| refused(&error))
}

/// Writes a sheet whole or not at all.
fn write(to: &Path, text: &str) -> std::io::Result<()> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(parent.unwrap_or_else(|| Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(to)?;
    Ok(())
}

/// The log's own state: whole, or where it is not; nothing recorded yet is whole.
fn verify(folder: &node::Folder) -> Result<Result<Option<Verified>, InspectionError>, Failure> {
    match audit::verify_own(folder, Expectation::default()) {
        Ok(verified) => Ok(Ok(Some(verified))),
        Err(InspectionError::Absent) => Ok(Ok(None)),
        Err(error) => Ok(Err(error)),
    }
}

/// What can be read, up to the first bad record.
fn records(folder: &node::Folder) -> Result<Vec<Record>, Failure> {
    match audit::open(folder) {
        Ok(source) => Ok(audit::records(source)
            .map(|records| records.flatten().collect())
            .unwrap_or_default()),
        Err(InspectionError::Absent) => Ok(Vec::new()),
        Err(error) => Err(refused(&error)),
    }
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
The sheet is one HTML file without scripts and without links to anywhere, for reading and printing: whether the
log is whole, which datasets were used by whom, each round with what left and what was refused, and every
decision of the owner. It is made of the audit log alone, so it has no value of a dataset.

  wardround node audit report --from 2026-01-01 --to 2026-04-01 --output first-quarter.html";
