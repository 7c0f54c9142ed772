//! Visits the rows of a table as a view presents them, from a file that is still what was registered.

use std::borrow::Cow;
use std::io::BufReader;
use std::path::Path;

use protocol::ColumnType;

use crate::delimited;
use crate::error::{Error, Place};
use crate::format::{DecimalMark, Dialect, Format};
use crate::parquet_file;
use crate::registration::{self, BUFFER_BYTES, Hashed, Registration, utf8};
use crate::source::Builder;
use crate::table::Column;
use crate::unchanging::Unchanging;
use crate::view::{Value, ViewColumn};
use crate::{Interrupt, Table};

/// One row of a view.
pub(crate) struct Row<'a> {
    /// Where it is in the file.
    pub(crate) place: Place,
    /// One value for each column of the view.
    pub(crate) values: &'a [Value<'a>],
}

/// Visits every row. What was visited counts only after the whole was: until then the file may turn out to be another.
///
/// A text file is read row by row in bounded memory; of a Parquet file the view's columns are held.
///
/// # Errors
///
/// The file cannot be read or has changed, a cell cannot be presented, or the visitor refuses.
pub(crate) fn for_each(
    path: &Path,
    registration: &Registration,
    view: &[ViewColumn],
    interrupt: &mut Interrupt<'_>,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = registration::open(path)?;
    if file.metadata().map_err(Error::Read)?.len() != registration.size {
        return Err(Error::Changed);
    }
    match registration.format {
        Format::Delimited(dialect) => {
            let hashed = Hashed::new(&file, interrupt.lend());
            let mut input = BufReader::with_capacity(BUFFER_BYTES, hashed);
            let outcome = delimited_rows(&mut input, registration, dialect, view, &mut visit);
            if matches!(outcome, Err(Error::Interrupted | Error::Write(_))) {
                return outcome;
            }
            // A file that has changed may fail in any way; what it should be told as is that it has changed.
            let (digest, _) = input.into_inner().finish()?;
            if digest == registration.digest { outcome } else { Err(Error::Changed) }
        }
        Format::Parquet => {
            let (digest, file) = Unchanging::of(&file, interrupt)?;
            if digest != registration.digest {
                return Err(Error::Changed);
            }
            parquet_rows(&file, registration, view, interrupt, &mut visit)
        }
    }
}

fn delimited_rows(
    input: &mut BufReader<Hashed<'_, &std::fs::File>>,
    registration: &Registration,
    dialect: Dialect,
    view: &[ViewColumn],
    visit: &mut impl FnMut(&Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    delimited::for_each_row(input, dialect, registration.columns.len(), |record| {
        let place = record.place;
        let values = view.iter().map(|column| {
            let raw = record.cell(column.place);
            match Value::of(raw, column.source_type, dialect.decimal) {
                Some(value) => column.present(value, place),
                // The type was taken from the same bytes, so this is another file, or it is no text.
                None => Err(utf8(raw, place, &column.name).err().unwrap_or(Error::Changed)),
            }
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        visit(&Row { place, values: &values })
    })
}

fn parquet_rows(
    file: &Unchanging,
    registration: &Registration,
    view: &[ViewColumn],
    interrupt: &mut Interrupt<'_>,
    visit: &mut impl FnMut(&Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut builders: Vec<Builder> = view
        .iter()
        .map(|column| match column.source_type {
            ColumnType::Number => Builder::numbers(&column.name, column.place),
            // Whole numbers of 64 bits do not all fit a float.
            _ => Builder::categories(&column.name, column.place),
        })
        .collect();
    parquet_file::read(file, &mut builders, interrupt)?;
    let rows = usize::try_from(registration.rows).expect("rows that were read fit memory");
    let columns = builders.into_iter().map(|builder| (builder.column.clone(), builder.finish()));
    let table = Table::new(rows, columns.collect(), None);
    for number in 0..rows {
        if number % LOOK_EVERY == 0 {
            interrupt.look()?;
        }
        let place = Place::Row(number as u64 + 1);
        let values = table.columns().zip(view).map(|((_, cells), column)| {
            let value = held(cells, number, column.source_type).ok_or(Error::Changed)?;
            column.present(value, place)
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        visit(&Row { place, values: &values })?;
    }
    Ok(())
}

fn held(cells: &Column, row: usize, source_type: ColumnType) -> Option<Value<'_>> {
    match cells {
        _ if cells.is_missing(row) => Some(Value::Missing),
        Column::Numbers(numbers) => Some(Value::Number(numbers[row])),
        Column::Categories(categories) => {
            let text = categories.text(row)?;
            match source_type {
                ColumnType::Category | ColumnType::Text => Some(Value::Text(Cow::Borrowed(text))),
                typed => Value::of(text.as_bytes(), typed, DecimalMark::Point),
            }
        }
    }
}

/// After how many rows it is asked whether to go on.
const LOOK_EVERY: usize = 4096;
