//! What a node shows of a dataset: never a path, never a value.

use serde::{Deserialize, Serialize};

use crate::{DatasetId, DatasetName};

/// A dataset as search replies show it.
///
/// Databases of earlier versions hold more fields, which are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// Its identifier at the node.
    pub dataset_id: DatasetId,
    /// Its name, unique at the node.
    pub name: DatasetName,
    /// What it is tagged with.
    pub tags: Vec<String>,
    /// A text for people.
    pub description: String,
    /// The kind of dataset: `tabular`, `image-folder` or `medical-folder`.
    pub kind: String,
    /// The columns that may be shown, in the file's order; withheld and identifying ones are left out.
    pub columns: Vec<ColumnSummary>,
    /// The number of rows, or nothing where the node does not show so small a number.
    pub row_count: Option<u64>,
    /// The classes of an image folder in the order of their numbers, or the modalities of a medical folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartSummary>,
    /// Name and version of the node's data loading plan: `tumour-board@2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading_plan: Option<String>,
}

/// A class of an image folder, or a modality of a medical folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSummary {
    /// Its name.
    pub name: String,
    /// Images of the class, or subjects with the modality; nothing where the node does not show the number of rows.
    #[serde(default)]
    pub samples: Option<u64>,
    /// The shape of a modality's volumes: `64 x 64 x 32`. Empty where they have several, and for classes.
    #[serde(default)]
    pub shape: String,
}

/// A column's name, type and how many of its cells are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSummary {
    /// The column's name.
    pub name: String,
    /// What its cells are.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// How many cells are missing, or nothing where the node does not show the number of rows.
    #[serde(default)]
    pub missing: Option<u64>,
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// True and false.
    Boolean,
    /// Few distinct texts.
    Category,
    /// Texts.
    Text,
}

impl ColumnType {
    /// The type's name as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Category => "category",
            Self::Text => "text",
        }
    }

    /// Whether the cells are numbers that a model can take as they are.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }
}

impl std::str::FromStr for ColumnType {
    type Err = UnknownColumnType;

    fn from_str(text: &str) -> Result<Self, UnknownColumnType> {
        [Self::Integer, Self::Number, Self::Boolean, Self::Category, Self::Text]
            .into_iter()
            .find(|column_type| column_type.as_str() == text)
            .ok_or(UnknownColumnType)
    }
}

/// A text names no type of column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown column type")]
pub struct UnknownColumnType;
