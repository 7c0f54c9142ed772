//! What of a registration others may see.

use protocol::{ColumnSummary, DatasetId, DatasetName, DatasetSummary, PartSummary};

use crate::registration::RegisteredColumn;
use crate::{AttachedPlan, Modality, Registered};

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
/// is withheld or identifies patients, and below `minimum_rows` neither the row count nor how many cells are missing
/// or how many samples a class or modality has.
///
/// Columns, classes and modalities have the names of the study where the dataset has a data loading plan.
pub fn summarize(
    registered: &Registered,
    plan: Option<&AttachedPlan>,
    presentation: Presentation,
    minimum_rows: u64,
) -> DatasetSummary {
    let Presentation { dataset_id, name, tags, description } = presentation;
    let are_few = registered.samples() < minimum_rows;
    let column = |column: &RegisteredColumn| ColumnSummary {
        name: column.name.clone(),
        column_type: column.column_type,
        missing: (!are_few).then_some(column.missing),
    };
    DatasetSummary {
        dataset_id,
        name,
        tags,
        description,
        kind: registered.kind().in_summaries().to_owned(),
        columns: shown_columns(registered, plan).into_iter().map(column).collect(),
        row_count: (!are_few).then_some(registered.samples()),
        parts: parts(registered, !are_few),
        loading_plan: plan.map(|attached| attached.plan.reference()),
    }
}

/// The columns that others may see: under a plan those that it presents, else those that are not hidden.
fn shown_columns<'a>(
    registered: &'a Registered,
    plan: Option<&'a AttachedPlan>,
) -> Vec<&'a RegisteredColumn> {
    match (plan, registered.any_table()) {
        (Some(attached), _) => attached.columns.iter().collect(),
        (None, Some(table)) => {
            table.columns.iter().filter(|column| !table.is_hidden(&column.name)).collect()
        }
        (None, None) => Vec::new(),
    }
}

fn parts(registered: &Registered, with_counts: bool) -> Vec<PartSummary> {
    let part = |name: &str, samples: u64, shape: String| PartSummary {
        name: name.to_owned(),
        samples: with_counts.then_some(samples),
        shape,
    };
    match registered {
        Registered::Table(_) => Vec::new(),
        Registered::ImageFolder(folder) => folder
            .classes
            .iter()
            .map(|class| part(&class.name, class.samples, String::new()))
            .collect(),
        Registered::MedicalFolder(folder) => folder
            .modalities
            .iter()
            .map(|modality| part(&modality.name, modality.subjects, one_shape(modality)))
            .collect(),
    }
}

/// The shape of all volumes, where they have one.
fn one_shape(modality: &Modality) -> String {
    match modality.shapes.len() {
        1 => modality.shapes.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}
