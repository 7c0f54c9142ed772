//! What a node writes down about a file when its owner adds it, and whether the file is still that.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::time::UNIX_EPOCH;

use protocol::{ColumnType, Digest, Digester, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::delimited;
use crate::format::detect::{self, SAMPLE_BYTES, Sample};
use crate::format::{Dialect, Format, Options};
use crate::parquet_file;
use crate::profile::Profile;
use crate::{Error, Glance, Interrupt, error::Place};

/// A file as it was when its owner added it.
///
/// It holds no cell. It is the owner's own: the names of withheld columns are in it, so what others may see is
/// made by [`summarize`](crate::summarize).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// What the owner stated.
    pub options: Options,
    /// How the file holds its table, stated or detected; rounds read it in this way and no other.
    pub format: Format,
    /// The digest of the file's bytes.
    pub digest: Digest,
    /// The file's size in bytes.
    pub size: u64,
    /// When the file was last written, where the file system knows.
    pub modified: Option<Timestamp>,
    /// The number of rows, without the header.
    pub rows: u64,
    /// The columns, in the file's order.
    pub columns: Vec<RegisteredColumn>,
}

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredColumn {
    /// Its name.
    pub name: String,
    /// What its cells are.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// How many cells are missing.
    pub missing: u64,
    /// How many cells are no numbers in a column that is not numeric because of them, though most of its cells
    /// are numbers: perhaps typing errors, or a marker for missing values that is not known here.
    #[serde(default)]
    pub strays: u64,
}

/// Whether a file is still what was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The bytes are the same.
    Unchanged,
    /// The bytes are others.
    Changed(Box<Change>),
}

/// What a changed file is now, and how its table differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What to keep in place of the old registration if the owner accepts the change.
    pub registration: Registration,
    /// The number of rows before.
    pub rows_before: u64,
    /// Columns that were not there before.
    pub added: Vec<String>,
    /// Columns that are there no more.
    pub removed: Vec<String>,
    /// Columns whose type is another.
    pub retyped: Vec<Retyped>,
}

/// A column that has another type than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retyped {
    /// The column.
    pub column: String,
    /// Its type as registered.
    pub before: ColumnType,
    /// Its type now.
    pub now: ColumnType,
}

/// Reads a file once, in bounded memory whatever its size, and describes its table.
///
/// # Errors
///
/// The file cannot be read, is not a well-formed table, or lacks a column that the options name.
pub fn register(path: &Path, options: &Options) -> Result<Registration, Error> {
    register_interruptibly(path, options, &mut Interrupt::never())
}

/// As [`register`], and ends early where it is told to.
pub(crate) fn register_interruptibly(
    path: &Path,
    options: &Options,
    interrupt: &mut Interrupt<'_>,
) -> Result<Registration, Error> {
    let mut file = open(path)?;
    let metadata = file.metadata().map_err(Error::Read)?;
    let mut start = Vec::new();
    file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut start).map_err(Error::Read)?;
    let sample = Sample { bytes: &start, complete: start.len() as u64 == metadata.len() };
    let format = detect::detect(sample, options)?;
    file.rewind().map_err(Error::Read)?;
    let scan = match format {
        Format::Delimited(dialect) => scan(&file, &start, dialect, interrupt.lend())?,
        Format::Parquet => parquet_file::scan(&file, interrupt)?,
    };
    let now = file.metadata().map_err(Error::Read)?;
    // The first bytes were looked at before the others.
    if scan.size != metadata.len() || now.modified().ok() != metadata.modified().ok() {
        return Err(Error::Unsteady);
    }
    if scan.rows == 0 {
        return Err(Error::NoRows);
    }
    let registration = Registration {
        options: options.clone(),
        format,
        digest: scan.digest,
        size: scan.size,
        modified: modified(&metadata),
        rows: scan.rows,
        columns: scan.columns,
    };
    let named = options.withheld.iter().chain(&options.patient_id);
    for name in named {
        registration.place(name)?;
    }
    Ok(registration)
}

/// Compares a file with what was registered, by its content.
///
/// # Errors
///
/// The file cannot be read, or its new content cannot be registered.
pub fn check(path: &Path, registration: &Registration) -> Result<Check, Error> {
    check_interruptibly(path, registration, &mut Interrupt::never())
}

/// As [`check`], and ends early where it is told to.
pub(crate) fn check_interruptibly(
    path: &Path,
    registration: &Registration,
    interrupt: &mut Interrupt<'_>,
) -> Result<Check, Error> {
    let mut file = open(path)?;
    let size = file.metadata().map_err(Error::Read)?.len();
    if size == registration.size && digest(&mut file, interrupt.lend())? == registration.digest {
        return Ok(Check::Unchanged);
    }
    let now = register_interruptibly(path, &registration.options, interrupt)?;
    Ok(if now.digest == registration.digest {
        Check::Unchanged
    } else {
        Check::Changed(Box::new(registration.change_to(now)))
    })
}

impl Registration {
    /// Whether a column identifies patients or is withheld, and so is never read as data and never shown.
    pub fn is_hidden(&self, column: &str) -> bool {
        self.options.patient_id.as_deref() == Some(column)
            || self.options.withheld.iter().any(|withheld| withheld == column)
    }

