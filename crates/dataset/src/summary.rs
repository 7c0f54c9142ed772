//! What of a registration others may see.

use protocol::{ColumnSummary, DatasetId, DatasetName, DatasetSummary};

use crate::registration::Registration;

/// How the owner presents a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presentation {
    /// Its identifier at the node.
    pub dataset_id: DatasetId,
    /// Its name.
    pub name: DatasetName,
    /// What it is tagged with.
    pub tags: Vec<String>,
    /// A text for people.
    pub description: String,
}

/// Says what may be said: no path, no cell, no digest by which a guessed content could be confirmed, no column that
/// is withheld or identifies patients, and below `minimum_rows` neither the row count nor how many cells are missing.
pub fn summarize(
    registration: &Registration,
    presentation: Presentation,
    minimum_rows: u64,
) -> DatasetSummary {
    let Presentation { dataset_id, name, tags, description } = presentation;
    let are_few = registration.rows < minimum_rows;
    let shown = registration.columns.iter().filter(|column| !registration.is_hidden(&column.name));
    DatasetSummary {
        dataset_id,
        name,
        tags,
        description,
        kind: "tabular".to_owned(),
        columns: shown
            .map(|column| ColumnSummary {
                name: column.name.clone(),
                column_type: column.column_type,
                missing: (!are_few).then_some(column.missing),
            })
            .collect(),
        row_count: (!are_few).then_some(registration.rows),
    }
}
