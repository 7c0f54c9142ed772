//! Columns in memory, ready for training.

use std::collections::HashMap;
use std::fmt;

use crate::{Error, Exclusions, Interrupt};

/// Some columns of a dataset, row by row aligned.
///
/// `Debug` shows sizes only: cells are patients' data and must not reach a log.
#[derive(Clone, PartialEq)]
pub struct Table {
    rows: usize,
    columns: Vec<(String, Column)>,
    groups: Option<Vec<u32>>,
    patients: Option<Vec<u64>>,
}

/// One column's cells.
#[derive(Clone, PartialEq)]
pub enum Column {
    /// Numbers; NaN where a cell is missing, and nowhere else.
    Numbers(Vec<f64>),
    /// Texts that repeat.
    Categories(Categories),
}

/// A column of texts, each distinct one stored once.
#[derive(Clone, Default, PartialEq)]
pub struct Categories {
    values: Vec<String>,
    codes: Vec<u32>,
}

impl Table {
    pub(crate) fn new(
        rows: usize,
        columns: Vec<(String, Column)>,
        groups: Option<Vec<u32>>,
    ) -> Self {
        Self { rows, columns, groups, patients: None }
    }

    /// The same with a number for each row's patient.
    pub(crate) fn with_patients(self, patients: Option<Vec<u64>>) -> Self {
        Self { patients, ..self }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in the order in which they were asked for.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// A column that was read as numbers; NaN is a missing cell.
    ///
    /// # Errors
    ///
    /// The column was not read, or not as numbers.
    pub fn numbers(&self, name: &str) -> Result<&[f64], Error> {
        match self.column(name) {
            Some(Column::Numbers(numbers)) => Ok(numbers),
            Some(Column::Categories(_)) | None => Err(Error::NotRead(name.to_owned())),
        }
    }

    /// A column that was read as categories.
    ///
    /// # Errors
    ///
    /// The column was not read, or not as categories.
    pub fn categories(&self, name: &str) -> Result<&Categories, Error> {
        match self.column(name) {
            Some(Column::Categories(categories)) => Ok(categories),
            Some(Column::Numbers(_)) | None => Err(Error::NotRead(name.to_owned())),
        }
    }

    /// The class of each row by its place among the declared classes; nothing where the cell is missing.
    ///
    /// # Errors
    ///
    /// The column was not read as categories, or some row has none of the classes.
    pub fn classes(&self, name: &str, declared: &[String]) -> Result<Vec<Option<u32>>, Error> {
        let categories = self.categories(name)?;
        categories.classes(declared).map_err(|(rows, first)| Error::UndeclaredClass {
            column: name.to_owned(),
            rows,
            first,
        })
    }

    /// One number for each row, the same for the rows of one patient, where the dataset names such a column.
    /// A row without an identifier is a patient of its own.
    pub fn groups(&self) -> Option<&[u32]> {
        self.groups.as_deref()
    }

    /// One number for each row's patient, the same in every version of the dataset, where it names such a column and
    /// [`TabularSource::identified`](crate::TabularSource::identified) was asked for.
    ///
    /// A row without an identifier is a patient of its own, known by its place in the file.
    pub fn patients(&self) -> Option<&[u64]> {
        self.patients.as_deref()
    }

    /// The rows in which no column that was read has a missing cell.
    pub fn complete_rows(&self) -> Vec<usize> {
        let complete =
            |row: &usize| !self.columns.iter().any(|(_, column)| column.is_missing(*row));
        (0..self.rows).filter(complete).collect()
    }

    /// The table of these rows, in this order.
    ///
    /// # Panics
    ///
    /// With a row that the table does not have.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter();
        Self {
            rows: rows.len(),
            columns: columns.map(|(name, column)| (name.clone(), column.take(rows))).collect(),
            groups: self.groups.as_ref().map(|groups| pick(groups, rows)),
            patients: self.patients.as_ref().map(|patients| pick(patients, rows)),
        }
    }

    /// As [`Table::take`], without holding the cells twice; looks after each column whether it shall go on.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    ///
    /// # Panics
    ///
    /// With a row that the table does not have.
    pub fn into_rows(self, rows: &[usize], interrupt: &mut Interrupt<'_>) -> Result<Self, Error> {
        if rows.iter().copied().eq(0..self.rows) {
            return Ok(self);
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, column) in self.columns {
            interrupt.look()?;
            columns.push((name, column.take(rows)));
        }
        let groups = self.groups.map(|groups| pick(&groups, rows));
        let patients = self.patients.map(|patients| pick(&patients, rows));
        Ok(Self { rows: rows.len(), columns, groups, patients })
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(other, _)| other == name).map(|(_, column)| column)
    }
}

