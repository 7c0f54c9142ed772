//! The rounds of a node: a row for people beside each journal, changed in the same transaction.

use std::collections::{HashMap, HashSet};

use protocol::{
    ArtifactReference, Code, DatasetId, Digest, ExperimentId, Mode, Phase, ResearcherId, RoundId,
    Timestamp, TrainReply, TrainRequest,
};
use round::round::failure_codes;
use round::{Event, Outcome, Round};
use runtime::Confinement;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use store::journal::{self, Journal};
use store::{Transaction, rusqlite};

use super::releases::Held;
use super::{Error, column, from_json, restores, to_json};

/// A round as the operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundRow {
    /// The round's id; also the correlation id of its reply.
    pub round_id: RoundId,
    /// The experiment.
    pub experiment_id: ExperimentId,
    /// The round's number in its experiment.
    pub round: u32,
    /// Who asked.
    pub researcher_id: ResearcherId,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Train or validate.
    pub mode: Mode,
    /// How far it is.
    pub stage: Stage,
    /// The attempt that runs or ran last.
    pub attempt: u32,
    /// How its plan was confined, where it was a program.
    #[serde(default)]
    pub confinement: Option<Confinement>,
    /// The update that the policy holds, or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// How it ended.
    pub code: Option<Code>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When this row last changed.
    pub changed_at: Timestamp,
}

/// How far a round is, as its journal says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Accepted, waiting for a slot.
    Queued,
    /// An attempt runs.
    Running,
    /// The update is written and waits to be sent.
    Exported,
    /// The reply is written and waits to be acknowledged.
    Replied,
    /// The coordinator holds the reply.
    Delivered,
    /// The coordinator's round had ended before the reply came.
    Closed,
    /// Its journal cannot be read any more; never written, found when the rounds are listed.
    Damaged,
}

/// Writes the acceptance: the first record of the journal and the row.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn accept(
    transaction: &Transaction<'_>,
    request: &TrainRequest,
    now: Timestamp,
) -> Result<(), Error> {
    let row = RoundRow::new(request, now);
    append(
        transaction,
        request.round_id,
        &Event::Accepted { request: Box::new(request.clone()) },
        now,
    )?;
    transaction.execute(
        "INSERT INTO node_rounds (round_id, body) VALUES (?1, ?2)",
        params![request.round_id.to_string(), to_json(&row)],
    )?;
    Ok(())
}

/// Writes a record of a round that was accepted, and changes its row accordingly.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn record(
    transaction: &Transaction<'_>,
    id: RoundId,
    event: &Event,
    now: Timestamp,
) -> Result<(), Error> {
    record_confined(transaction, id, event, None, now)
}

/// As [`record`], and notes how the round's plan was confined, where that is known.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn record_confined(
    transaction: &Transaction<'_>,
    id: RoundId,
    event: &Event,
    confinement: Option<&Confinement>,
    now: Timestamp,
) -> Result<(), Error> {
    append(transaction, id, event, now)?;
    let Some(mut row) = by_id(transaction, id)? else {
        return Err(Error::UnknownRound { round: id.to_string() });
    };
    row.changed_at = now;
    row.follow(event);
    row.confinement = confinement.cloned().or(row.confinement);
    transaction.execute(
        "UPDATE node_rounds SET body = ?2 WHERE round_id = ?1",
        params![id.to_string(), to_json(&row)],
    )?;
    if matches!(event, Event::Acknowledged | Event::Closed) {
        Journal::within(transaction).close(&machine(id), now)?;
        drop_update(transaction, &id.to_string())?;
    }
    Ok(())
}

/// Keeps a short update until its reply, which carries it, is delivered: the reply's record is nothing without it.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn keep_update(transaction: &Transaction<'_>, id: RoundId, bytes: &[u8]) -> Result<(), Error> {
    transaction.execute(
        "INSERT OR REPLACE INTO node_updates (round_id, body) VALUES (?1, ?2)",
        params![id.to_string(), bytes],
    )?;
    Ok(())
}

/// The update that is kept for a reply; empty where none is.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn kept_update(transaction: &Transaction<'_>, id: RoundId) -> Result<Vec<u8>, Error> {
    let select = "SELECT body FROM node_updates WHERE round_id = ?1";
    let kept = transaction.query_row(select, [id.to_string()], |row| row.get(0)).optional()?;
    Ok(kept.unwrap_or_default())
}

