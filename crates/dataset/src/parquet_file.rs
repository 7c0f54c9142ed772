//! Reads the columns of a Parquet file, one after the other, without Arrow.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::{Compression, ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, Length, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use protocol::ColumnType;

use crate::Interrupt;
use crate::cell::{self, Cell};
use crate::delimited::distinct;
use crate::error::{Error, Place};
use crate::limits::{CELL_BYTES, COLUMNS};
use crate::profile::Texts;
use crate::registration::{RegisteredColumn, Scan, utf8};
use crate::source::Builder;
use crate::unchanging::Unchanging;

/// Describes the file's table.
pub(crate) fn scan(file: &File, interrupt: &mut Interrupt<'_>) -> Result<Scan, Error> {
    let (digest, file) = Unchanging::of(file, interrupt)?;
    let described = guarded(|| {
        let file = ParquetFile::open(&file)?;
        let columns = (0..file.columns.len()).map(|place| describe(&file, place));
        Ok((file.rows, columns.collect::<Result<_, _>>()?))
    });
    if file.has_changed() {
        return Err(Error::Unsteady);
    }
    let (rows, columns) = described?;
    Ok(Scan { rows, columns, digest, size: file.len() })
}

/// Reads the builders' columns, each to its end.
pub(crate) fn read(
    file: &Unchanging,
    builders: &mut [Builder],
    interrupt: &mut Interrupt<'_>,
) -> Result<(), Error> {
    let read = read_columns(file, builders, interrupt);
    if file.has_changed() { Err(Error::Changed) } else { read }
}

fn read_columns(
    file: &Unchanging,
    builders: &mut [Builder],
    interrupt: &mut Interrupt<'_>,
) -> Result<(), Error> {
    guarded(|| {
        let file = ParquetFile::open(file)?;
        for builder in builders {
            let place = builder.place;
            let column = file.columns.get(place).ok_or(Error::MalformedParquet)?;
            if let Kind::Unreadable(kind) = column.kind {
                return Err(Error::UnreadableColumn { column: column.name.clone(), kind });
            }
            file.for_each_cell(place, interrupt, |cell, place| builder.push(cell, place))?;
        }
        Ok(())
    })
}

struct ParquetFile {
    reader: SerializedFileReader<Unchanging>,
    rows: u64,
    columns: Vec<FileColumn>,
}

struct FileColumn {
    name: String,
    kind: Kind,
    optional: bool,
}

/// What a column's values are, beyond their physical type.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Boolean,
    Signed,
    Unsigned,
    Float,
    /// Whole numbers to be divided by a power of ten.
    Decimal(i32),
    Text,
    /// Something that is neither number nor text here.
    Unreadable(&'static str),
}

impl ParquetFile {
    fn open(file: &Unchanging) -> Result<Self, Error> {
        let reader = SerializedFileReader::new(file.clone()).map_err(malformed)?;
        let metadata = reader.metadata().file_metadata();
        let rows = u64::try_from(metadata.num_rows()).map_err(|_| Error::MalformedParquet)?;
        let columns = metadata.schema_descr().columns();
        if columns.len() > COLUMNS {
            return Err(Error::Limit { place: Place::Header, limit: COLUMNS, what: "columns" });
        }
        let columns = columns.iter().map(|column| FileColumn::new(column));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        distinct(&names)?;
        Ok(Self { reader, rows, columns })
    }

    /// Visits all cells of a column; there must be one for each row.
    fn for_each_cell(
        &self,
        place: usize,
        interrupt: &mut Interrupt<'_>,
        mut visit: impl FnMut(Cell<'_>, Place) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let column = &self.columns[place];
        let mut row = 0;
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).map_err(malformed)?;
            compression(group.metadata().column(place).compression(), &column.name)?;
            let reader = group.get_column_reader(place).map_err(malformed)?;
            column.for_each_cell(reader, &mut |cell| {
                if row % BATCH_ROWS as u64 == 0 {
                    interrupt.look()?;
                }
                row += 1;
                if row > self.rows {
                    return Err(Error::MalformedParquet);
                }
                visit(cell, Place::Row(row))
            })?;
        }
        if row == self.rows { Ok(()) } else { Err(Error::MalformedParquet) }
    }
}