    /// Looks at the file from outside.
    pub(crate) fn glance(&self, path: &Path) -> Result<Glance, Error> {
        let metadata = path.metadata().map_err(Error::Open)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile);
        }
        Ok(if metadata.len() != self.size {
            Glance::Resized
        } else if modified(&metadata) == self.modified {
            Glance::Untouched
        } else {
            Glance::Touched
        })
    }

    /// The place of a column in the file, counted from 0.
    pub(crate) fn place(&self, column: &str) -> Result<usize, Error> {
        let found = self.columns.iter().position(|other| other.name == column);
        found.ok_or_else(|| Error::UnknownColumn(column.to_owned()))
    }

    fn change_to(&self, registration: Self) -> Change {
        let before = types(&self.columns);
        let now = types(&registration.columns);
        let retyped = before.iter().filter_map(|(&column, &before)| {
            let now = *now.get(column)?;
            (now != before).then(|| Retyped { column: column.to_owned(), before, now })
        });
        Change {
            rows_before: self.rows,
            added: missing_from(&before, &registration.columns),
            removed: missing_from(&now, &self.columns),
            retyped: retyped.collect(),
            registration,
        }
    }
}

/// What one pass over a file finds.
pub(crate) struct Scan {
    pub(crate) rows: u64,
    pub(crate) columns: Vec<RegisteredColumn>,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Hashes and counts what is read through it, and asks before each part whether to go on.
pub(crate) struct Hashed<'a, R> {
    inner: R,
    digester: Digester,
    size: u64,
    interrupt: Interrupt<'a>,
}

impl<'a, R: Read> Hashed<'a, R> {
    /// Starts at a file's first byte.
    pub(crate) fn new(inner: R, interrupt: Interrupt<'a>) -> Self {
        Self { inner, digester: Digester::new(), size: 0, interrupt }
    }

    /// Reads what is left, and gives the digest and the number of all bytes.
    pub(crate) fn finish(mut self) -> Result<(Digest, u64), Error> {
        io::copy(&mut self, &mut io::sink()).map_err(Error::reading)?;
        Ok((self.digester.finish(), self.size))
    }
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.look().map_err(io::Error::other)?;
        let count = self.inner.read(buffer)?;
        self.digester.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

/// When a file was last written, where the file system knows.
fn modified(metadata: &Metadata) -> Option<Timestamp> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_milliseconds(u64::try_from(since.as_millis()).ok()?))
}

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    // A pipe would block, so the path is looked at first.
    if !path.metadata().map_err(Error::Open)?.is_file() {
        return Err(Error::NotAFile);
    }
    File::open(path).map_err(Error::Open)
}

/// Hashes a file from its first byte.
fn digest(file: &mut File, interrupt: Interrupt<'_>) -> Result<Digest, Error> {
    file.rewind().map_err(Error::Read)?;
    let mut hashed = Hashed::new(file, interrupt);
    let mut buffer = vec![0; BUFFER_BYTES];
    while hashed.read(&mut buffer).map_err(Error::reading)? > 0 {}
    hashed.finish().map(|(digest, _)| digest)
}

fn scan(
    file: &File,
    start: &[u8],
    dialect: Dialect,
    interrupt: Interrupt<'_>,
) -> Result<Scan, Error> {
    let names = delimited::column_names(start, dialect)?;
    let mut profiles: Vec<Profile> = names.iter().map(|_| Profile::default()).collect();
    let mut rows = 0;
    let mut input = BufReader::with_capacity(BUFFER_BYTES, Hashed::new(file, interrupt));
    delimited::for_each_row(&mut input, dialect, names.len(), |record| {
        rows += 1;
        for ((raw, profile), name) in record.cells().zip(&mut profiles).zip(&names) {
            let cell = Cell::parse(raw, dialect.decimal);
            if let Cell::Text(text) = cell {
                utf8(text, record.place, name)?;
            }
            profile.observe(cell, raw.trim_ascii(), record.place);
        }
        Ok(())
    })?;
    let columns = names.into_iter().zip(profiles).map(|(name, profile)| {
        let column_type = profile.column_type(&name)?;
        Ok(RegisteredColumn {
            name,
            column_type,
            missing: profile.missing(),
            strays: profile.strays(),
        })
    });
    let columns = columns.collect::<Result<_, Error>>()?;
    let (digest, size) = input.into_inner().finish()?;
    Ok(Scan { rows, columns, digest, size })
}

/// Refuses a cell that is not UTF-8.
pub(crate) fn utf8(text: &[u8], place: Place, column: &str) -> Result<(), Error> {
    match str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Encoding { place, column: column.to_owned() }),
    }
}

fn types(columns: &[RegisteredColumn]) -> BTreeMap<&str, ColumnType> {
    columns.iter().map(|column| (column.name.as_str(), column.column_type)).collect()
}

fn missing_from(known: &BTreeMap<&str, ColumnType>, columns: &[RegisteredColumn]) -> Vec<String> {
    let names = columns.iter().map(|column| &column.name);
    names.filter(|name| !known.contains_key(name.as_str())).cloned().collect()
}

/// How much of a file is read at once.
pub(crate) const BUFFER_BYTES: usize = 256 << 10;