fn drop_update(transaction: &Transaction<'_>, id: &str) -> Result<(), Error> {
    transaction.execute("DELETE FROM node_updates WHERE round_id = ?1", [id])?;
    Ok(())
}

/// The records of a round, oldest first; none for one that was never accepted.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn records(
    transaction: &Transaction<'_>,
    id: RoundId,
) -> Result<Vec<(Event, Timestamp)>, Error> {
    let entries = Journal::within(transaction).replay(&machine(id), 1)?;
    entries.iter().map(|entry| Ok((entry.read()?, entry.at))).collect()
}

/// The reply of a round, where it has one.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn reply(transaction: &Transaction<'_>, id: RoundId) -> Result<Option<TrainReply>, Error> {
    let records = records(transaction, id)?;
    Ok(records.into_iter().find_map(|(event, _)| match event {
        Event::Replied { reply } => Some(*reply),
        Event::Accepted { .. }
        | Event::AttemptStarted { .. }
        | Event::Answered { .. }
        | Event::CancelRequested
        | Event::ApprovalRevoked
        | Event::DeadlinePassed
        | Event::Connected
        | Event::RequestedAgain
        | Event::Acknowledged
        | Event::Closed => None,
    }))
}

/// The rounds that are not delivered yet, in the order in which they were accepted.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn open(transaction: &Transaction<'_>) -> Result<Vec<RoundId>, Error> {
    let machines = Journal::within(transaction).open_machines(PREFIX)?;
    machines
        .iter()
        .map(|machine| {
            machine[PREFIX.len()..].parse().map_err(|_| Error::Damaged { what: "a round's id" })
        })
        .collect()
}

/// Whether an open round's journal cannot be taken up, so that it neither ends nor goes on.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn is_damaged(
    transaction: &Transaction<'_>,
    id: RoundId,
    now: Timestamp,
) -> Result<bool, Error> {
    if !open(transaction)?.contains(&id) {
        return Ok(false);
    }
    match records(transaction, id) {
        Ok(records) => Ok(Round::restore(records, now).is_err()),
        Err(error @ Error::Database(_)) => Err(error),
        Err(_) => Ok(true),
    }
}

/// Forgets a round whose journal is damaged, as if it had never been asked for.
///
/// # Errors
///
/// [`Error::UnknownRound`], or [`Error::RoundNotDamaged`] for one that is healthy or delivered.
pub fn drop_damaged(
    transaction: &Transaction<'_>,
    id: RoundId,
    now: Timestamp,
) -> Result<(), Error> {
    let is_unreadable = matches!(by_id(transaction, id), Err(Error::Damaged { .. }));
    if is_unreadable || is_damaged(transaction, id, now)? {
        Journal::within(transaction).remove(&machine(id))?;
        transaction.execute("DELETE FROM node_rounds WHERE round_id = ?1", [id.to_string()])?;
        drop_update(transaction, &id.to_string())?;
        return Ok(());
    }
    let round = id.to_string();
    Err(match by_id(transaction, id)? {
        Some(_) => Error::RoundNotDamaged { round },
        None => Error::UnknownRound { round },
    })
}

/// Ends an open round without a reply: an earlier life of this node may have ended it already.
pub(super) fn abandon(
    transaction: &Transaction<'_>,
    id: RoundId,
    now: Timestamp,
) -> Result<(), Error> {
    Journal::within(transaction).close(&machine(id), now)?;
    drop_update(transaction, &id.to_string())?;
    // A row that cannot be read stays as it is.
    if let Ok(Some(mut row)) = by_id(transaction, id) {
        (row.stage, row.code, row.changed_at) = (Stage::Closed, Some(Code::RoundSpent), now);
        transaction.execute(
            "UPDATE node_rounds SET body = ?2 WHERE round_id = ?1",
            params![id.to_string(), to_json(&row)],
        )?;
    }
    Ok(())
}

