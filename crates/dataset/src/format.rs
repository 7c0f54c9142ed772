//! How a file holds its table: the format, and the dialect of a text file.

pub(crate) mod detect;

use serde::{Deserialize, Serialize};

/// A table's file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Format {
    /// Text with a delimiter between the cells: CSV, TSV and their relatives.
    Delimited(Dialect),
    /// Apache Parquet.
    Parquet,
}

/// The dialect of a delimited text file. Cells may stand in double quotes, a quote inside them is doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    /// What stands between two cells.
    pub delimiter: Delimiter,
    /// Whether the first row holds the columns' names.
    pub header: Header,
    /// What stands before the decimals of a number.
    pub decimal: DecimalMark,
    /// Whether the file starts with the UTF-8 byte order mark.
    pub byte_order_mark: bool,
}

/// What stands between two cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// The tabulator.
    Tab,
    /// `|`
    Pipe,
}

impl Delimiter {
    /// Every delimiter, the least likely to occur inside a cell first.
    pub const ALL: [Self; 4] = [Self::Tab, Self::Semicolon, Self::Pipe, Self::Comma];

    /// The character.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Pipe => b'|',
        }
    }
}

/// Whether the first row holds the columns' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// The first row holds names. A column without one is named after its place: `column_3`.
    Present,
    /// The first row holds data; the columns are `column_1`, `column_2`, ….
    Absent,
}

/// What stands before the decimals of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMark {
    /// `1.5`
    Point,
    /// `1,5`
    Comma,
}

/// What the owner states about a file. What is not stated is detected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Text or Parquet; detected by the four bytes that a Parquet file starts with.
    pub format: Option<FormatName>,
    /// The delimiter; detected as the one that cuts the first rows into equally many cells.
    pub delimiter: Option<Delimiter>,
    /// The header; detected by a first row without a number above rows with numbers.
    pub header: Option<Header>,
    /// The decimal mark; detected by the numbers in the first rows.
    pub decimal: Option<DecimalMark>,
    /// The column that identifies patients: never a feature, never shown, rows of one patient stay together.
    pub patient_id: Option<String>,
    /// Columns that are never read and never shown.
    pub withheld: Vec<String>,
}

/// The name of a format, without its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatName {
    /// Delimited text.
    Delimited,
    /// Apache Parquet.
    Parquet,
}
