//! `wardround node dataset show NAME`.

use node::administration::DatasetDetails;

use super::One;
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
    let mut text = format!(
        "{}\n  file     {}\n  rows     {}\n  digest   {}\n",
        dataset.name,
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
    let rows = dataset.columns.iter().map(|column| {
        let shown = if dataset.patient_id.as_ref() == Some(&column.name) {
            "never: names patients"
        } else if dataset.withheld.contains(&column.name) {
            "never: withheld"
        } else {
            "name, type, missing"
        };
        let mut kind = column.column_type.as_str().to_owned();
        if column.strays > 0 {
            kind.push_str(&format!(" ({} cells are no numbers)", column.strays));
        }
        [column.name.clone(), kind, column.missing.to_string(), shown.to_owned()]
    });
    text.push('\n');
    text.push_str(&table(["column", "type", "missing", "others see"], rows.collect()));
    text
}
