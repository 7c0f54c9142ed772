//! `wardround node dataset list`.

use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let datasets = administration.dataset_list().await.map_err(|error| refused(&error))?;
    printer.result(&datasets, |datasets| {
        if datasets.is_empty() {
            return "no datasets".to_owned();
        }
        let rows = datasets.iter().map(|dataset| {
            [
                dataset.name.to_string(),
                dataset.kind.as_str().to_owned(),
                dataset.rows.to_string(),
                dataset.columns.len().to_string(),
                dataset.tags.join(", "),
                dataset.path.display().to_string(),
            ]
        });
        table(["name", "kind", "rows", "columns", "tags", "path"], rows.collect())
    });
    Ok(())
}