impl FileColumn {
    fn new(column: &ColumnDescriptor) -> Result<Self, Error> {
        let name = column.path().string();
        if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
            return Err(Error::Nested(name));
        }
        Ok(Self { name, kind: kind(column), optional: column.max_def_level() > 0 })
    }

    fn for_each_cell(&self, reader: ColumnReader, visit: Visit<'_>) -> Result<(), Error> {
        let optional = self.optional;
        match reader {
            ColumnReader::BoolColumnReader(reader) => {
                each(reader, optional, |&value| Cell::Boolean(value), visit)
            }
            ColumnReader::Int32ColumnReader(reader) => {
                each(reader, optional, |&value| self.narrow(value), visit)
            }
            ColumnReader::Int64ColumnReader(reader) => {
                each(reader, optional, |&value| self.wide(value), visit)
            }
            ColumnReader::FloatColumnReader(reader) => {
                each(reader, optional, |&value| float(f64::from(value)), visit)
            }
            ColumnReader::DoubleColumnReader(reader) => {
                each(reader, optional, |&value| float(value), visit)
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                each(reader, optional, |value| self.bytes(value.data()), visit)
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                each(reader, optional, |value| self.bytes(value.data()), visit)
            }
            ColumnReader::Int96ColumnReader(reader) => {
                each(reader, optional, |_| Cell::Text(b""), visit)
            }
        }
    }

    fn narrow(&self, value: i32) -> Cell<'static> {
        match self.kind {
            Kind::Unsigned => Cell::Integer(i64::from(value.cast_unsigned())),
            _ => self.wide(i64::from(value)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a float is the nearest that is asked for")]
    fn wide(&self, value: i64) -> Cell<'static> {
        match self.kind {
            Kind::Decimal(scale) => float(scaled(value as f64, scale)),
            Kind::Unsigned if value < 0 => Cell::Number(value.cast_unsigned() as f64),
            _ => Cell::Integer(value),
        }
    }

    fn bytes<'a>(&self, value: &'a [u8]) -> Cell<'a> {
        match self.kind {
            Kind::Decimal(scale) => float(scaled(big_endian(value), scale)),
            _ if cell::is_missing(value) => Cell::Missing,
            _ => Cell::Text(value.trim_ascii()),
        }
    }
}

type Visit<'a> = &'a mut dyn FnMut(Cell<'_>) -> Result<(), Error>;

/// Visits the cells of one column of one row group, in bounded memory.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    optional: bool,
    cell: impl Fn(&T::T) -> Cell<'_>,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    loop {
        values.clear();
        levels.clear();
        let levels_wanted = optional.then_some(&mut levels);
        let read = reader.read_records(BATCH_ROWS, levels_wanted, None, &mut values);
        if read.map_err(malformed)?.0 == 0 {
            return Ok(());
        }
        let mut present = values.iter();
        if !optional {
            present.try_for_each(|value| visit(cell(value)))?;
            continue;
        }
        for level in &levels {
            match level {
                0 => visit(Cell::Missing)?,
                _ => visit(cell(present.next().ok_or(Error::MalformedParquet)?))?,
            }
        }
    }
}

fn describe(file: &ParquetFile, place: usize) -> Result<RegisteredColumn, Error> {
    let column = &file.columns[place];
    let (mut missing, mut texts) = (0, Texts::default());
    file.for_each_cell(place, &mut Interrupt::never(), |cell, place| {
        match cell {
            Cell::Missing => missing += 1,
            Cell::OutOfRange => {
                return Err(Error::OutOfRange { place, column: column.name.clone() });
            }
            Cell::Text(text) if column.kind == Kind::Text => {
                if text.len() > CELL_BYTES {
                    return Err(Error::Limit { place, limit: CELL_BYTES, what: "bytes in a cell" });
                }
                utf8(text, place, &column.name)?;
                texts.insert(text);
            }
            Cell::Text(_) | Cell::Boolean(_) | Cell::Integer(_) | Cell::Number(_) => {}
        }
        Ok(())
    })?;
    let column_type = match column.kind {
        Kind::Boolean => ColumnType::Boolean,
        Kind::Signed | Kind::Unsigned => ColumnType::Integer,
        Kind::Float | Kind::Decimal(_) => ColumnType::Number,
        Kind::Text if missing < file.rows => texts.column_type(file.rows - missing),
        Kind::Text | Kind::Unreadable(_) => ColumnType::Text,
    };
    Ok(RegisteredColumn { name: column.name.clone(), column_type, missing, strays: 0 })
}

