//! The plans that a node knows, and what its owner has decided about each.

use protocol::{
    ArtifactReference, Code, Digest, ExperimentId, ResearcherId, RuntimeKind, Timestamp,
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
    /// The code that a round ends with, or passes with.
    pub const fn code(self) -> Code {
        match self {
            Self::Pending => Code::PlanNotApproved,
            Self::Approved => Code::Ok,
            Self::Rejected => Code::PlanRejected,
        }
    }

    /// The decision as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// Looks up a plan that somebody asks to run; one that is new is listed as pending.
///
/// # Errors
///
/// Where the database cannot be read or written.
pub fn judge(transaction: &Transaction<'_>, asked: &KnownPlan) -> Result<Code, Error> {
    if let Some(known) = by_digest(transaction, &asked.plan.digest)? {
        return Ok(known.decision.code());
    }
    keep(transaction, asked)?;
    Ok(Code::PlanNotRegistered)
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

/// The fewest digits that name a plan.
const SHORTEST: usize = 6;
