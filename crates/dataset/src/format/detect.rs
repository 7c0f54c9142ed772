//! Finds out the format and dialect of a file from its first bytes.

use crate::Error;
use crate::cell::{self, Cell};
use crate::delimited::{Records, without_mark};
use crate::format::{DecimalMark, Delimiter, Dialect, Format, FormatName, Header, Options};

/// The first bytes of a file, and whether they are all of it.
#[derive(Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) complete: bool,
}

/// How many bytes a sample has at most: two rows of the widest table that is read.
pub(crate) const SAMPLE_BYTES: u64 = 4 << 20;

/// Finds out what the options do not state.
pub(crate) fn detect(sample: Sample<'_>, options: &Options) -> Result<Format, Error> {
    match options.format {
        Some(FormatName::Parquet) => Ok(Format::Parquet),
        None if sample.bytes.starts_with(PARQUET_MAGIC) => Ok(Format::Parquet),
        Some(FormatName::Delimited) | None => dialect(sample, options).map(Format::Delimited),
    }
}

fn dialect(sample: Sample<'_>, options: &Options) -> Result<Dialect, Error> {
    if sample.bytes.starts_with(b"\xff\xfe") || sample.bytes.starts_with(b"\xfe\xff") {
        return Err(Error::NotText("it is UTF-16"));
    }
    if sample.bytes.contains(&0) {
        return Err(Error::NotText("it holds a zero byte"));
    }
    let text = without_mark(sample.bytes);
    let byte_order_mark = text.len() < sample.bytes.len();
    let text = Sample { bytes: text, complete: sample.complete };
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter,
        None => delimiter(text),
    };
    let rows = first_rows(text, delimiter)?;
    if rows.is_empty() {
        return Err(Error::Empty);
    }
    let decimal = options.decimal.unwrap_or_else(|| decimal(&rows, delimiter));
    let header = options.header.unwrap_or_else(|| header(&rows, decimal));
    Ok(Dialect { delimiter, header, decimal, byte_order_mark })
}

/// The delimiter that cuts all first rows into the same number of cells, more than one. Else the one that cuts the
/// first row into the most, so that the reader can say which row is ragged. Else the file has one column.
fn delimiter(sample: Sample<'_>) -> Delimiter {
    let mut most = (1, None);
    let mut single = None;
    for delimiter in Delimiter::ALL {
        // A wrong delimiter may exceed a limit that the right one keeps.
        let Ok(rows) = first_rows(sample, delimiter) else { continue };
        let cells = rows.first().map_or(0, Vec::len);
        let even = rows.iter().all(|row| row.len() == cells);
        if even && cells > 1 {
            return delimiter;
        }
        if cells > most.0 {
            most = (cells, Some(delimiter));
        }
        if even {
            single = Some(delimiter);
        }
    }
    most.1.or(single).unwrap_or(Delimiter::Comma)
}

fn first_rows(sample: Sample<'_>, delimiter: Delimiter) -> Result<Vec<Vec<Vec<u8>>>, Error> {
    let mut records = Records::new(sample.bytes, delimiter);
    let mut rows = Vec::new();
    while rows.len() < SAMPLE_ROWS
        && let Some(record) = records.next()?
    {
        rows.push(record.cells().map(<[u8]>::to_vec).collect());
    }
    let cut_off = !sample.complete && records.is_at_end();
    if cut_off && rows.len() > 1 {
        rows.pop();
    }
    Ok(rows)
}

fn decimal(rows: &[Vec<Vec<u8>>], delimiter: Delimiter) -> DecimalMark {
    if delimiter == Delimiter::Comma {
        return DecimalMark::Point;
    }
    let with = |mark: u8, decimal| {
        let decimals = rows.iter().flatten().filter(|cell| cell.contains(&mark));
        decimals.filter(|cell| is_number(cell, decimal)).count()
    };
    if with(b',', DecimalMark::Comma) > with(b'.', DecimalMark::Point) {
        DecimalMark::Comma
    } else {
        DecimalMark::Point
    }
}

fn header(rows: &[Vec<Vec<u8>>], decimal: DecimalMark) -> Header {
    let Some((first, others)) = rows.split_first() else { return Header::Absent };
    let names_only = !first.iter().any(|cell| is_number(cell, decimal));
    if names_only || counts_up(first) || stands_above_numbers(first, others, decimal) {
        Header::Present
    } else {
        Header::Absent
    }
}

/// Whether the cells are 0, 1, 2, … or 1, 2, 3, …: names that some programs give to columns without one.
fn counts_up(cells: &[Vec<u8>]) -> bool {
    let counts_from = |start: usize| {
        let mut places = cells.iter().zip(start..);
        places.all(|(cell, place)| cell == place.to_string().as_bytes())
    };
    cells.len() > 1 && (counts_from(0) || counts_from(1))
}

/// Whether some cell is a text above nothing but numbers.
fn stands_above_numbers(first: &[Vec<u8>], others: &[Vec<Vec<u8>>], decimal: DecimalMark) -> bool {
    first.iter().enumerate().any(|(place, name)| {
        let mut below =
            others.iter().filter_map(|row| row.get(place)).filter(|cell| !cell::is_missing(cell));
        let is_text = !cell::is_missing(name) && !is_number(name, decimal);
        is_text
            && below.next().is_some_and(|cell| is_number(cell, decimal))
            && below.all(|cell| is_number(cell, decimal))
    })
}

fn is_number(cell: &[u8], decimal: DecimalMark) -> bool {
    matches!(Cell::parse(cell, decimal), Cell::Integer(_) | Cell::Number(_) | Cell::OutOfRange)
}

const PARQUET_MAGIC: &[u8] = b"PAR1";
const SAMPLE_ROWS: usize = 200;