/// Forgets the rounds that were delivered before an instant; gives their ids.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn forget(transaction: &Transaction<'_>, before: Timestamp) -> Result<Vec<RoundId>, Error> {
    let journal = Journal::within(transaction);
    let mut forgotten = Vec::new();
    for machine in journal.closed_before(PREFIX, before)? {
        journal.remove(&machine)?;
        let id = &machine[PREFIX.len()..];
        transaction.execute("DELETE FROM node_rounds WHERE round_id = ?1", [id])?;
        forgotten.extend(id.parse::<RoundId>());
    }
    Ok(forgotten)
}

/// The updates of delivered rounds, each with the instant of its last delivery.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn delivered_updates(
    transaction: &Transaction<'_>,
) -> Result<HashMap<Digest, Timestamp>, Error> {
    let entries = Journal::within(transaction).closed_entries(PREFIX, "replied")?;
    let update = |(entry, at): (journal::Entry, Timestamp)| {
        let replied: Replied = entry.read().ok()?;
        Some((replied.reply.update?.digest, at))
    };
    // They come in the order of their delivery, so that the last one stays.
    Ok(entries.into_iter().filter_map(update).collect())
}

/// What of a reply's record says which update it was.
#[derive(Deserialize)]
struct Replied {
    reply: RepliedUpdate,
}

#[derive(Deserialize)]
struct RepliedUpdate {
    update: Option<ArtifactReference>,
}

/// How much there is of delivered rounds.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn delivered_size(transaction: &Transaction<'_>) -> Result<journal::ClosedSize, Error> {
    Ok(Journal::within(transaction).closed_size(PREFIX)?)
}

/// How many rounds of the same researcher and dataset were accepted before a round, and since an instant; those that
/// were refused before they started do not count.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn before(transaction: &Transaction<'_>, id: RoundId, since: Timestamp) -> Result<u64, Error> {
    let Some(own) = by_id(transaction, id)? else { return Ok(0) };
    let restore = restores::latest(transaction)?;
    let untold =
        restore.map_or(0, |restore| restore.untold(&own.researcher_id, own.dataset_id, since));
    let mut select = transaction.prepare_cached(
        "SELECT round_id, body FROM node_rounds \
         WHERE number < (SELECT number FROM node_rounds WHERE round_id = ?1) ORDER BY number DESC",
    )?;
    let mut rows = select.query([id.to_string()])?;
    let mut count = untold;
    while let Some(row) = rows.next()? {
        let (id, body): (String, String) = (row.get(0)?, row.get(1)?);
        // One of which nothing can be read may have been anybody's.
        let Some(row) = read(transaction, &id, &body)? else {
            count += 1;
            continue;
        };
        if row.accepted_at < since {
            break;
        }
        let is_alike = row.researcher_id == own.researcher_id && row.dataset_id == own.dataset_id;
        count += u64::from(is_alike && row.has_started());
    }
    Ok(count)
}

/// The latest rounds, the latest first; those whose journal is damaged say so.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn latest(
    transaction: &Transaction<'_>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<RoundRow>, Error> {
    let mut rows = Vec::new();
    for (id, body) in bodies(transaction, limit)? {
        rows.extend(read(transaction, &id, &body)?);
    }
    for row in rows.iter_mut().filter(|row| row.stage.is_open()) {
        if is_damaged(transaction, row.round_id, now)? {
            row.stage = Stage::Damaged;
        }
    }
    Ok(rows)
}

/// Those of the latest rounds of which neither the row nor the journal can be read, the latest first.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn unreadable(transaction: &Transaction<'_>, limit: usize) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (id, body) in bodies(transaction, limit)? {
        if read(transaction, &id, &body)?.is_none() {
            found.push(id);
        }
    }
    Ok(found)
}

/// The experiments of which a round is remembered; nothing where one cannot be read, so that nobody concludes from it
/// that an experiment is over.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn experiments(transaction: &Transaction<'_>) -> Result<Option<HashSet<ExperimentId>>, Error> {
    let mut select = transaction.prepare_cached("SELECT body FROM node_rounds")?;
    let bodies = select.query_map([], |row| row.get::<_, String>(0))?;
    let mut remembered = HashSet::new();
    for body in bodies {
        let Ok(row) = from_json::<RoundRow>("a round", &body?) else { return Ok(None) };
        remembered.insert(row.experiment_id);
    }
    Ok(Some(remembered))
}

