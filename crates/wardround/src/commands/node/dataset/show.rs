//! `wardround node dataset show NAME`.

use dataset::Kind;
use dataset::registration::RegisteredColumn;
use node::administration::DatasetDetails;

use super::{One, folder};
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let dataset = administration.dataset_show(&one.name).await.map_err(|error| refused(&error))?;
    printer.result(&dataset, people);
    Ok(())
}

/// A dataset for its owner.
pub(super) fn people(dataset: &DatasetDetails) -> String {
    let (place, samples) = words(dataset.kind);
    let mut text = format!(
        "{}\n  kind     {}\n  {place:<8} {}\n  {samples:<8} {}\n  digest   {}\n",
        dataset.name,
        dataset.kind.as_str(),
        dataset.path.display(),
        dataset.rows,
        dataset.digest,
    );
    if !dataset.tags.is_empty() {
        text.push_str(&format!("  tags     {}\n", dataset.tags.join(", ")));
    }
    if !dataset.description.is_empty() {
        text.push_str(&format!("  about    {}\n", dataset.description));
    }
    if let Some(level) = dataset.minimum_level {
        text.push_str(&format!("  sandbox  level {level} or better\n"));
    }
    let excluded = dataset.excluded_patients;
    if excluded > 0 {
        text.push_str(&format!("  left out patients who withdrew: {excluded}\n"));
    }
    if let Some(folder) = &dataset.folder {
        text.push_str(&folder::people(folder));
    }
    if let Some(attached) = &dataset.loading_plan {
        text.push_str(&format!("\nloading plan {}", attached.plan.reference()));
        match attached.plan.description() {
            "" => text.push('\n'),
            about => text.push_str(&format!(": {about}\n")),
        }
        for line in attached.plan.lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if !dataset.columns.is_empty() {
        text.push('\n');
        text.push_str(&columns(dataset));
    }
    text
}

/// What a dataset's path and its samples are called.
pub(super) const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Table => ("file", "rows"),
        Kind::ImageFolder => ("folder", "images"),
        Kind::MedicalFolder => ("folder", "subjects"),
    }
}

/// The columns as the file has them, and what the study sees of each.
fn columns(dataset: &DatasetDetails) -> String {
    let rows = dataset.columns.iter().map(|column| {
        let shown = if dataset.patient_id.as_ref() == Some(&column.name) {
            "never: names patients"
        } else if dataset.withheld.contains(&column.name) {
            "never: withheld"
        } else {
            "name, type, missing"
        };
        [column.name.clone(), kind(column), column.missing.to_string(), shown.to_owned()]
    });
    let mut text = table(["column", "type", "missing", "others see"], rows.collect());
    let presented = dataset.loading_plan.iter().flat_map(|attached| &attached.columns);
    let rows: Vec<[String; 3]> = presented
        .map(|column| [column.name.clone(), kind(column), column.missing.to_string()])
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(["under the plan", "type", "missing"], rows));
    }
    text
}

fn kind(column: &RegisteredColumn) -> String {
    let mut kind = column.column_type.as_str().to_owned();
    if column.strays > 0 {
        kind.push_str(&format!(" ({} cells are no numbers)", column.strays));
    }
    kind
}
