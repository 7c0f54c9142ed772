//! What keeps a dataset from being registered or read.

use std::fmt;
use std::io;

use protocol::{Code, ColumnType};

use crate::{Kind, image, loading_plan, nifti};

/// An error of this crate. No variant can hold the content of a cell, and none holds a path from outside the dataset:
/// the caller knows it. A file inside a dataset's folder is named, for its owner has to find it; such an error stays in
/// the owner's log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Caller: a column that is asked for, withheld or named as the patients' is not there.
    #[error("column {0:?} is not in the file")]
    UnknownColumn(String),
    /// Caller: a column that identifies or is withheld is asked for.
    #[error("column {0:?} is withheld by the owner or identifies patients")]
    HiddenColumn(String),
    /// Caller: a patient is to be left out of a dataset that does not say whose a sample is.
    #[error("{} names no patients, so none can be left out", match .0 {
        Kind::Table => "a table without a patients' column",
        Kind::ImageFolder => "an image folder",
        Kind::MedicalFolder => "this medical folder",
    })]
    NoPatients(Kind),
    /// Caller: a text that can be no patient's identifier.
    #[error("a patient's identifier has 1 to {most} bytes and no control character")]
    PatientIdentifier {
        /// The bytes of the longest.
        most: usize,
    },
    /// Caller: a list of exclusions is full.
    #[error("at most {most} patients of a dataset can be left out")]
    TooManyExclusions {
        /// The patients on the longest list.
        most: usize,
    },
    /// Caller: numbers are asked of a column that has none.
    #[error("column {column:?} is of type {}, which is not numeric", column_type.as_str())]
    NotNumeric {
        /// The column.
        column: String,
        /// Its type as registered.
        column_type: ColumnType,
    },
    /// Caller: categories are asked of a column whose values have no text form here.
    #[error("column {column:?} holds {kind}, which cannot be read")]
    UnreadableColumn {
        /// The column.
        column: String,
        /// What the file says it holds.
        kind: &'static str,
    },
    /// Caller: a column was not asked for, or was asked for in another form.
    #[error("column {0:?} was not read in this form")]
    NotRead(String),
    /// Environment: the file cannot be opened.
    #[error("the file cannot be opened")]
    Open(#[source] io::Error),
    /// Environment: reading stopped.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// Configuration: the path leads to a folder, a device or a pipe.
    #[error("the path does not lead to a regular file")]
    NotAFile,
    /// Caller: whoever waited for the work does not want it any more.
    #[error("the work was interrupted")]
    Interrupted,
    /// Data: another program wrote to the file.
    #[error("the file changed while it was read")]
    Unsteady,
    /// Data: another content than the registered one.
    #[error("the file has changed since it was registered")]
    Changed,
    /// Data: no byte, or nothing but blank lines.
    #[error("the file is empty")]
    Empty,
    /// Data: column names and nothing else.
    #[error("the file has a header and no rows")]
    NoRows,
    /// Data: the file is not text.
    #[error("the file is neither text in UTF-8 nor Parquet: {0}")]
    NotText(&'static str),
    /// Data: a cell is not UTF-8.
    #[error("{place}, column {column:?}: the cell is not UTF-8")]
    Encoding {
        /// Where.
        place: Place,
        /// The column.
        column: String,
    },
    /// Data: the header is not UTF-8.
    #[error("the name of column {0} is not UTF-8")]
    HeaderEncoding(usize),
    /// Data: a row of another length than the first.
    #[error("{place} has {found} cells, the first row has {expected}")]
    Ragged {
        /// Where.
        place: Place,
        /// The number of its cells.
        found: usize,
        /// The number of columns.
        expected: usize,
    },
    /// Data: a quote that would take all rows below it into one cell.
    #[error("{place} opens a quote that is never closed")]
    UnclosedQuote {
        /// Where the quote is opened.
        place: Place,
    },
    /// Data: text after a cell's closing quote, most often because the quote that opened the cell was never closed.
    #[error("{place} opens a quote whose cell goes on after the closing quote")]
    TextAfterQuote {
        /// Where the quote is opened.
        place: Place,
    },
    /// Data: two columns of one name.
    #[error("columns {first} and {second} have the same name, {name:?}")]
    DuplicateColumn {
        /// The name.
        name: String,
        /// The first column of that name, counted from 1.
        first: usize,
        /// The second.
        second: usize,
    },
    /// Data: a number that no 64-bit float can hold.
    #[error("{place}, column {column:?}: the number is beyond the range of a 64-bit float")]
    OutOfRange {
        /// Where.
        place: Place,
        /// The column.
        column: String,
    },
    /// Data: some rows hold none of the declared classes.
    #[error(
        "column {column:?} has {rows} rows with a value that is none of the declared classes, first in row {first}"
    )]
    UndeclaredClass {
        /// The column.
        column: String,
        /// How many rows.
        rows: usize,
        /// The first of them, counted from 1 without the header.
        first: usize,
    },
    /// Data: a limit of this crate.
    #[error("{place} exceeds the limit of {limit} {what}")]
    Limit {
        /// Where.
        place: Place,
        /// The limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// Data: a list or a structure in a Parquet column.
    #[error("column {0:?} is nested, only flat columns can be read")]
    Nested(String),
    /// Data: a compression of Parquet that is not built in.
    #[error("column {column:?} is compressed with {codec}, only Snappy, gzip and none can be read")]
    Compression {
        /// The column.
        column: String,
        /// The compression's name.
        codec: String,
    },
    /// Data: a Parquet file that breaks the format.
    #[error("the file is not well-formed Parquet")]
    MalformedParquet,
    /// Data: something is wrong with a file of a folder.
    #[error("file {file:?} cannot be used")]
    File {
        /// The file, relative to the dataset's folder.
        file: String,
        /// What is wrong.
        #[source]
        error: Box<Error>,
    },
    /// Configuration: the path leads to something else than a folder.
    #[error("the path does not lead to a folder")]
    NotAFolder,
    /// Configuration: a folder that looks like none of the kinds.
    #[error("the folder is neither an image folder nor a medical folder")]
    UnknownKind,
    /// Configuration: a link, followed, would let a plan read what is not of the dataset.
    #[error("the link leads out of the dataset's folder")]
    LeadsOut,
    /// Data: a file's name is no text.
    #[error("the name is not UTF-8")]
    FileName,
    /// Data: a limit of this crate.
    #[error("the folder exceeds the limit of {limit} {what}")]
    FolderLimit {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// Data: an image that cannot be decoded.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Data: a volume that cannot be read.
    #[error(transparent)]
    Volume(#[from] nifti::Error),
    /// Data: no image in any class folder.
    #[error("no folder in the dataset's folder holds a PNG or JPEG image")]
    NoImages,
    /// Data: no subject that can be used.
    #[error("none of {subjects} subjects has what is asked for")]
    NoSubjects {
        /// The subjects' folders.
        subjects: u64,
    },
    /// Data: the demographics name a subject more than once.
    #[error("column {column:?} names a subject again in {rows} rows")]
    RepeatedSubject {
        /// The column of the subjects' names.
        column: String,
        /// How many rows.
        rows: u64,
    },
    /// Caller: a modality that is in no subject.
    #[error("modality {0:?} is in no subject's folder")]
    UnknownModality(String),
    /// Data: a value that the loading plan does not map.
    #[error("{place}, column {column:?}: the value is none of those that the loading plan maps")]
    Unmapped {
        /// Where.
        place: Place,
        /// The column, as the study calls it.
        column: String,
    },
    /// Data: a number that is beyond the range of a 64-bit float after its unit is changed.
    #[error(
        "{place}, column {column:?}: the number is beyond the range of a 64-bit float in its new unit"
    )]
    Unscalable {
        /// Where.
        place: Place,
        /// The column, as the study calls it.
        column: String,
    },
    /// Caller: a reader of one kind of dataset is given another.
    #[error("the dataset is {}, not {}", found.article(), expected.article())]
    WrongKind {
        /// What it is.
        found: Kind,
        /// What it should be.
        expected: Kind,
    },
    /// Configuration: a loading plan that does not fit.
    #[error(transparent)]
    LoadingPlan(#[from] loading_plan::Error),
    /// Environment: what is granted cannot be written.
    #[error("the granted view cannot be written")]
    Write(#[source] io::Error),
}

impl Error {
    /// What reading says; an error of ours that went through a reader comes out as itself.
    pub(crate) fn reading(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Read)
    }

    /// The code that a round ends with when its dataset gives this error.
    pub fn code(&self) -> Code {
        match self {
            Self::Interrupted => Code::Cancelled,
            Self::Open(_) | Self::Read(_) | Self::NotAFile | Self::NotAFolder => {
                Code::DataUnavailable
            }
            Self::Write(_) => Code::NodeInternal,
            Self::File { error, .. } => error.code(),
            Self::UnknownColumn(_)
            | Self::HiddenColumn(_)
            | Self::NoPatients(_)
            | Self::PatientIdentifier { .. }
            | Self::TooManyExclusions { .. }
            | Self::NotNumeric { .. }
            | Self::UnreadableColumn { .. }
            | Self::NotRead(_)
            | Self::Unsteady
            | Self::Changed
            | Self::Empty
            | Self::NoRows
            | Self::NotText(_)
            | Self::Encoding { .. }
            | Self::HeaderEncoding(_)
            | Self::Ragged { .. }
            | Self::UnclosedQuote { .. }
            | Self::TextAfterQuote { .. }
            | Self::DuplicateColumn { .. }
            | Self::OutOfRange { .. }
            | Self::UndeclaredClass { .. }
            | Self::Limit { .. }
            | Self::Nested(_)
            | Self::Compression { .. }
            | Self::MalformedParquet
            | Self::UnknownKind
            | Self::LeadsOut
            | Self::FileName
            | Self::FolderLimit { .. }
            | Self::Image(_)
            | Self::Volume(_)
            | Self::NoImages
            | Self::NoSubjects { .. }
            | Self::RepeatedSubject { .. }
            | Self::UnknownModality(_)
            | Self::Unmapped { .. }
            | Self::Unscalable { .. }
            | Self::WrongKind { .. }
            | Self::LoadingPlan(_) => Code::DataInvalid,
        }
    }

    /// What the owner can do about it, where there is an advice.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { error, .. } => error.hint(),
            Self::UnknownKind => Some(
                "an image folder has one folder for each class; a medical folder is \
                 subject/modality/*.nii or *.nii.gz; `--kind` states which it is",
            ),
            Self::NoPatients(Kind::ImageFolder) => Some(
                "delete the patient's images and accept the change with `dataset check --update`",
            ),
            Self::NoPatients(_) => {
                Some("register the table again with `--patient-id COLUMN`, or delete the rows")
            }
            Self::LeadsOut => Some("put the file itself into the folder, or remove the link"),
            Self::Image(_) | Self::Volume(_) => {
                Some("export the file again from where it comes from, or move it out of the folder")
            }
            Self::NoSubjects { .. } => {
                Some("a volume is found at subject/modality/*.nii or *.nii.gz, one in each folder")
            }
            Self::Unmapped { .. } => {
                Some("name every value that the column has; an empty text makes it missing")
            }
            Self::Changed => Some("look at the change with `wardround node dataset check`"),
            Self::Encoding { .. } | Self::HeaderEncoding(_) | Self::NotText(_) => {
                Some("save the table as CSV in UTF-8")
            }
            Self::Ragged { .. } => Some("state the delimiter if it was not recognised"),
            Self::UnclosedQuote { .. } | Self::TextAfterQuote { .. } => Some(
                "close the quote, or double it where it belongs to the cell: \"a \"\"quoted\"\" word\"",
            ),
            Self::Unsteady => Some("try again when no other program writes to the file"),
            Self::Compression { .. } => Some("write the file with Snappy compression"),
            _ => None,
        }
    }
}

/// Where in a file something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of a text file, counted from 1 with the header.
    Line(u64),
    /// A row of a Parquet file, counted from 1.
    Row(u64),
    /// The names of the columns.
    Header,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Row(row) => write!(formatter, "row {row}"),
            Self::Header => formatter.write_str("the header"),
        }
    }
}