impl Column {
    /// Whether the cell of a row is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(numbers) => numbers[row].is_nan(),
            Self::Categories(categories) => categories.codes[row] == MISSING,
        }
    }

    /// How many cells are missing.
    pub fn missing(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.iter().filter(|number| number.is_nan()).count(),
            Self::Categories(categories) => {
                categories.codes.iter().filter(|&&code| code == MISSING).count()
            }
        }
    }

    fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(numbers) => Self::Numbers(pick(numbers, rows)),
            Self::Categories(Categories { values, codes }) => {
                Self::Categories(Categories { values: values.clone(), codes: pick(codes, rows) })
            }
        }
    }
}

impl Categories {
    /// The distinct texts, in the order in which the file first has them.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// For each row the place of its text among the distinct ones; nothing where the cell is missing.
    pub fn codes(&self) -> impl ExactSizeIterator<Item = Option<u32>> {
        self.codes.iter().map(|&code| (code != MISSING).then_some(code))
    }

    /// The text of a row, where it has one.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        self.values.get(self.codes[row] as usize).map(String::as_str)
    }

    /// For each row the place of its text among the declared ones; else how many rows have another, and the first
    /// of them counted from 1.
    fn classes(&self, declared: &[String]) -> Result<Vec<Option<u32>>, (usize, usize)> {
        let places: HashMap<&str, u32> = declared.iter().map(String::as_str).zip(0..).collect();
        let known: Vec<_> = self.values.iter().map(|value| places.get(value.as_str())).collect();
        let mut undeclared = (0, 0);
        let mut classes = Vec::with_capacity(self.codes.len());
        for (row, code) in self.codes().enumerate() {
            let class = code.map(|code| known[code as usize]);
            if class == Some(None) {
                undeclared =
                    (undeclared.0 + 1, if undeclared.0 == 0 { row + 1 } else { undeclared.1 });
            }
            classes.push(class.flatten().copied());
        }
        if undeclared.0 == 0 { Ok(classes) } else { Err(undeclared) }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = formatter.debug_struct("Table");
        table.field("rows", &self.rows).field("columns", &self.columns.len());
        table.finish_non_exhaustive()
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(numbers) => write!(formatter, "Numbers({} cells)", numbers.len()),
            Self::Categories(categories) => categories.fmt(formatter),
        }
    }
}

impl fmt::Debug for Categories {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Categories({} cells)", self.codes.len())
    }
}

/// Collects texts into categories while a file is read.
#[derive(Default)]
pub(crate) struct CategoriesBuilder {
    places: HashMap<Box<[u8]>, u32>,
    built: Categories,
}

impl CategoriesBuilder {
    /// Adds a row without a value.
    pub(crate) fn push_missing(&mut self) {
        self.built.codes.push(MISSING);
    }

    /// Adds a row; tells whether the text is UTF-8 and so was added.
    pub(crate) fn push(&mut self, text: &[u8]) -> bool {
        if let Some(&place) = self.places.get(text) {
            self.built.codes.push(place);
            return true;
        }
        let Ok(value) = str::from_utf8(text) else { return false };
        let place = u32::try_from(self.built.values.len()).expect("fewer than 2^32 distinct texts");
        self.built.values.push(value.to_owned());
        self.places.insert(text.into(), place);
        self.built.codes.push(place);
        true
    }

    /// The finished column.
    pub(crate) fn finish(self) -> Categories {
        self.built
    }

    /// The rows whose text names no excluded patient; a row without a text names nobody.
    pub(crate) fn rows_without(&self, exclusions: &Exclusions) -> Vec<usize> {
        let excluded: Vec<bool> =
            self.built.values.iter().map(|value| exclusions.names(value)).collect();
        let codes = self.built.codes.iter().enumerate();
        let kept = codes.filter(|(_, code)| !excluded.get(**code as usize).is_some_and(|is| *is));
        kept.map(|(row, _)| row).collect()
    }

    /// One number for each row: of a text the first bytes of its digest, of a row without a text those of its place's.
    pub(crate) fn patients(&self) -> Vec<u64> {
        let number = |bytes: &[u8]| {
            let digest = protocol::Digest::of(bytes);
            let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
            u64::from_le_bytes(*first)
        };
        let named: Vec<u64> =
            self.built.values.iter().map(|text| number(text.as_bytes())).collect();
        let rows = self.built.codes.iter().enumerate();
        // No text of a cell holds a byte 0.
        let unnamed = |row: usize| number(format!("\0{row}").as_bytes());
        rows.map(|(row, code)| named.get(*code as usize).copied().unwrap_or_else(|| unnamed(row)))
            .collect()
    }

    /// One number for each row: the same for equal texts, one of its own for each row without a text.
    pub(crate) fn into_groups(self) -> Vec<u32> {
        let mut next = u32::try_from(self.built.values.len()).expect("fewer than 2^32 texts");
        let own = |code| match code {
            MISSING => {
                next += 1;
                next - 1
            }
            code => code,
        };
        self.built.codes.into_iter().map(own).collect()
    }
}

fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|&row| values[row]).collect()
}

/// The code of a cell without a value.
const MISSING: u32 = u32::MAX;
