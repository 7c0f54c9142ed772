//! The datasets of a node: what the owner said of each, and what its file was when it was added.

use std::path::PathBuf;

use dataset::{AttachedPlan, Exclusions, Presentation, Registered, summarize};
use protocol::{DatasetId, DatasetName, DatasetSummary, Timestamp};
use rusqlite::{OptionalExtension, params};
use sandbox::Level;
use serde::{Deserialize, Serialize};
use store::{Transaction, rusqlite};

use super::{Error, from_json, to_json};

/// One registered dataset. It is the owner's own: it holds the path, and no cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its identifier, made when it was added.
    pub dataset_id: DatasetId,
    /// Its name, unique at the node. Seeds are derived from it.
    pub name: DatasetName,
    /// What it is tagged with.
    pub tags: Vec<String>,
    /// A text for people.
    pub description: String,
    /// Where the file or folder lies.
    pub path: PathBuf,
    /// What it was.
    pub registration: Registered,
    /// How its layout becomes a study's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading_plan: Option<AttachedPlan>,
    /// A Python plan that is confined less well does not read it, whatever the node allows others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_level: Option<Level>,
    /// The patients who withdrew: what is theirs is left out of every round.
    #[serde(default, skip_serializing_if = "Exclusions::is_empty")]
    pub exclusions: Exclusions,
    /// Whether the node was restored from a backup that does not say who withdrew since: no round runs on it until its
    /// owner has given the list again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubted: bool,
    /// When it was added.
    pub added_at: Timestamp,
    /// When a changed file was last accepted.
    pub updated_at: Option<Timestamp>,
}

impl Dataset {
    /// The level that its plans need at a node: the owner's for it, and never a lower one than for all.
    pub fn demanded(&self, node: Level) -> Level {
        self.minimum_level.map_or(node, |own| own.max(node))
    }

    /// What of it others may see.
    pub fn summary(&self, minimum_rows: u64) -> DatasetSummary {
        let presentation = Presentation {
            dataset_id: self.dataset_id,
            name: self.name.clone(),
            tags: self.tags.clone(),
            description: self.description.clone(),
        };
        summarize(&self.registration, self.loading_plan.as_ref(), presentation, minimum_rows)
    }
}

/// Adds a dataset.
///
/// # Errors
///
/// [`Error::DatasetExists`] for a name that is taken.
pub fn add(transaction: &Transaction<'_>, dataset: &Dataset) -> Result<(), Error> {
    if by_name(transaction, dataset.name.as_str())?.is_some() {
        return Err(Error::DatasetExists { name: dataset.name.to_string() });
    }
    transaction.execute(
        "INSERT INTO node_datasets (dataset_id, name, body) VALUES (?1, ?2, ?3)",
        params![dataset.dataset_id.to_string(), dataset.name.as_str(), to_json(dataset)],
    )?;
    Ok(())
}

/// Replaces what is known of a dataset that is there, but for whom it leaves out: whoever withdrew while this was
/// prepared stays withdrawn.
///
/// # Errors
///
/// [`Error::UnknownDataset`] where it is not.
pub fn replace(transaction: &Transaction<'_>, dataset: &Dataset) -> Result<(), Error> {
    let known = by_id(transaction, dataset.dataset_id)?;
    let known = known.ok_or(Error::UnknownDataset { name: dataset.name.to_string() })?;
    let Dataset { exclusions, is_doubted, .. } = known;
    write(transaction, &Dataset { exclusions, is_doubted, ..dataset.clone() })
}

/// Closes a dataset until its owner says again whom it leaves out.
///
/// # Errors
///
/// [`Error::UnknownDataset`] where it is not.
pub fn doubt(transaction: &Transaction<'_>, dataset: &Dataset) -> Result<(), Error> {
    write(transaction, &Dataset { is_doubted: true, ..dataset.clone() })
}

/// Changes whom a dataset leaves out; from then on that is known again.
///
/// # Errors
///
/// [`Error::UnknownDataset`] where it is not.
pub fn exclude(
    transaction: &Transaction<'_>,
    dataset: &Dataset,
    exclusions: &Exclusions,
) -> Result<(), Error> {
    let exclusions = exclusions.clone();
    write(transaction, &Dataset { exclusions, is_doubted: false, ..dataset.clone() })
}

fn write(transaction: &Transaction<'_>, dataset: &Dataset) -> Result<(), Error> {
    let changed = transaction.execute(
        "UPDATE node_datasets SET body = ?2 WHERE dataset_id = ?1",
        params![dataset.dataset_id.to_string(), to_json(dataset)],
    )?;
    if changed == 0 {
        return Err(Error::UnknownDataset { name: dataset.name.to_string() });
    }
    Ok(())
}

/// Forgets a dataset; its file stays.
///
/// # Errors
///
/// [`Error::UnknownDataset`] where there is none of this name.
pub fn remove(transaction: &Transaction<'_>, name: &str) -> Result<(), Error> {
    let changed = transaction.execute("DELETE FROM node_datasets WHERE name = ?1", [name])?;
    if changed == 0 {
        return Err(Error::UnknownDataset { name: name.to_owned() });
    }
    Ok(())
}

/// All datasets, by name.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn all(transaction: &Transaction<'_>) -> Result<Vec<Dataset>, Error> {
    let mut select = transaction.prepare_cached("SELECT body FROM node_datasets ORDER BY name")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| from_json("a dataset", &row?)).collect()
}

/// The dataset of a name.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn by_name(transaction: &Transaction<'_>, name: &str) -> Result<Option<Dataset>, Error> {
    let body: Option<String> = transaction
        .query_row("SELECT body FROM node_datasets WHERE name = ?1", [name], |row| row.get(0))
        .optional()?;
    body.map(|body| from_json("a dataset", &body)).transpose()
}

/// The dataset of an identifier.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn by_id(transaction: &Transaction<'_>, id: DatasetId) -> Result<Option<Dataset>, Error> {
    let body: Option<String> = transaction
        .query_row(
            "SELECT body FROM node_datasets WHERE dataset_id = ?1",
            [id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    body.map(|body| from_json("a dataset", &body)).transpose()
}
