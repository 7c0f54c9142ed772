//! `wardround node dataset add FILE`.

use std::path::PathBuf;

use dataset::format::{DecimalMark, Delimiter, FormatName, Header};
use node::administration::DatasetAddition;
use protocol::DatasetName;
use serde::de::DeserializeOwned;

use super::show::people;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which table, and how it is read.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The table: CSV, TSV or Parquet. It stays where it is.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The dataset's name, unique at this node.
    #[arg(long)]
    name: DatasetName,
    /// A tag by which researchers find it; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A text for people.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A column that no plan can read and nobody is shown; may be given several times.
    #[arg(long = "withhold", value_name = "COLUMN")]
    withheld: Vec<String>,
    /// The column that names the patient: never shown, never a feature, never split.
    #[arg(long, value_name = "COLUMN")]
    patient_id: Option<String>,
    /// The file's format, where detection is wrong: delimited or parquet.
    #[arg(long, value_parser = word::<FormatName>)]
    format: Option<FormatName>,
    /// The delimiter, where detection is wrong: comma, semicolon, tab or pipe.
    #[arg(long, value_parser = word::<Delimiter>)]
    delimiter: Option<Delimiter>,
    /// Whether the first row is a header, where detection is wrong: present or absent.
    #[arg(long, value_parser = word::<Header>)]
    header: Option<Header>,
    /// The decimal mark, where detection is wrong: point or comma.
    #[arg(long, value_parser = word::<DecimalMark>)]
    decimal: Option<DecimalMark>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = administration(arguments.folder).await?;
    let addition = DatasetAddition {
        name: arguments.name,
        path: arguments.file,
        tags: arguments.tags,
        description: arguments.description,
        options: dataset::Options {
            format: arguments.format,
            delimiter: arguments.delimiter,
            header: arguments.header,
            decimal: arguments.decimal,
            patient_id: arguments.patient_id,
            withheld: arguments.withheld,
        },
    };
    let dataset = administration.dataset_add(addition).await.map_err(|error| refused(&error))?;
    printer.result(&dataset, people);
    Ok(())
}

/// Reads one of an enumeration's own words.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| error.to_string())
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
Example:
  wardround node dataset add /data/ward.csv --name ward --tag breast-cancer --patient-id patient

The node reads the file once and keeps its columns' names and types, the counts of rows and missing
cells, and a digest of the bytes. It keeps no cell. Delimiter, header, decimal mark and byte order
mark are detected; look at what it understood with `wardround node dataset show`.";
