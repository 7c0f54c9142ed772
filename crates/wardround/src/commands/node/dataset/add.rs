//! `wardround node dataset add PATH`.

use std::path::PathBuf;

use dataset::format::{DecimalMark, Delimiter, FormatName, Header};
use dataset::{Description, Kind, MedicalOptions};
use node::administration::DatasetAddition;
use protocol::DatasetName;
use sandbox::Level;
use serde::de::DeserializeOwned;

use super::show::people;
use super::{loading_plan, progress};
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which dataset, and how it is read.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The table (CSV, TSV or Parquet) or the folder. It stays where it is.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What it is, where detection is wrong: table, image-folder or medical-folder.
    #[arg(long)]
    kind: Option<Kind>,
    /// The dataset's name, unique at this node.
    #[arg(long)]
    name: DatasetName,
    /// A tag by which researchers find it; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A text for people.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A file that says how the site's own layout becomes what a study expects.
    #[arg(long, value_name = "FILE")]
    loading_plan: Option<PathBuf>,
    /// Python plans read it only when they are confined at this level or better: A, B or C.
    #[arg(long, value_name = "LEVEL")]
    minimum_level: Option<Level>,
    /// Of a medical folder: a modality that every subject must have; may be given several times.
    #[arg(long = "modality", value_name = "NAME")]
    modalities: Vec<String>,
    /// Of a medical folder: the table of demographics.
    #[arg(long, value_name = "FILE", requires = "subject_column")]
    demographics: Option<PathBuf>,
    /// Of a medical folder: the column of the demographics that names the subjects' folders.
    #[arg(long, value_name = "COLUMN", requires = "demographics")]
    subject_column: Option<String>,
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
    let loading_plan = arguments.loading_plan.as_deref().map(loading_plan::read).transpose()?;
    let administration = progress::following(administration(arguments.folder).await?, printer);
    let addition = DatasetAddition {
        name: arguments.name,
        path: arguments.path,
        tags: arguments.tags,
        description: arguments.description,
        dataset: Description {
            kind: arguments.kind,
            table: dataset::Options {
                format: arguments.format,
                delimiter: arguments.delimiter,
                header: arguments.header,
                decimal: arguments.decimal,
                patient_id: arguments.patient_id,
                withheld: arguments.withheld,
            },
            medical: MedicalOptions {
                modalities: arguments.modalities,
                demographics: arguments.demographics,
                subject_column: arguments.subject_column,
            },
        },
        loading_plan,
        minimum_level: arguments.minimum_level,
    };
    let dataset = administration.dataset_add(addition).await;
    progress::clear(printer);
    printer.result(&dataset.map_err(|error| refused(&error))?, people);
    Ok(())
}

/// Reads one of an enumeration's own words.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| error.to_string())
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
Examples:
  wardround node dataset add /data/ward.csv --name ward --tag breast-cancer --patient-id patient
  wardround node dataset add /data/patches --name patches --tag histology
  wardround node dataset add /data/mri --name mri --modality T1 --modality label \\
      --demographics /data/mri/participants.tsv --subject-column participant_id

The node reads everything once: a table's columns, types and missing cells are counted, every image
and every volume is decoded to its end. It keeps counts and a digest of the bytes, no cell and no
pixel. Look at what it understood with `wardround node dataset show`.

An image folder has one folder for each class, with PNG and JPEG files in it. A medical folder is
subject/modality/*.nii or *.nii.gz, one volume in each folder. Subjects without a modality that is
asked for, or without demographics, are left out and counted.";
