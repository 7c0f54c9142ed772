//! Everything that is written when something happened: one list, one commit.

use protocol::{
    DatasetSummary, Digest, ExperimentId, Mode, NodeId, RoundId, Timestamp, TrainReply,
};
use round::experiment::{Event, Experiment, Request, Site};
use serde_json::{Map, Value};
use store::journal::{self, Journal};
use store::rusqlite::{OptionalExtension, params};
use store::{Transaction, database};

use crate::approval_requests;
use crate::owners_word::OwnersWord;
use crate::submission::Submission;
use crate::{bodies, possession};

/// Why the coordinator's own storage failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A row is not what this version writes.
    #[error("a row of table \"{table}\" does not fit its type")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<store::rusqlite::Error> for Error {
    fn from(error: store::rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Error {
    pub(crate) fn row(
        table: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Row { table, source: source.into() }
    }
}

/// One thing to write.
#[derive(Debug)]
pub(crate) enum Write {
    /// A new experiment; its submission is the first entry of its journal.
    Submission(Box<Submission>),
    /// An event of an experiment's machine.
    Journal { experiment_id: ExperimentId, event: Event },
    /// What an experiment is now, for lists.
    State(Box<Experiment>),
    /// The machine after its last event, to start from.
    Snapshot(Box<Experiment>),
    /// The machine has ended and takes no more events.
    Close(ExperimentId),
    /// Something that watchers are told.
    News { experiment_id: ExperimentId, news: News },
    /// An execution that was asked for.
    Execution { experiment_id: ExperimentId, request: Request },
    /// A reply, and whether it was late.
    Reply {
        site: Site,
        reply: Box<TrainReply>,
        late: bool,
        loss: Option<f64>,
        /// The update, where it came with the reply.
        carried: Option<Vec<u8>>,
    },
    /// The bytes of a short file.
    Body { digest: Digest, bytes: Vec<u8> },
    /// What a node answers to a request for an approval.
    ApprovalAnswer { node: NodeId, id: ExperimentId, plan: Digest, word: OwnersWord },
    /// What a node says to all who ask for a plan.
    ApprovalDecision { node: NodeId, plan: Digest, word: OwnersWord },
    /// What a node said of itself.
    Node { node: NodeId, software: String, paused: bool, datasets: Vec<DatasetSummary> },
}

/// Something that watchers are told: a name and its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct News {
    pub(crate) name: String,
    pub(crate) fields: Map<String, Value>,
}

impl News {
    /// Splits a serialized event with its name under `event` into name and fields.
    pub(crate) fn of(event: &impl serde::Serialize) -> Self {
        let value = serde_json::to_value(event).expect("an announcement is plain data");
        let Value::Object(mut fields) = value else { unreachable!("an announcement is an object") };
        let name = fields.shift_remove("event").and_then(|name| name.as_str().map(str::to_owned));
        Self { name: name.expect("an announcement has a name"), fields }
    }

    pub(crate) fn new(name: &str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Self { name: name.to_owned(), fields }
    }
}

/// The name of an experiment's machine in the journal.
pub(crate) fn machine(experiment_id: ExperimentId) -> String {
    format!("{MACHINES}{experiment_id}")
}

/// What the names of experiments' machines begin with.
pub(crate) const MACHINES: &str = "experiment/";

/// The name of the first entry of an experiment's journal; its body is the submission.
pub(crate) const SUBMITTED: &str = "submitted";

/// Writes a list inside one transaction.
pub(crate) fn write_all(
    transaction: &Transaction<'_>,
    writes: &[(Timestamp, Write)],
) -> Result<(), Error> {
    writes.iter().try_for_each(|(now, write)| write_one(transaction, write, *now))
}

