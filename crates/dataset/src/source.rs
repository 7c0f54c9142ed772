//! Reads the columns that a round needs, from a file that is still what was registered.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

use protocol::ColumnType;

use crate::cell::Cell;
use crate::delimited::{self, Record};
use crate::error::{Error, Place};
use crate::format::{Dialect, Format};
use crate::parquet_file;
use crate::registration::{self, BUFFER_BYTES, Hashed, Registration, utf8};
use crate::table::{CategoriesBuilder, Column, Table};
use crate::unchanging::Unchanging;
use crate::view::{self, Value};
use crate::{AttachedPlan, Exclusions, Interrupt, Kind, rows};

/// A registered table's file, open for reading.
///
/// # Examples
///
/// ```
/// use dataset::{Options, Request, TabularSource, register};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ward.csv");
/// std::fs::write(&path, "age;weight;outcome\n61;70,5;B\n48;NA;M\n")?;
/// let registration = register(&path, &Options::default())?;
///
/// let mut source = TabularSource::open(&path, &registration)?;
/// let table = source.read(&[Request::Numbers("weight"), Request::Categories("outcome")])?;
/// assert_eq!(table.complete_rows(), [0]);
/// assert_eq!(table.categories("outcome")?.values(), ["B", "M"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TabularSource<'a> {
    file: File,
    path: PathBuf,
    registration: &'a Registration,
    plan: Option<&'a AttachedPlan>,
    exclusions: &'a Exclusions,
    is_identified: bool,
}

