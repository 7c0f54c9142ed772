//! Reads the records of a delimited text file, one at a time, in bounded memory.

use std::collections::HashMap;
use std::io::{BufRead, ErrorKind};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::format::{Delimiter, Dialect, Header};
use crate::limits::{CELL_BYTES, COLUMNS, ROW_BYTES};
use crate::{Error, error::Place};

mod quotes;

use quotes::{Fault, Quotes};

/// The records of a text. Blank lines are skipped; quotes are those of RFC 4180.
///
/// `csv_core` and not `csv`: there a quote that is never closed takes the rest of the file into memory.
pub(crate) struct Records<R> {
    input: R,
    core: Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line that the next byte belongs to.
    line: u64,
    at_end: bool,
    /// The quotes of the record that was read last.
    quotes: Quotes,
}

/// One record, borrowed until the next is read.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Where it starts.
    pub(crate) place: Place,
    bytes: &'a [u8],
    ends: &'a [usize],
    fault: Option<Fault>,
}

impl<R: BufRead> Records<R> {
    /// Starts at a text's first byte, after a byte order mark.
    pub(crate) fn new(input: R, delimiter: Delimiter) -> Self {
        let core = ReaderBuilder::new().delimiter(delimiter.byte()).build();
        let quotes = Quotes::new(delimiter);
        Self {
            input,
            core,
            bytes: vec![0; 4096],
            ends: vec![0; 64],
            line: 1,
            at_end: false,
            quotes,
        }
    }

    /// Reads the next record; nothing at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        self.skip_line_ends()?;
        let place = Place::Line(self.line);
        let (mut bytes, mut ends) = (0, 0);
        self.quotes.start_record();
        loop {
            let input = fill(&mut self.input)?;
            self.at_end = input.is_empty();
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.bytes[bytes..], &mut self.ends[ends..]);
            self.quotes.follow(&input[..read], self.line);
            self.line += newlines(&input[..read]);
            self.input.consume(read);
            bytes += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    let grown = grow(&mut self.bytes, ROW_BYTES, "bytes in a row", place);
                    // A quote that takes the following rows in is the cause, and the length its consequence.
                    grown.map_err(|limit| self.quotes.fault().map_or(limit, Error::from))?;
                }
                ReadRecordResult::OutputEndsFull => {
                    grow(&mut self.ends, COLUMNS, "columns", place)?;
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => {
                    let (bytes, ends) = (&self.bytes[..bytes], &self.ends[..ends]);
                    let fault = self.quotes.fault();
                    return Ok(Some(Record { place, bytes, ends, fault }));
                }
            }
        }
    }

    /// Whether the last record ended with the text and not with a line end.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// Goes to the first byte of a line that is not blank, so that the record's line is known.
    fn skip_line_ends(&mut self) -> Result<(), Error> {
        loop {
            let input = fill(&mut self.input)?;
            let blank = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if blank == 0 {
                return Ok(());
            }
            self.line += newlines(&input[..blank]);
            self.input.consume(blank);
        }
    }
}

impl<'a> Record<'a> {
    /// The number of cells.
    pub(crate) fn len(self) -> usize {
        self.ends.len()
    }

    /// The cell at a place counted from 0.
    pub(crate) fn cell(self, place: usize) -> &'a [u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..self.ends[place]]
    }

    /// All cells.
    pub(crate) fn cells(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map(move |place| self.cell(place))
    }

    /// Refuses a record of which a quote is never closed, or closed before its cell ends.
    fn well_quoted(self) -> Result<Self, Error> {
        self.fault.map_or(Ok(self), |fault| Err(fault.into()))
    }

    /// Refuses too long a cell; a record's length and its number of cells are bounded while it is read.
    fn within_limits(self) -> Result<Self, Error> {
        let place = self.place;
        if self.len() > COLUMNS {
            return Err(Error::Limit { place, limit: COLUMNS, what: "columns" });
        }
        if self.bytes.len() > CELL_BYTES && self.cells().any(|cell| cell.len() > CELL_BYTES) {
            return Err(Error::Limit { place, limit: CELL_BYTES, what: "bytes in a cell" });
        }
        Ok(self)
    }
}

/// Reads the names of the columns from the start of a text, or makes them up where it has no header.
pub(crate) fn column_names(start: &[u8], dialect: Dialect) -> Result<Vec<String>, Error> {
    let mut records = Records::new(without_mark(start), dialect.delimiter);
    let Some(first) = records.next()? else { return Err(Error::Empty) };
    // A header that has taken rows in must not be shown: its names would be their cells.
    let first = first.well_quoted()?.within_limits()?;
    let names = first.cells().enumerate().map(|(place, cell)| match dialect.header {
        Header::Present => column_name(place, cell),
        Header::Absent => column_name(place, b""),
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    distinct(&names)?;
    Ok(names)
}

/// Visits every row below the header; all must have as many cells as there are columns.
pub(crate) fn for_each_row<R: BufRead>(
    input: &mut R,
    dialect: Dialect,
    columns: usize,
    mut visit: impl FnMut(Record<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if fill(input)?.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    let mut records = Records::new(input, dialect.delimiter);
    if dialect.header == Header::Present {
        records.next()?;
    }
    while let Some(record) = records.next()? {
        let record = record.well_quoted()?;
        if record.len() != columns {
            let (place, found) = (record.place, record.len());
            return Err(Error::Ragged { place, found, expected: columns });
        }
        visit(record.within_limits()?)?;
    }
    Ok(())
}

/// The text after its byte order mark.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

fn column_name(place: usize, cell: &[u8]) -> Result<String, Error> {
    let name = str::from_utf8(cell).map_err(|_| Error::HeaderEncoding(place + 1))?.trim();
    Ok(if name.is_empty() { format!("column_{}", place + 1) } else { name.to_owned() })
}

pub(crate) fn distinct(names: &[String]) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for (place, name) in names.iter().enumerate() {
        if let Some(first) = seen.insert(name, place + 1) {
            return Err(Error::DuplicateColumn { name: name.clone(), first, second: place + 1 });
        }
    }
    Ok(())
}

fn fill<R: BufRead>(input: &mut R) -> Result<&[u8], Error> {
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::reading(error)),
        }
    }
    // A second call gives the same bytes: none was consumed.
    input.fill_buf().map_err(Error::reading)
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').map(|_| 1).sum()
}

/// Doubles a buffer, up to one element above the limit, which then tells that the limit is exceeded.
fn grow<T: Clone + Default>(
    buffer: &mut Vec<T>,
    limit: usize,
    what: &'static str,
    place: Place,
) -> Result<(), Error> {
    if buffer.len() > limit {
        return Err(Error::Limit { place, limit, what });
    }
    buffer.resize((2 * buffer.len()).min(limit + 1), T::default());
    Ok(())
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
