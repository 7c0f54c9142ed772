//! The kinds of dataset.

use serde::{Deserialize, Serialize};

/// What a dataset is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One file with rows and columns.
    Table,
    /// A folder with one folder of images for each class.
    ImageFolder,
    /// A folder of subjects, each with one folder for each modality.
    MedicalFolder,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Table, Self::ImageFolder, Self::MedicalFolder];

    /// The kind's name as the owner writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::ImageFolder => "image-folder",
            Self::MedicalFolder => "medical-folder",
        }
    }

    /// The kind's name in a summary that others see.
    pub const fn in_summaries(self) -> &'static str {
        match self {
            Self::Table => "tabular",
            Self::ImageFolder | Self::MedicalFolder => self.as_str(),
        }
    }

    /// The kind in a sentence.
    pub const fn article(self) -> &'static str {
        match self {
            Self::Table => "a table",
            Self::ImageFolder => "an image folder",
            Self::MedicalFolder => "a medical folder",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

/// A text names no kind of dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a dataset is a table, an image-folder or a medical-folder")]
pub struct UnknownKind;