fn write_one(transaction: &Transaction<'_>, write: &Write, now: Timestamp) -> Result<(), Error> {
    let journal = Journal::within(transaction);
    match write {
        Write::Submission(submission) => write_submission(transaction, submission, now),
        Write::Journal { experiment_id, event } => {
            let event = journal::Event::new(now, event.name(), event)?;
            journal.append(&machine(*experiment_id), &[event])?;
            Ok(())
        }
        Write::State(experiment) => write_state(transaction, experiment, now),
        Write::Snapshot(experiment) => {
            let machine = machine(experiment.id());
            let last = journal.last_sequence(&machine)?;
            Ok(journal.keep_snapshot(&machine, last, now, experiment)?)
        }
        Write::Close(experiment_id) => Ok(journal.close(&machine(*experiment_id), now)?),
        Write::News { experiment_id, news } => {
            write_news(transaction, *experiment_id, news, now)?;
            Ok(())
        }
        Write::Execution { experiment_id, request } => {
            write_execution(transaction, *experiment_id, request, now)
        }
        Write::Reply { site, reply, late, loss, carried } => {
            let carried = carried.as_deref();
            let reply = StoredReply { site, reply, late: *late, loss: *loss, carried };
            write_reply(transaction, &reply, now)
        }
        Write::Body { digest, bytes } => bodies::keep(transaction, digest, bytes),
        Write::ApprovalAnswer { node, id, plan, word } => {
            approval_requests::answer(transaction, (node, *id, plan), word, now)
        }
        Write::ApprovalDecision { node, plan, word } => {
            approval_requests::decide(transaction, (node, plan), word, now)
        }
        Write::Node { node, software, paused, datasets } => {
            let node = (node, software.as_str(), *paused);
            write_node(transaction, node, datasets, now)
        }
    }
}

fn write_node(
    transaction: &Transaction<'_>,
    (node, software, paused): (&NodeId, &str, bool),
    datasets: &[DatasetSummary],
    now: Timestamp,
) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO nodes (node, software, paused, last_seen_at, datasets)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (node) DO UPDATE SET
         software = excluded.software, paused = excluded.paused,
         last_seen_at = excluded.last_seen_at, datasets = excluded.datasets",
        params![node.as_str(), software, paused, column(now), to_json(&datasets)],
    )?;
    Ok(())
}

fn write_submission(
    transaction: &Transaction<'_>,
    submission: &Submission,
    now: Timestamp,
) -> Result<(), Error> {
    let id = submission.experiment_id.to_string();
    transaction.execute(
        "INSERT INTO experiments (experiment_id, researcher_id, name, submission, plan_digest,
         submitted_at, updated_at, state, code, message, round)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 'selecting', '', '', 0)",
        params![
            id,
            submission.researcher_id.as_str(),
            submission.name,
            to_json(submission),
            submission.plan.digest.to_string(),
            column(now)
        ],
    )?;
    let model = &submission.specification.parameters;
    transaction.execute(
        "INSERT INTO rounds (experiment_id, round, ended_at, model, model_digest, model_kept)
         VALUES (?1, 0, ?2, ?3, ?4, 1)",
        params![id, column(now), to_json(model), model.digest.to_string()],
    )?;
    let submitted = journal::Event::new(now, SUBMITTED, submission)?;
    Journal::within(transaction).append(&machine(submission.experiment_id), &[submitted])?;
    Ok(())
}

fn write_state(
    transaction: &Transaction<'_>,
    experiment: &Experiment,
    now: Timestamp,
) -> Result<(), Error> {
    let code = experiment.code().map(|code| code.as_str()).unwrap_or_default();
    let message = match (experiment.pause_reason(), experiment.code()) {
        (Some(reason), _) => reason.to_string(),
        (None, Some(code)) => code.sentence().to_owned(),
        (None, None) => String::new(),
    };
    transaction
        .prepare_cached(
            "UPDATE experiments SET state = ?2, code = ?3, message = ?4, round = ?5, updated_at = ?6
             WHERE experiment_id = ?1",
        )?
        .execute(params![
            experiment.id().to_string(),
            experiment.state().as_str(),
            code,
            message,
            experiment.round(),
            column(now)
        ])?;
    Ok(())
}

/// Writes one event for watchers and returns its sequence.
pub(crate) fn write_news(
    transaction: &Transaction<'_>,
    experiment_id: ExperimentId,
    news: &News,
    now: Timestamp,
) -> Result<i64, Error> {
    let id = experiment_id.to_string();
    let sequence: i64 = transaction
        .prepare_cached(
            "UPDATE experiments SET last_event = last_event + 1 WHERE experiment_id = ?1
             RETURNING last_event",
        )?
        .query_row([&id], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO events (experiment_id, sequence, at, name, fields) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![id, sequence, column(now), news.name, to_json(&news.fields)])?;
    Ok(sequence)
}

