//! What of a dataset's JSON one is made up after.

use std::path::Path;
use std::str::FromStr;

use dataset::{ImageFolder, MedicalFolder, Modality, Registered};
use protocol::{ColumnType, PartSummary};
use runtime::MadeUp;
use runtime::made_up::{Colours, MadeUpColumn, MadeUpImages, MadeUpModality, MadeUpVolumes};
use serde::Deserialize;
use serde_json::Value;
use training_plan::Plan;
use training_plan::plan::Task;

use crate::failure::Failure;

/// What the made-up cells of a column say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Values {
    column: String,
    texts: Vec<String>,
}

impl FromStr for Values {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (column, texts) =
            text.split_once('=').ok_or("a column, an equals sign and texts are due")?;
        let texts: Vec<String> = texts.split(',').map(str::to_owned).collect();
        Ok(Self { column: column.to_owned(), texts })
    }
}

/// A dataset, as far as one is made up after it: what `dataset search` or `node dataset show` prints of it.
#[derive(Deserialize)]
struct Like {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    columns: Vec<LikeColumn>,
    #[serde(default)]
    withheld: Vec<String>,
    #[serde(default)]
    patient_id: Option<String>,
    #[serde(default)]
    row_count: Option<u64>,
    /// Classes or modalities, as a search shows them.
    #[serde(default)]
    parts: Vec<PartSummary>,
    /// A folder, as its owner sees it.
    #[serde(default)]
    folder: Option<Registered>,
    /// Its name, or for its owner the plan with the columns that a study sees.
    #[serde(default)]
    loading_plan: Value,
}

#[derive(Deserialize)]
struct LikeColumn {
    name: String,
    #[serde(rename = "type")]
    column_type: ColumnType,
    #[serde(default)]
    missing: Option<u64>,
}

/// Reads what the first dataset of a file looks like.
pub(super) fn read(path: &Path, values: &[Values], plan: Option<&Plan>) -> Result<MadeUp, Failure> {
    let unusable =
        |why: String| Failure::usage(format!("{} is no dataset's JSON: {why}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let value = match value {
        Value::Array(found) => found.into_iter().next().unwrap_or_default(),
        one => one,
    };
    let value = value.get("dataset").cloned().unwrap_or(value);
    let like: Like = serde_json::from_value(value).map_err(|error| unusable(error.to_string()))?;
    let columns = like.columns(plan).map_err(unusable)?;
    let columns = told(columns, values)
        .map_err(|column| Failure::usage(format!("{}: no column {column:?}", path.display())))?;
    Ok(match like.kind.as_str() {
        "" | "table" | "tabular" if columns.is_empty() => {
            return Err(unusable("it has no columns".to_owned()));
        }
        "" | "table" | "tabular" => MadeUp::Table(columns),
        "image-folder" => MadeUp::Images(like.images()),
        "medical-folder" => MadeUp::Volumes(like.volumes(columns)),
        other => return Err(unusable(format!("nothing can be made up for a {other}"))),
    })
}

impl Like {
    /// The columns that a study sees, and what a native plan declares of their cells.
    fn columns(&self, plan: Option<&Plan>) -> Result<Vec<MadeUpColumn>, String> {
        let presented = self.loading_plan.get("columns").cloned();
        let presented: Option<Vec<LikeColumn>> =
            presented.map(serde_json::from_value).transpose().map_err(|error| error.to_string())?;
        let is_shown = |name: &String| {
            presented.is_some()
                || (!self.withheld.contains(name) && self.patient_id.as_ref() != Some(name))
        };
        let columns = presented.as_ref().unwrap_or(&self.columns).iter();
        let columns = columns.filter(|column| is_shown(&column.name)).map(|column| MadeUpColumn {
            name: column.name.clone(),
            column_type: column.column_type,
            has_missing: column.missing.is_some_and(|missing| missing > 0),
            values: plan.map(|plan| planned(plan, &column.name)).unwrap_or_default(),
        });
        Ok(columns.collect())
    }

    fn images(&self) -> MadeUpImages {
        match &self.folder {
            Some(Registered::ImageFolder(folder)) => MadeUpImages {
                classes: folder.classes.iter().map(|class| class.name.clone()).collect(),
                width: folder.width,
                height: folder.height,
                colours: colours(folder),
            },
            _ => MadeUpImages {
                classes: self.parts.iter().map(|part| part.name.clone()).collect(),
                width: USUAL_SIDE,
                height: USUAL_SIDE,
                colours: vec![Colours::Rgb],
            },
        }
    }

    fn volumes(&self, columns: Vec<MadeUpColumn>) -> MadeUpVolumes {
        let (modalities, has_table) = match &self.folder {
            Some(Registered::MedicalFolder(folder)) => {
                let modalities = folder.modalities.iter().map(|one| modality(one, folder));
                (modalities.collect(), folder.demographics.is_some())
            }
            _ => (self.parts.iter().map(|part| self.part(part)).collect(), !columns.is_empty()),
        };
        MadeUpVolumes { modalities, demographics: has_table.then_some(columns) }
    }

    /// A modality as a search shows it.
    fn part(&self, part: &PartSummary) -> MadeUpModality {
        MadeUpModality {
            name: part.name.clone(),
            shapes: shape(&part.shape).into_iter().collect(),
            is_measured: false,
            has_missing: part.samples < self.row_count,
        }
    }
}

/// The columns with the cells that the researcher names, or the first that is not there.
fn told(mut columns: Vec<MadeUpColumn>, values: &[Values]) -> Result<Vec<MadeUpColumn>, &str> {
    for Values { column, texts } in values {
        let named = columns.iter_mut().find(|one| one.name == *column);
        named.ok_or(column.as_str())?.values.clone_from(texts);
    }
    Ok(columns)
}

/// A modality as its owner sees it.
fn modality(modality: &Modality, folder: &MedicalFolder) -> MadeUpModality {
    MadeUpModality {
        name: modality.name.clone(),
        shapes: modality.shapes.keys().filter_map(|text| shape(text)).collect(),
        is_measured: modality.types.keys().any(|name| name.starts_with("float")),
        has_missing: modality.subjects < folder.subjects,
    }
}

/// Reads `64 x 64 x 32`.
fn shape(text: &str) -> Option<Vec<u16>> {
    text.split(" x ").map(|size| size.parse().ok()).collect()
}

fn colours(folder: &ImageFolder) -> Vec<Colours> {
    let is_grey = |format: &&String| format.contains("grey");
    let grey = folder.formats.keys().any(|format| is_grey(&format));
    let coloured = folder.formats.keys().any(|format| !is_grey(&format));
    let known = [(coloured, Colours::Rgb), (grey, Colours::Grey)];
    known.into_iter().filter(|(is_there, _)| *is_there).map(|(_, colours)| colours).collect()
}

/// The texts that a native plan declares for a column: its classes, its categories, or counts for a target of numbers,
/// which suit every loss.
fn planned(plan: &Plan, column: &str) -> Vec<String> {
    let data = plan.data();
    if data.target() == column {
        return match data.task() {
            Task::Binary | Task::Multiclass => data.classes().to_vec(),
            Task::Regression => (0..8).map(|count| count.to_string()).collect(),
        };
    }
    data.categories().get(column).cloned().unwrap_or_default()
}

/// The width and height of images that have no known ones.
const USUAL_SIDE: (u32, u32) = (64, 64);