fn bodies(transaction: &Transaction<'_>, limit: usize) -> Result<Vec<(String, String)>, Error> {
    let mut select = transaction
        .prepare_cached("SELECT round_id, body FROM node_rounds ORDER BY number DESC LIMIT ?1")?;
    let rows = select.query_map([column(limit as u64)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads a row, or makes it again from the journal, which it only sums up; none where neither can be read.
fn read(transaction: &Transaction<'_>, id: &str, body: &str) -> Result<Option<RoundRow>, Error> {
    if let Ok(row) = from_json("a round", body) {
        return Ok(Some(row));
    }
    let Ok(id) = id.parse() else { return Ok(None) };
    match records(transaction, id) {
        Ok(records) => Ok(RoundRow::of(&records)),
        Err(error @ Error::Database(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// The row of a round.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn by_id(transaction: &Transaction<'_>, id: RoundId) -> Result<Option<RoundRow>, Error> {
    let body: Option<String> = transaction
        .query_row("SELECT body FROM node_rounds WHERE round_id = ?1", [id.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(body) = body else { return Ok(None) };
    match read(transaction, &id.to_string(), &body)? {
        Some(row) => Ok(Some(row)),
        None => Err(Error::Damaged { what: "a round" }),
    }
}

impl Stage {
    /// Whether the round waits for something.
    const fn is_open(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Exported | Self::Replied | Self::Damaged => true,
            Self::Delivered | Self::Closed => false,
        }
    }
}

impl RoundRow {
    /// Whether the round was not refused before it started, as far as is known.
    fn has_started(&self) -> bool {
        let early = [Phase::Accept, Phase::Arguments, Phase::Plan, Phase::Approval];
        let is_refusal = |code| early.iter().any(|phase| failure_codes(*phase).contains(&code));
        !self.code.is_some_and(is_refusal)
    }

    fn new(request: &TrainRequest, now: Timestamp) -> Self {
        Self {
            round_id: request.round_id,
            experiment_id: request.experiment_id,
            round: request.round,
            researcher_id: request.researcher_id.clone(),
            dataset_id: request.dataset_id,
            mode: request.mode,
            stage: Stage::Queued,
            attempt: 0,
            confinement: None,
            held: None,
            code: None,
            accepted_at: now,
            changed_at: now,
        }
    }

    /// What a journal says, all but how the plan was confined.
    fn of(records: &[(Event, Timestamp)]) -> Option<Self> {
        let (Event::Accepted { request }, accepted) = records.first()? else { return None };
        let mut row = Self::new(request, *accepted);
        for (event, at) in records {
            row.changed_at = *at;
            row.follow(event);
        }
        Some(row)
    }

    fn follow(&mut self, event: &Event) {
        match event {
            Event::AttemptStarted { attempt } => {
                self.attempt = *attempt;
                self.stage = Stage::Running;
            }
            Event::Answered { outcome: Outcome::Exported { .. }, .. } => {
                self.stage = Stage::Exported;
            }
            Event::Replied { reply } => {
                self.code = Some(reply.code);
                self.stage = Stage::Replied;
            }
            Event::Acknowledged => self.stage = Stage::Delivered,
            Event::Closed => self.stage = Stage::Closed,
            Event::Accepted { .. }
            | Event::Answered { .. }
            | Event::CancelRequested
            | Event::ApprovalRevoked
            | Event::DeadlinePassed
            | Event::Connected
            | Event::RequestedAgain => {}
        }
    }
}

fn append(
    transaction: &Transaction<'_>,
    id: RoundId,
    event: &Event,
    now: Timestamp,
) -> Result<(), Error> {
    let entry = journal::Event::new(now, kind(event), event)?;
    Journal::within(transaction).append(&machine(id), &[entry])?;
    Ok(())
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Accepted { .. } => "accepted",
        Event::AttemptStarted { .. } => "attempt_started",
        Event::Answered { .. } => "answered",
        Event::CancelRequested => "cancel_requested",
        Event::ApprovalRevoked => "approval_revoked",
        Event::DeadlinePassed => "deadline_passed",
        Event::Connected => "connected",
        Event::RequestedAgain => "requested_again",
        Event::Replied { .. } => "replied",
        Event::Acknowledged => "acknowledged",
        Event::Closed => "closed",
    }
}

fn machine(id: RoundId) -> String {
    format!("{PREFIX}{id}")
}

const PREFIX: &str = "round/";
