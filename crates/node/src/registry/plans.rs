//! The plans that a node knows, and what its owner has decided about each.

use protocol::{
    ArtifactReference, DatasetId, Digest, ExperimentId, ResearcherId, RuntimeKind, Timestamp,
};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use store::{Transaction, rusqlite};

use super::{Error, from_json, to_json};

/// A plan by its digest, with the owner's decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownPlan {
    /// The plan's file.
    pub plan: ArtifactReference,
    /// What it is written for.
    pub runtime: RuntimeKind,
    /// The owner's decision.
    pub decision: Decision,
    /// Who asked first; absent where the owner registered it.
    pub researcher_id: Option<ResearcherId>,
    /// For which experiment it was first asked for.
    pub experiment_id: Option<ExperimentId>,
    /// That experiment's name, where it was told.
    #[serde(default)]
    pub experiment_name: String,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// When the owner decided.
    pub decided_at: Option<Timestamp>,
    /// What the owner noted.
    #[serde(default)]
    pub note: String,
    /// What the owner tells whoever asked.
    #[serde(default)]
    pub answer: String,
    /// What researchers have told the owner, the oldest first.
    #[serde(default)]
    pub messages: Vec<PlanMessage>,
    /// The plan's digest without comments and insignificant whitespace, where it has one.
    #[serde(default)]
    pub normal: Option<Digest>,
}

impl KnownPlan {
    /// A plan of which nothing is known but that it is there.
    pub fn seen(plan: ArtifactReference, runtime: RuntimeKind, seen_at: Timestamp) -> Self {
        Self {
            plan,
            runtime,
            decision: Decision::Pending,
            researcher_id: None,
            experiment_id: None,
            experiment_name: String::new(),
            seen_at,
            decided_at: None,
            note: String::new(),
            answer: String::new(),
            messages: Vec::new(),
            normal: None,
        }
    }
}

/// What a researcher has told the owner about a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMessage {
    /// Who.
    pub researcher: ResearcherId,
    /// For which dataset.
    pub dataset: DatasetId,
    /// What.
    pub text: String,
    /// When it was heard.
    pub at: Timestamp,
}

/// What the owner has decided about a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing yet.
    Pending,
    /// It may run.
    Approved,
    /// It may not.
    Rejected,
}

impl Decision {
    /// The decision as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// Whether so many plans wait for the owner that no further one is listed.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn is_full(transaction: &Transaction<'_>) -> Result<bool, Error> {
    let pending: u32 = transaction.query_row(
        "SELECT count(*) FROM node_plans WHERE json_extract(body, '$.decision') = 'pending'",
        [],
        |row| row.get(0),
    )?;
    Ok(pending >= MOST_PENDING)
}

/// Writes a plan, in place of what was known of it.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn keep(transaction: &Transaction<'_>, plan: &KnownPlan) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO node_plans (digest, body) VALUES (?1, ?2) \
         ON CONFLICT (digest) DO UPDATE SET body = excluded.body",
        params![plan.plan.digest.to_string(), to_json(plan)],
    )?;
    Ok(())
}

/// Keeps what a researcher tells about a plan; the same said again is heard once.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn hear(
    transaction: &Transaction<'_>,
    digest: &Digest,
    message: PlanMessage,
) -> Result<(), Error> {
    let Some(mut plan) = by_digest(transaction, digest)? else { return Ok(()) };
    let is_same = |one: &PlanMessage| {
        (&one.researcher, one.dataset, &one.text)
            == (&message.researcher, message.dataset, &message.text)
    };
    if plan.messages.iter().any(is_same) {
        return Ok(());
    }
    plan.messages.push(message);
    let excess = plan.messages.len().saturating_sub(MOST_MESSAGES);
    plan.messages.drain(..excess);
    keep(transaction, &plan)
}

/// Records the owner's decision; deciding the same again changes the note only.
///
/// # Errors
///
/// [`Error::UnknownPlan`] or [`Error::AmbiguousPlan`].
pub fn decide(
    transaction: &Transaction<'_>,
    digest: &str,
    decision: Decision,
    note: &str,
    now: Timestamp,
) -> Result<KnownPlan, Error> {
    let mut plan = find(transaction, digest)?;
    plan.decision = decision;
    plan.decided_at = Some(now);
    note.clone_into(&mut plan.note);
    note.clone_into(&mut plan.answer);
    keep(transaction, &plan)?;
    Ok(plan)
}

/// All plans, the latest first.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn all(transaction: &Transaction<'_>) -> Result<Vec<KnownPlan>, Error> {
    let mut select = transaction.prepare_cached("SELECT body FROM node_plans")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    let mut plans: Vec<KnownPlan> =
        rows.map(|row| from_json("a plan", &row?)).collect::<Result<_, Error>>()?;
    plans.sort_by_key(|plan| (std::cmp::Reverse(plan.seen_at), plan.plan.digest));
    Ok(plans)
}

/// The plan of a digest.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn by_digest(
    transaction: &Transaction<'_>,
    digest: &Digest,
) -> Result<Option<KnownPlan>, Error> {
    let body: Option<String> = transaction
        .query_row("SELECT body FROM node_plans WHERE digest = ?1", [digest.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    body.map(|body| from_json("a plan", &body)).transpose()
}

/// The plan whose digest starts so; `sha256:` may be left out.
///
/// # Errors
///
/// [`Error::UnknownPlan`] or [`Error::AmbiguousPlan`].
pub fn find(transaction: &Transaction<'_>, digest: &str) -> Result<KnownPlan, Error> {
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    if digits.len() < SHORTEST || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Error::UnknownPlan { digest: digest.to_owned() });
    }
    let mut plans = all(transaction)?;
    plans.retain(|plan| plan.plan.digest.hexadecimal().starts_with(digits));
    match plans.len() {
        0 => Err(Error::UnknownPlan { digest: digest.to_owned() }),
        1 => Ok(plans.swap_remove(0)),
        count => Err(Error::AmbiguousPlan { digest: digest.to_owned(), count }),
    }
}

/// Messages about a plan that are kept.
const MOST_MESSAGES: usize = 20;
/// The fewest digits that name a plan.
const SHORTEST: usize = 6;
/// Plans that may wait for the owner's decision.
pub(crate) const MOST_PENDING: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: u32) -> KnownPlan {
        KnownPlan {
            plan: ArtifactReference::new(Digest::of(&name.to_le_bytes()), 4),
            runtime: RuntimeKind::Native,
            decision: Decision::Pending,
            researcher_id: None,
            experiment_id: None,
            experiment_name: String::new(),
            seen_at: Timestamp::from_milliseconds(u64::from(name)),
            decided_at: None,
            note: String::new(),
            answer: String::new(),
            messages: Vec::new(),
            normal: None,
        }
    }

    #[test]
    fn only_so_many_plans_wait_for_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.sqlite");
        let migrations = [crate::registry::MIGRATIONS];
        let database = store::Database::open(&path, &migrations).unwrap();
        let work = |transaction: &Transaction<'_>| -> Result<(), Error> {
            for name in 0..MOST_PENDING {
                assert!(!is_full(transaction)?);
                keep(transaction, &asked(name))?;
            }
            assert!(is_full(transaction)?);
            let digest = asked(0).plan.digest.to_string();
            decide(transaction, &digest, Decision::Rejected, "", asked(0).seen_at)?;
            assert!(!is_full(transaction)?);
            Ok(())
        };
        database.write_blocking(work).unwrap();
    }
}