/// A column to read, and the form in which it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// As 64-bit floats: integers (exact up to 2⁵³), numbers, and booleans as 0 and 1.
    Numbers(&'a str),
    /// As texts that repeat, whatever the type: `1` and `1.0` in a text file are two texts.
    Categories(&'a str),
}

impl<'a> TabularSource<'a> {
    /// Opens the file, and looks at its size; its content is compared while it is read.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or has another size than was registered.
    pub fn open(path: &Path, registration: &'a Registration) -> Result<Self, Error> {
        let file = registration::open(path)?;
        let size = file.metadata().map_err(Error::Read)?.len();
        if size == registration.size {
            let (path, exclusions) = (path.to_owned(), Exclusions::none());
            Ok(Self { file, path, registration, plan: None, exclusions, is_identified: false })
        } else {
            Err(Error::Changed)
        }
    }

    /// Reads under a data loading plan: columns have the study's names, and cells the study's values and units.
    #[must_use]
    pub fn under(self, plan: Option<&'a AttachedPlan>) -> Self {
        Self { plan, ..self }
    }

    /// Reads without the rows of these patients.
    #[must_use]
    pub fn without(self, exclusions: &'a Exclusions) -> Self {
        Self { exclusions, ..self }
    }

    /// Reads with a number for each row's patient that is the same in every version of the dataset.
    #[must_use]
    pub fn identified(self) -> Self {
        Self { is_identified: true, ..self }
    }

    /// Reads columns into memory, and with them who the rows belong to.
    ///
    /// Nothing is given out unless the digest of the bytes that were read is the registered one.
    ///
    /// # Errors
    ///
    /// A column is unknown, hidden or not of the wanted form; the file cannot be read or has changed.
    pub fn read(&mut self, requests: &[Request<'_>]) -> Result<Table, Error> {
        self.read_interruptibly(requests, &mut Interrupt::never())
    }

    /// As [`TabularSource::read`], and ends early where it is told to: it asks for every quarter of a mebibyte, or
    /// every few thousand cells.
    ///
    /// # Errors
    ///
    /// As [`TabularSource::read`], and [`Error::Interrupted`].
    pub fn read_interruptibly(
        &mut self,
        requests: &[Request<'_>],
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Table, Error> {
        if let Some(plan) = self.plan {
            return self.read_under(plan, requests, interrupt);
        }
        let mut builders = self.builders(requests)?;
        self.file.rewind().map_err(Error::Read)?;
        match self.registration.format {
            Format::Delimited(dialect) => {
                self.read_delimited(dialect, &mut builders, interrupt)?;
            }
            Format::Parquet => {
                let (digest, file) = Unchanging::of(&self.file, interrupt)?;
                if digest != self.registration.digest {
                    return Err(Error::Changed);
                }
                parquet_file::read(&file, &mut builders, interrupt)?;
            }
        }
        let rows = usize::try_from(self.registration.rows).expect("rows that were read fit memory");
        self.finish(rows, requests, builders, interrupt)
    }

    /// The table of what was read, without the rows of excluded patients.
    fn finish(
        &self,
        rows: usize,
        requests: &[Request<'_>],
        mut builders: Vec<Builder>,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Table, Error> {
        let patients = self.registration.options.patient_id.as_ref().and_then(|_| builders.pop());
        let kept = match (&patients, self.exclusions.is_empty()) {
            (_, true) => None,
            (Some(patients), false) => Some(patients.cells.rows_without(self.exclusions)),
            (None, false) => return Err(Error::NoPatients(Kind::Table)),
        };
        let named = requests.iter().map(|request| request.column().to_owned());
        let columns = named.zip(builders.into_iter().map(Builder::finish)).collect();
        let identities = patients.as_ref().filter(|_| self.is_identified);
        let identities = identities.map(|patients| patients.cells.patients());
        let groups = patients.map(|patients| patients.cells.into_groups());
        let table = Table::new(rows, columns, groups).with_patients(identities);
        match kept {
            Some(kept) => table.into_rows(&kept, interrupt),
            None => Ok(table),
        }
    }

    /// Reads what the plan makes of the columns.
    fn read_under(
        &self,
        plan: &AttachedPlan,
        requests: &[Request<'_>],
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Table, Error> {
        let all = view::columns(self.registration, Some(plan))?;
        let mut columns = Vec::with_capacity(requests.len() + 1);
        let mut builders = Vec::with_capacity(requests.len() + 1);
        for request in requests {
            let name = request.column();
            let unknown = || match self.registration.is_hidden(name) {
                true => Error::HiddenColumn(name.to_owned()),
                false => Error::UnknownColumn(name.to_owned()),
            };
            let column = view::find(&all, name).ok_or_else(unknown)?;
            builders.push(Builder::of(*request, column.place, column.column_type)?);
            columns.push(column.clone());
        }
        if let Some(name) = &self.registration.options.patient_id {
            let column = view::hidden(self.registration, name)?;
            builders.push(Builder::categories(name, column.place));
            columns.push(column);
        }
        let mut rows = 0;
        rows::for_each(&self.path, self.registration, &columns, interrupt, |row| {
            rows += 1;
            let cells = row.values.iter().zip(&mut builders);
            cells.into_iter().try_for_each(|(value, builder)| builder.push_value(value, row.place))
        })?;
        self.finish(rows, requests, builders, interrupt)
    }

    /// One builder for each request, and the patients' column last where there is one.
    fn builders(&self, requests: &[Request<'_>]) -> Result<Vec<Builder>, Error> {
        let mut builders = Vec::with_capacity(requests.len() + 1);
        for request in requests {
            let name = request.column();
            if self.registration.is_hidden(name) {
                return Err(Error::HiddenColumn(name.to_owned()));
            }
            builders.push(self.builder(name, *request)?);
        }
        if let Some(name) = &self.registration.options.patient_id {
            builders.push(self.builder(name, Request::Categories(name))?);
        }
        Ok(builders)
    }

    fn builder(&self, name: &str, request: Request<'_>) -> Result<Builder, Error> {
        let place = self.registration.place(name)?;
        let column_type = self.registration.columns[place].column_type;
        let mut builder = Builder::of(request, place, column_type)?;
        if let Cells::Numbers(numbers) = &mut builder.cells {
            // No row is shorter than a byte in a text, so a registration cannot ask for too much.
            let rows = self.registration.rows.min(self.registration.size);
            numbers.reserve_exact(usize::try_from(rows).unwrap_or(0));
        }
        Ok(builder)
    }

    fn read_delimited(
        &self,
        dialect: Dialect,
        builders: &mut [Builder],
        interrupt: &mut Interrupt<'_>,
    ) -> Result<(), Error> {
        let hashed = Hashed::new(&self.file, interrupt.lend());
        let mut input = BufReader::with_capacity(BUFFER_BYTES, hashed);
        let columns = self.registration.columns.len();
        let outcome = delimited::for_each_row(&mut input, dialect, columns, |record| {
            builders.iter_mut().try_for_each(|builder| builder.push_from(record, dialect))
        });
        if matches!(outcome, Err(Error::Interrupted)) {
            return outcome;
        }
        // A file that has changed may fail in any way; what it should be told as is that it has changed.
        let (digest, _) = input.into_inner().finish()?;
        if digest != self.registration.digest {
            return Err(Error::Changed);
        }
        outcome
    }
}

impl Request<'_> {
    /// The column's name.
    pub fn column(&self) -> &str {
        match self {
            Self::Numbers(name) | Self::Categories(name) => name,
        }
    }
}

/// Collects one column while a file is read.
pub(crate) struct Builder {
    pub(crate) column: String,
    pub(crate) place: usize,
    cells: Cells,
}

enum Cells {
    Numbers(Vec<f64>),
    Categories(CategoriesBuilder),
}

impl Builder {
    /// A column of numbers.
    pub(crate) fn numbers(column: &str, place: usize) -> Self {
        Self { column: column.to_owned(), place, cells: Cells::Numbers(Vec::new()) }
    }

    /// A column of texts.
    pub(crate) fn categories(column: &str, place: usize) -> Self {
        let cells = Cells::Categories(CategoriesBuilder::default());
        Self { column: column.to_owned(), place, cells }
    }

    /// What a request needs of a column of this type.
    fn of(request: Request<'_>, place: usize, column_type: ColumnType) -> Result<Self, Error> {
        let name = request.column();
        match (request, column_type) {
            (Request::Categories(_), _) => Ok(Self::categories(name, place)),
            (
                Request::Numbers(_),
                ColumnType::Integer | ColumnType::Number | ColumnType::Boolean,
            ) => Ok(Self::numbers(name, place)),
            (Request::Numbers(_), ColumnType::Category | ColumnType::Text) => {
                Err(Error::NotNumeric { column: name.to_owned(), column_type })
            }
        }
    }

    /// Adds one row's value.
    fn push_value(&mut self, value: &Value<'_>, place: Place) -> Result<(), Error> {
        match (&self.cells, value.text()) {
            (Cells::Categories(_), Some(text)) => self.push(Cell::Text(text.as_bytes()), place),
            (Cells::Categories(_), None) | (Cells::Numbers(_), _) => self.push(value.cell(), place),
        }
    }

    /// The finished column.
    pub(crate) fn finish(self) -> Column {
        self.cells.finish()
    }

    fn push_from(&mut self, record: Record<'_>, dialect: Dialect) -> Result<(), Error> {
        let raw = record.cell(self.place);
        let cell = Cell::parse(raw, dialect.decimal);
        match &self.cells {
            Cells::Categories(_) if cell != Cell::Missing => {
                self.push(Cell::Text(raw.trim_ascii()), record.place)
            }
            Cells::Categories(_) | Cells::Numbers(_) => self.push(cell, record.place),
        }
    }

    /// Adds one row's cell.
    pub(crate) fn push(&mut self, cell: Cell<'_>, place: Place) -> Result<(), Error> {
        match &mut self.cells {
            Cells::Numbers(numbers) => match number(cell) {
                Some(number) => numbers.push(number),
                // The type was taken from the same bytes, so this is another file.
                None => return Err(Error::Changed),
            },
            Cells::Categories(categories) => {
                let mut printed = String::new();
                match text(cell, &mut printed) {
                    Some(text) if !categories.push(text) => {
                        return utf8(text, place, &self.column);
                    }
                    Some(_) => {}
                    None => categories.push_missing(),
                }
            }
        }
        Ok(())
    }
}

impl Cells {
    fn finish(self) -> Column {
        match self {
            Self::Numbers(numbers) => Column::Numbers(numbers),
            Self::Categories(categories) => Column::Categories(categories.finish()),
        }
    }

    fn rows_without(&self, exclusions: &Exclusions) -> Vec<usize> {
        match self {
            Self::Numbers(_) => Vec::new(),
            Self::Categories(categories) => categories.rows_without(exclusions),
        }
    }

    /// One number for each row's patient; numbers name nobody.
    fn patients(&self) -> Vec<u64> {
        match self {
            Self::Numbers(_) => Vec::new(),
            Self::Categories(categories) => categories.patients(),
        }
    }

    fn into_groups(self) -> Vec<u32> {
        match self {
            Self::Numbers(_) => Vec::new(),
            Self::Categories(categories) => categories.into_groups(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "documented: integers are exact up to 2^53")]
fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Missing => Some(f64::NAN),
        Cell::Boolean(value) => Some(f64::from(u8::from(value))),
        Cell::Integer(value) => Some(value as f64),
        Cell::Number(value) => Some(value),
        Cell::OutOfRange | Cell::Text(_) => None,
    }
}

/// The text of a cell; a number is printed as Rust prints it, the shortest that reads back as the same.
fn text<'a>(cell: Cell<'a>, printed: &'a mut String) -> Option<&'a [u8]> {
    *printed = match cell {
        Cell::Missing => return None,
        Cell::Text(text) => return Some(text),
        Cell::Boolean(value) => value.to_string(),
        Cell::Integer(value) => value.to_string(),
        Cell::Number(value) => value.to_string(),
        Cell::OutOfRange => String::new(),
    };
    Some(printed.as_bytes())
}