fn kind(column: &ColumnDescriptor) -> Kind {
    match column.logical_type_ref() {
        Some(logical) => logical_kind(logical, column),
        None => converted_kind(column),
    }
}

fn logical_kind(logical: &LogicalType, column: &ColumnDescriptor) -> Kind {
    match logical {
        LogicalType::String | LogicalType::Enum | LogicalType::Json => Kind::Text,
        LogicalType::Decimal(decimal) => Kind::Decimal(decimal.scale),
        LogicalType::Integer(integer) if integer.is_signed => Kind::Signed,
        LogicalType::Integer(_) => Kind::Unsigned,
        LogicalType::Date => Kind::Unreadable("dates"),
        LogicalType::Time(_) => Kind::Unreadable("times"),
        LogicalType::Timestamp(_) => Kind::Unreadable("timestamps"),
        LogicalType::Unknown => physical_kind(column),
        LogicalType::Float16 => Kind::Unreadable("16-bit floats"),
        LogicalType::Uuid => Kind::Unreadable("UUIDs"),
        _ => Kind::Unreadable("values of a kind that is not known here"),
    }
}

fn converted_kind(column: &ColumnDescriptor) -> Kind {
    match column.converted_type() {
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Kind::Text,
        ConvertedType::DECIMAL => Kind::Decimal(column.type_scale()),
        ConvertedType::DATE => Kind::Unreadable("dates"),
        ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => Kind::Unreadable("times"),
        ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS => {
            Kind::Unreadable("timestamps")
        }
        ConvertedType::UINT_8
        | ConvertedType::UINT_16
        | ConvertedType::UINT_32
        | ConvertedType::UINT_64 => Kind::Unsigned,
        ConvertedType::BSON | ConvertedType::INTERVAL => Kind::Unreadable("binary values"),
        _ => physical_kind(column),
    }
}

fn physical_kind(column: &ColumnDescriptor) -> Kind {
    match column.physical_type() {
        Type::BOOLEAN => Kind::Boolean,
        Type::INT32 | Type::INT64 => Kind::Signed,
        Type::FLOAT | Type::DOUBLE => Kind::Float,
        Type::BYTE_ARRAY => Kind::Text,
        Type::INT96 => Kind::Unreadable("timestamps"),
        Type::FIXED_LEN_BYTE_ARRAY => Kind::Unreadable("binary values"),
    }
}

fn compression(compression: Compression, column: &str) -> Result<(), Error> {
    match compression {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => Ok(()),
        other => {
            let codec = other.to_string().to_lowercase();
            let codec = codec.split('(').next().unwrap_or_default().to_owned();
            Err(Error::Compression { column: column.to_owned(), codec })
        }
    }
}

/// A float's cell: NaN is a missing value, an infinite one no measurement.
fn float(value: f64) -> Cell<'static> {
    if value.is_nan() {
        Cell::Missing
    } else if value.is_finite() {
        Cell::Number(value)
    } else {
        Cell::OutOfRange
    }
}

/// Divides rather than multiplies: 10ⁿ is exact up to 22, 10⁻ⁿ never is.
fn scaled(value: f64, scale: i32) -> f64 {
    value / 10_f64.powi(scale)
}

/// The signed number that the bytes are in big-endian two's complement.
fn big_endian(bytes: &[u8]) -> f64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let magnitude = bytes
        .iter()
        .fold(0.0, |number, &byte| number * 256.0 + f64::from(if negative { !byte } else { byte }));
    if negative { -magnitude - 1.0 } else { magnitude }
}

/// Runs work over the Parquet library, which panics on some broken files.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::MalformedParquet))
}

/// The library's texts are dropped: nothing promises that they hold no value.
fn malformed(_: ParquetError) -> Error {
    Error::MalformedParquet
}

/// The cells that are read at once.
const BATCH_ROWS: usize = 4096;
