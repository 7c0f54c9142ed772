//! The `[data]` section: which columns a plan reads and what it does with their values.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::document::{Error, Section, Value};

use super::scale::{self, Scale};

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of two classes; the last of the declared classes is the positive one.
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

impl Task {
    /// The word that plans use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        }
    }
}

/// Which columns are features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    /// Every numeric column but the target, and the columns with declared categories.
    All,
    /// The named columns.
    Named(Vec<String>),
}

/// What happens to a row with a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The round ends: the plan expects complete data.
    Error,
    /// The row is left out.
    Drop,
    /// A missing number becomes the mean of the node's own training subset; a missing category
    /// belongs to no category. A row without its target is left out.
    Mean,
}

/// How numbers are brought to one scale.
#[derive(Clone, Debug, PartialEq)]
pub enum Standardize {
    /// By the means and deviations that the plan declares, or that statistics have found for it.
    Declared(Scale),
    /// By the means and deviations of all sites together, which nobody has asked for yet: no such plan runs.
    Federated,
    /// By the mean and deviation of the node's own training subset.
    Local,
    /// Not at all.
    None,
}

/// What a plan reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    task: Task,
    target: String,
    classes: Vec<String>,
    features: Features,
    categories: BTreeMap<String, Vec<String>>,
    missing: Missing,
    standardize: Standardize,
}

impl Data {
    pub(super) fn read(section: Section<'_>, bundle: &Bundle) -> Result<Self, Error> {
        let task = section
            .choice("task", &TASKS.map(|task| (task.as_str(), task)))?
            .ok_or_else(|| section.missing("task"))?;
        let target = section.required_name("target", LONGEST_COLUMN)?.to_owned();
        let classes = read_classes(section, task)?;
        let features = read_features(section, &target)?;
        let categories = read_categories(section, &features, &target)?;
        let missing = section.choice("missing", &MISSING)?.unwrap_or(Missing::Error);
        let standardize = read_standardize(section, bundle)?;
        let data = Self { task, target, classes, features, categories, missing, standardize };
        data.check_scale(section)?;
        Ok(data)
    }

    /// What the model predicts.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// The column that is predicted.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The target's values, in the order of their labels 0, 1, …; empty for a regression.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Which columns are features.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The categories of each categorical feature, in the order of their inputs.
    #[must_use]
    pub fn categories(&self) -> &BTreeMap<String, Vec<String>> {
        &self.categories
    }

    /// What happens to a row with a missing value.
    #[must_use]
    pub fn missing(&self) -> Missing {
        self.missing
    }

    /// How numbers are brought to one scale.
    #[must_use]
    pub fn standardize(&self) -> &Standardize {
        &self.standardize
    }

    /// How many numbers the model gives for a row: one, or one for each of several classes.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self.task {
            Task::Binary | Task::Regression => 1,
            Task::Multiclass => self.classes.len(),
        }
    }

    /// A declared scale must cover the features that the plan itself names.
    fn check_scale(&self, section: Section<'_>) -> Result<(), Error> {
        let (Standardize::Declared(scale), Features::Named(names)) =
            (&self.standardize, &self.features)
        else {
            return Ok(());
        };
        let numeric = |name: &&String| !self.categories.contains_key(*name);
        match names.iter().filter(numeric).find(|name| scale.column(name).is_none()) {
            Some(name) => {
                Err(section.rule("scale", format!("must cover every feature, lacks {name:?}")))
            }
            None => Ok(()),
        }
    }
}

fn read_classes(section: Section<'_>, task: Task) -> Result<Vec<String>, Error> {
    let classes = section.distinct_texts("classes")?;
    let names = match (task, classes) {
        (Task::Regression, None) => return Ok(Vec::new()),
        (Task::Regression, Some(_)) => {
            return Err(section.rule("classes", "must be absent when the task is regression"));
        }
        (Task::Binary | Task::Multiclass, None) => return Err(section.missing("classes")),
        (Task::Binary | Task::Multiclass, Some(names)) => names,
    };
    let fits = match task {
        Task::Binary => names.len() == 2,
        Task::Multiclass | Task::Regression => (2..=MOST_CLASSES).contains(&names.len()),
    };
    if fits {
        return Ok(names.into_iter().map(str::to_owned).collect());
    }
    let rule = match task {
        Task::Binary => {
            format!("must name 2 classes when the task is binary, found {}", names.len())
        }
        Task::Multiclass | Task::Regression => {
            format!("must name 2 to {MOST_CLASSES} classes, found {}", names.len())
        }
    };
    Err(section.rule("classes", rule))
}

