//! What a node keeps in its database beside the journal: datasets, plans, rounds, and whether it is paused.
//!
//! Every function works inside a caller's transaction, so that a round's row changes with its journal or not at all.

pub mod datasets;
pub(crate) mod grants;
pub mod plans;
pub mod pythons;
pub mod releases;
pub mod restores;
pub mod rounds;
pub(crate) mod statistics;

use rusqlite::OptionalExtension;
use store::database::{Migration, Migrations};
use store::{Transaction, rusqlite};

/// What is wrong with the registry, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No dataset has this name.
    #[error("dataset \"{name}\" is not registered")]
    UnknownDataset {
        /// The name that was given.
        name: String,
    },
    /// A dataset of this name exists.
    #[error("dataset \"{name}\" is registered already")]
    DatasetExists {
        /// The name.
        name: String,
    },
    /// A patient cannot be left out of a dataset.
    #[error(transparent)]
    Exclusions(dataset::Error),
    /// No plan has this digest, or more than one starts with it.
    #[error("plan \"{digest}\" is not known here")]
    UnknownPlan {
        /// What was given.
        digest: String,
    },
    /// The first digits of a digest fit several plans.
    #[error("plan \"{digest}\" is not unique: {count} plans start so")]
    AmbiguousPlan {
        /// What was given.
        digest: String,
        /// How many plans fit.
        count: usize,
    },
    /// Nothing is granted that could be withdrawn or signed.
    #[error("plan \"{digest}\" has no grant that {wanted}")]
    NoGrant {
        /// The plan.
        digest: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Whoever gave a grant cannot be its second person.
    #[error("grant {number} was given by {person}, and needs the signature of somebody else")]
    SamePerson {
        /// The grant.
        number: u64,
        /// Who gave it.
        person: crate::grant::Person,
    },
    /// A grant cannot be signed.
    #[error(transparent)]
    Seal(#[from] crate::grant::Error),
    /// What was typed or written is no grant.
    #[error("{0}")]
    GrantForm(String),
    /// No interpreter has this name.
    #[error("interpreter \"{name}\" is not registered")]
    UnknownPython {
        /// The name that was given.
        name: String,
    },
    /// An interpreter of this name exists.
    #[error("interpreter \"{name}\" is registered already")]
    PythonExists {
        /// The name.
        name: String,
    },
    /// No round has this id.
    #[error("round {round} is not known here")]
    UnknownRound {
        /// The id.
        round: String,
    },
    /// A round whose journal can be taken up is not dropped.
    #[error("round {round} is not damaged")]
    RoundNotDamaged {
        /// The id.
        round: String,
    },
    /// No update of the round waits for its owner.
    #[error("no update of round {round} waits for a decision")]
    NotHeld {
        /// The id.
        round: String,
    },
    /// A row holds something that was never written there.
    #[error("the node's database holds {what} that cannot be read")]
    Damaged {
        /// What.
        what: &'static str,
    },
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] store::journal::Error),
    /// It could not be recorded.
    #[error("nothing was changed, for it cannot be recorded")]
    Audit(#[from] std::sync::Arc<crate::audit::Error>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] store::database::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Whether the owner has paused the node.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn is_paused(transaction: &Transaction<'_>) -> Result<bool, Error> {
    let value: Option<String> = transaction
        .query_row("SELECT value FROM node_settings WHERE key = 'paused'", [], |row| row.get(0))
        .optional()?;
    Ok(value.as_deref() == Some("true"))
}

/// Pauses the node, or lets it go on.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn set_paused(transaction: &Transaction<'_>, paused: bool) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO node_settings (key, value) VALUES ('paused', ?1) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [paused.to_string()],
    )?;
    Ok(())
}

/// The policy that was in effect last: its digest, or `none` for a folder without a file; nothing before the first.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn policy(transaction: &Transaction<'_>) -> Result<Option<String>, Error> {
    let select = "SELECT value FROM node_settings WHERE key = 'policy'";
    Ok(transaction.query_row(select, [], |row| row.get(0)).optional()?)
}

/// Notes which policy is in effect.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn set_policy(transaction: &Transaction<'_>, digest: &str) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO node_settings (key, value) VALUES ('policy', ?1) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [digest],
    )?;
    Ok(())
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what the registry keeps has names for keys")
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Damaged { what })
}

pub(crate) fn column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The node's own tables, for [`store::Database::open`].
pub const MIGRATIONS: Migrations = Migrations {
    component: "node",
    steps: &[
        Migration {
            version: 1,
            sql: "
            CREATE TABLE node_settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE node_datasets (
                dataset_id TEXT PRIMARY KEY,
                name TEXT NOT NULL UNIQUE,
                body TEXT NOT NULL
            );
            CREATE TABLE node_plans (
                digest TEXT PRIMARY KEY,
                body TEXT NOT NULL
            );
            CREATE TABLE node_rounds (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                round_id TEXT NOT NULL UNIQUE,
                body TEXT NOT NULL
            );
        ",
        },
        // Datasets were tables only, and did not say so.
        Migration {
            version: 2,
            sql: "UPDATE node_datasets SET body = json_set(body, '$.registration.kind', 'table');",
        },
        Migration {
            version: 3,
            sql: "CREATE TABLE node_pythons (name TEXT PRIMARY KEY, body TEXT NOT NULL);",
        },
        // Short updates travel inside their replies, and must be there as long as these.
        Migration {
            version: 4,
            sql: "CREATE TABLE node_updates (round_id TEXT PRIMARY KEY, body BLOB NOT NULL);",
        },
        // Approvals had no bounds and no signatures; those that were given are signed when the node first opens.
        Migration {
            version: 5,
            sql: "
            CREATE TABLE node_grants (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                plan TEXT NOT NULL,
                family INTEGER NOT NULL,
                body TEXT NOT NULL,
                signature BLOB NOT NULL
            );
            CREATE INDEX node_grants_by_plan ON node_grants (plan);
            CREATE TABLE node_grant_uses (
                grant_number INTEGER NOT NULL,
                use TEXT NOT NULL,
                round_id TEXT NOT NULL,
                PRIMARY KEY (grant_number, use, round_id)
            ) WITHOUT ROWID;
            CREATE INDEX node_grant_uses_by_round ON node_grant_uses (round_id);
            CREATE TABLE node_approvals_before_grants (digest TEXT PRIMARY KEY);
            INSERT INTO node_approvals_before_grants (digest)
                SELECT digest FROM node_plans WHERE json_extract(body, '$.decision') = 'approved';
        ",
        },
        Migration {
            version: 6,
            sql: "
            CREATE TABLE node_statistics_queries (
                round_id TEXT PRIMARY KEY,
                researcher TEXT NOT NULL,
                dataset TEXT NOT NULL,
                charged_at INTEGER NOT NULL
            );
            CREATE INDEX node_statistics_queries_by_researcher
                ON node_statistics_queries (researcher, dataset, charged_at);
            CREATE TABLE node_statistics_cohorts (
                dataset TEXT NOT NULL,
                digest TEXT NOT NULL,
                body BLOB NOT NULL,
                PRIMARY KEY (dataset, digest)
            );
        ",
        },
    ],
};
