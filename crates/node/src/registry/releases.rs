//! Updates that wait for their owner: noted in the round's row, so that a decision outlives the process.

use protocol::{ArtifactReference, Digest, RoundId, Timestamp};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use store::{Transaction, rusqlite};

use super::rounds::{self, RoundRow, Stage};
use super::{Error, to_json};

/// An update that the policy holds, and what its owner says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The update.
    pub update: ArtifactReference,
    /// Since when it waits.
    pub since: Timestamp,
    /// What its owner says.
    pub decision: Decision,
    /// When it was said.
    pub decided_at: Option<Timestamp>,
    /// What the owner notes.
    pub note: String,
}

/// What an owner says of a held update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing yet.
    Pending,
    /// It may leave.
    Approved,
    /// It stays.
    Rejected,
}

/// Notes that an update waits; one that waits already goes on waiting.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn hold(
    transaction: &Transaction<'_>,
    id: RoundId,
    update: &ArtifactReference,
    now: Timestamp,
) -> Result<(), Error> {
    if decision(transaction, id, &update.digest)?.is_some() {
        return Ok(());
    }
    let mut row = row(transaction, id)?;
    let (decision, note) = (Decision::Pending, String::new());
    row.held = Some(Held { update: update.clone(), since: now, decision, decided_at: None, note });
    keep(transaction, &row)
}

/// What the owner says of a round's update; nothing where it does not wait, or is another than the one that did.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn decision(
    transaction: &Transaction<'_>,
    id: RoundId,
    update: &Digest,
) -> Result<Option<Decision>, Error> {
    let held = rounds::by_id(transaction, id)?.and_then(|row| row.held);
    Ok(held.filter(|held| held.update.digest == *update).map(|held| held.decision))
}

/// The rounds whose updates wait, the oldest first.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn waiting(transaction: &Transaction<'_>) -> Result<Vec<RoundRow>, Error> {
    let mut waiting = Vec::new();
    for id in rounds::open(transaction)? {
        waiting.extend(rounds::by_id(transaction, id)?.filter(is_waiting));
    }
    Ok(waiting)
}

/// Records the owner's decision about an update that waits.
///
/// # Errors
///
/// [`Error::UnknownRound`], or [`Error::NotHeld`] for a round of which nothing waits any more.
pub fn decide(
    transaction: &Transaction<'_>,
    id: RoundId,
    decision: Decision,
    note: &str,
    now: Timestamp,
) -> Result<RoundRow, Error> {
    let mut row = row(transaction, id)?;
    let is_waiting = is_waiting(&row);
    match &mut row.held {
        Some(held) if is_waiting => {
            held.decision = decision;
            held.decided_at = Some(now);
            note.clone_into(&mut held.note);
        }
        _ => return Err(Error::NotHeld { round: id.to_string() }),
    }
    keep(transaction, &row)?;
    Ok(row)
}

fn is_waiting(row: &RoundRow) -> bool {
    let held = row.held.as_ref();
    row.stage == Stage::Exported && held.is_some_and(|held| held.decision == Decision::Pending)
}

fn row(transaction: &Transaction<'_>, id: RoundId) -> Result<RoundRow, Error> {
    let unknown = || Error::UnknownRound { round: id.to_string() };
    rounds::by_id(transaction, id)?.ok_or_else(unknown)
}

fn keep(transaction: &Transaction<'_>, row: &RoundRow) -> Result<(), Error> {
    transaction.execute(
        "UPDATE node_rounds SET body = ?2 WHERE round_id = ?1",
        params![row.round_id.to_string(), to_json(row)],
    )?;
    Ok(())
}
