//! Data loading plans: how a site's own layout becomes what a study expects. They are data, and nothing in them runs.

mod attached;
mod document;
mod error;

use serde::{Deserialize, Serialize};

use crate::Kind;

pub use attached::{AttachedPlan, attach};
pub use error::Error;

/// A named and versioned mapping from a site's layout to a study's.
///
/// # Examples
///
/// ```
/// use dataset::LoadingPlan;
///
/// let plan = LoadingPlan::parse(
///     "kind = \"table\"\n\
///      name = \"tumour-board\"\n\
///      version = 2\n\
///      [columns]\n\
///      age = \"AGE_YEARS\"\n\
///      [categories.sex]\n\
///      1 = \"female\"\n\
///      2 = \"male\"\n\
///      [units.height]\n\
///      from = \"cm\"\n\
///      to = \"m\"\n\
///      factor = 0.01\n",
/// )?;
/// assert_eq!(plan.reference(), "tumour-board@2");
/// assert!(plan.fulfils("tumour-board@2") && plan.fulfils("tumour-board"));
/// assert!(!plan.fulfils("tumour-board@1"));
/// let error = LoadingPlan::parse("kind = \"table\"\nnam = \"x\"\n").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 2: unknown key \"nam\", expected one of kind, name, version, description, columns, categories, units"
/// );
/// # Ok::<(), dataset::loading_plan::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadingPlan {
    /// The kind of dataset that it is for.
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) description: String,
    /// Columns with another name than the study's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) columns: Vec<Renaming>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) categories: Vec<CategoryMap>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) units: Vec<Unit>,
    /// The classes of an image folder, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) classes: Vec<Folders>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) modalities: Vec<Folders>,
}

/// A column of the study and what the site calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renaming {
    pub(crate) column: String,
    pub(crate) here: String,
}

/// What the values of a column mean to the study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryMap {
    pub(crate) column: String,
    /// The site's value and the study's; an empty one is missing.
    pub(crate) values: Vec<(String, String)>,
}

/// The unit of a column: `value * factor + offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unit {
    pub(crate) column: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) factor: f64,
    pub(crate) offset: f64,
}

/// A class or modality of the study and the folders that hold it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Folders {
    pub(crate) name: String,
    pub(crate) folders: Vec<String>,
}

impl LoadingPlan {
    /// Reads a plan's text.
    ///
    /// # Errors
    ///
    /// Names the line, the key and the rule.
    pub fn parse(text: &str) -> Result<Self, Error> {
        document::parse(text)
    }

    /// The kind of dataset that it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// A text for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Name and version in one word: `tumour-board@2`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Whether it is what a request expects: a name with a version, or a name alone.
    pub fn fulfils(&self, expected: &str) -> bool {
        match expected.rsplit_once('@') {
            Some((name, version)) => name == self.name && version == self.version.to_string(),
            None => expected == self.name,
        }
    }

    /// What it does, one line for each mapping, for its owner.
    pub fn lines(&self) -> Vec<String> {
        let renamings = self.columns.iter();
        let mut lines: Vec<String> =
            renamings.map(|one| format!("column {} is {} here", one.column, one.here)).collect();
        for map in &self.categories {
            let values = map.values.iter().map(|(here, there)| match there.as_str() {
                "" => format!("{here} is missing"),
                there => format!("{here} is {there}"),
            });
            lines.push(format!("column {}: {}", map.column, values.collect::<Vec<_>>().join(", ")));
        }
        for unit in &self.units {
            let shift = match unit.offset {
                0.0 => String::new(),
                offset => format!(" + {offset}"),
            };
            let Unit { column, from, to, factor, .. } = unit;
            lines.push(format!("column {column}: {to} = {from} * {factor}{shift}"));
        }
        for (what, parts) in [("class", &self.classes), ("modality", &self.modalities)] {
            for part in parts {
                let folders = part.folders.join(" or ");
                lines.push(format!("{what} {} is folder {folders}", part.name));
            }
        }
        lines
    }

    /// The study's classes with the site's folders, in the order of their numbers.
    pub(crate) fn class_folders(&self) -> &[Folders] {
        &self.classes
    }

    /// The study's modalities with the site's folders.
    pub(crate) fn modality_folders(&self) -> &[Folders] {
        &self.modalities
    }
}