fn write_execution(
    transaction: &Transaction<'_>,
    experiment_id: ExperimentId,
    request: &Request,
    now: Timestamp,
) -> Result<(), Error> {
    let id = experiment_id.to_string();
    transaction
        .prepare_cached(
            "INSERT INTO executions (round_id, experiment_id, round, node, dataset, asked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (round_id) DO NOTHING",
        )?
        .execute(params![
            request.round_id.to_string(),
            id,
            request.round,
            request.site.node.as_str(),
            request.site.dataset.as_str(),
            column(now)
        ])?;
    if request.mode == Mode::Train {
        transaction
            .prepare_cached(
                "INSERT INTO rounds (experiment_id, round, started_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (experiment_id, round) DO NOTHING",
            )?
            .execute(params![id, request.round, column(now)])?;
    }
    Ok(())
}

struct StoredReply<'a> {
    site: &'a Site,
    reply: &'a TrainReply,
    late: bool,
    loss: Option<f64>,
    carried: Option<&'a [u8]>,
}

fn write_reply(
    transaction: &Transaction<'_>,
    stored: &StoredReply<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let StoredReply { site, reply, late, loss, carried } = stored;
    let update = reply.update.as_ref().map(|update| update.digest.to_string());
    let written = transaction
        .prepare_cached(
            "INSERT INTO replies (round_id, experiment_id, round, node, dataset, at, late, loss,
             update_digest, update_kept, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (round_id) DO NOTHING",
        )?
        .execute(params![
            reply.round_id.to_string(),
            reply.experiment_id.to_string(),
            reply.round,
            site.node.as_str(),
            site.dataset.as_str(),
            column(now),
            late,
            loss,
            update,
            update.is_some() && !late,
            to_json(reply)
        ])?;
    match &reply.update {
        Some(update) if written > 0 => match carried {
            Some(bytes) => bodies::keep(transaction, &update.digest, bytes),
            None => possession::settle(transaction, &site.node, &update.digest),
        },
        _ => Ok(()),
    }
}

/// Where an execution belongs, as far as it was ever asked for.
pub(crate) struct Place {
    pub(crate) experiment_id: ExperimentId,
    pub(crate) site: Site,
    pub(crate) round: u32,
    /// Whether its reply is stored, and was late.
    pub(crate) replied: Option<bool>,
}

/// Finds an execution.
pub(crate) fn find_execution(
    transaction: &Transaction<'_>,
    round_id: RoundId,
) -> Result<Option<Place>, Error> {
    let found = transaction
        .prepare_cached(
            "SELECT executions.experiment_id, executions.node, executions.dataset, replies.late,
             executions.round FROM executions LEFT JOIN replies USING (round_id) WHERE round_id = ?1",
        )?
        .query_row([round_id.to_string()], |row| {
            let texts: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            Ok((texts, row.get::<_, Option<bool>>(3)?, row.get(4)?))
        })
        .optional()?;
    let Some(([experiment_id, node, dataset], replied, round)) = found else { return Ok(None) };
    let site = Site { node: read("executions", &node)?, dataset: read("executions", &dataset)? };
    let experiment_id = read("executions", &experiment_id)?;
    Ok(Some(Place { experiment_id, site, round, replied }))
}

/// Reads a text that this program wrote.
pub(crate) fn read<T>(table: &'static str, text: &str) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error| Error::row(table, error))
}

/// Reads JSON that this program wrote.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    table: &'static str,
    text: &str,
) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::row(table, error))
}

/// Writes plain data as compact JSON.
pub(crate) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("rows are plain data")
}

/// SQLite's integers are signed; no instant reaches their end.
pub(crate) fn column(at: Timestamp) -> i64 {
    i64::try_from(at.milliseconds()).unwrap_or(i64::MAX)
}

pub(crate) fn timestamp(column: i64) -> Timestamp {
    Timestamp::from_milliseconds(u64::try_from(column).unwrap_or(0))
}