fn read_features(section: Section<'_>, target: &str) -> Result<Features, Error> {
    let Some(item) = section.item("features") else { return Ok(Features::All) };
    match &item.value {
        Value::Text(text) if text == "*" => return Ok(Features::All),
        Value::Array(_) => {}
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Table(_) => {
            return Err(section.rule("features", "must be \"*\" or a list of column names"));
        }
    }
    let names = section.distinct_texts("features")?.unwrap_or_default();
    if names.is_empty() || names.len() > MOST_COLUMNS {
        return Err(section.rule("features", format!("must name 1 to {MOST_COLUMNS} columns")));
    }
    if names.contains(&target) {
        return Err(section.rule("features", format!("must not name the target {target:?}")));
    }
    Ok(Features::Named(names.into_iter().map(str::to_owned).collect()))
}

fn read_categories(
    section: Section<'_>,
    features: &Features,
    target: &str,
) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let Some(item) = section.item("categories") else { return Ok(BTreeMap::new()) };
    let table = Section::open_any(section.file(), item)?;
    let mut categories = BTreeMap::new();
    for (column, _) in table.entries() {
        let named = match features {
            Features::All => true,
            Features::Named(names) => names.contains(column),
        };
        if !named || column == target {
            return Err(table.rule(column, "must be a feature to have categories"));
        }
        let values = table.distinct_texts(column)?.unwrap_or_default();
        if !(2..=MOST_CLASSES).contains(&values.len()) {
            return Err(table.rule(column, format!("must have 2 to {MOST_CLASSES} categories")));
        }
        categories.insert(column.clone(), values.into_iter().map(str::to_owned).collect());
    }
    Ok(categories)
}

fn read_standardize(section: Section<'_>, bundle: &Bundle) -> Result<Standardize, Error> {
    let file = scale::file_name(section)?;
    match (section.choice("standardize", &STANDARDIZE)?, file) {
        (Some(Scaling::Declared), Some(file)) => {
            let text = bundle.file(file).ok_or_else(|| {
                section.rule("scale", format!("names {file:?}, which the bundle does not hold"))
            })?;
            Ok(Standardize::Declared(Scale::parse(file, text)?))
        }
        (Some(Scaling::Declared), None) => Err(section.missing("scale")),
        (Some(Scaling::Federated), None) => match bundle.file(FEDERATED_SCALE) {
            Some(text) => Ok(Standardize::Declared(Scale::parse(FEDERATED_SCALE, text)?)),
            None => Ok(Standardize::Federated),
        },
        (Some(Scaling::Federated | Scaling::Local | Scaling::None) | None, Some(_)) => {
            Err(section.rule("scale", "is only used with standardize = \"declared\""))
        }
        (Some(Scaling::Local), None) => Ok(Standardize::Local),
        (Some(Scaling::None) | None, None) => Ok(Standardize::None),
    }
}

#[derive(Clone, Copy)]
enum Scaling {
    Declared,
    Federated,
    Local,
    None,
}

pub(super) const KEYS: &[&str] =
    &["task", "target", "classes", "features", "categories", "missing", "standardize", "scale"];

const TASKS: [Task; 3] = [Task::Binary, Task::Multiclass, Task::Regression];

const MISSING: [(&str, Missing); 3] =
    [("error", Missing::Error), ("drop", Missing::Drop), ("mean", Missing::Mean)];

const STANDARDIZE: [(&str, Scaling); 4] = [
    ("declared", Scaling::Declared),
    ("federated", Scaling::Federated),
    ("local", Scaling::Local),
    ("none", Scaling::None),
];

/// The file of a bundle that holds the scale which statistics have found for a plan.
pub const FEDERATED_SCALE: &str = "federated-scale.toml";

/// The most characters of a column's name.
const LONGEST_COLUMN: usize = 256;

/// The most classes of a target, and categories of a feature.
const MOST_CLASSES: usize = 1_000;

/// The most columns that a plan may name.
const MOST_COLUMNS: usize = 100_000;
