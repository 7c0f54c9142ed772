//! What researchers ask of owners before there is an experiment: kept here, brought to nodes whenever they connect.

use protocol::wire::v1;
use protocol::{
    ApprovalStatus, ArtifactReference, DatasetId, Digest, ExperimentId, NodeId, ResearcherId,
    Timestamp,
};
use store::Transaction;
use store::rusqlite::{Row, params};

use crate::owners_word::OwnersWord;
use crate::record::{Error, column, read, read_json, to_json};

/// One site that a researcher asks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApprovalRequest {
    /// Its own identifier, where a question of an experiment has that of the experiment.
    pub(crate) id: ExperimentId,
    pub(crate) researcher: ResearcherId,
    pub(crate) node: NodeId,
    pub(crate) dataset_id: DatasetId,
    pub(crate) dataset: String,
    pub(crate) plan: ArtifactReference,
    pub(crate) runtime: String,
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) requested_at: Timestamp,
}

/// A request with what the node has answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answered {
    pub(crate) request: ApprovalRequest,
    pub(crate) code: String,
    /// What was granted, as the owner sees it; nothing where the code is no owner's word, or says it all.
    pub(crate) status: String,
    pub(crate) note: String,
    pub(crate) answered_at: Option<Timestamp>,
}

/// Keeps a request; one for the same plan and dataset goes on under its identifier, with the new message.
pub(crate) fn keep(transaction: &Transaction<'_>, request: &ApprovalRequest) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "INSERT INTO approval_requests (request_id, researcher_id, node, dataset_id, dataset,
                 plan, plan_digest, runtime, name, message, requested_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (researcher_id, node, dataset_id, plan_digest) DO UPDATE SET
                 name = excluded.name, message = excluded.message,
                 requested_at = excluded.requested_at",
        )?
        .execute(params![
            request.id.to_string(),
            request.researcher.as_str(),
            request.node.as_str(),
            request.dataset_id.to_string(),
            request.dataset,
            to_json(&request.plan),
            request.plan.digest.to_string(),
            request.runtime,
            request.name,
            request.message,
            column(request.requested_at),
        ])?;
    Ok(())
}

/// A researcher's requests, about one plan or all, the latest first.
pub(crate) fn of_researcher(
    transaction: &Transaction<'_>,
    researcher: &ResearcherId,
    plan: Option<&Digest>,
) -> Result<Vec<Answered>, Error> {
    let plan = plan.map(ToString::to_string);
    let select = format!(
        "{COLUMNS} WHERE researcher_id = ?1 AND (?2 IS NULL OR plan_digest = ?2)
         ORDER BY requested_at DESC, node, dataset"
    );
    collect(transaction, &select, params![researcher.as_str(), plan])
}

/// The requests that a node is to hear of, the latest first.
pub(crate) fn of_node(
    transaction: &Transaction<'_>,
    node: &NodeId,
) -> Result<Vec<Answered>, Error> {
    let select =
        format!("{COLUMNS} WHERE node = ?1 ORDER BY requested_at DESC LIMIT {MOST_OF_NODE}");
    collect(transaction, &select, params![node.as_str()])
}

/// How many requests a researcher has.
pub(crate) fn count(
    transaction: &Transaction<'_>,
    researcher: &ResearcherId,
) -> Result<u64, Error> {
    let select = "SELECT count(*) FROM approval_requests WHERE researcher_id = ?1";
    let count: i64 = transaction.query_row(select, [researcher.as_str()], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Notes what a node answers to one request.
pub(crate) fn answer(
    transaction: &Transaction<'_>,
    (node, id, plan): (&NodeId, ExperimentId, &Digest),
    word: &OwnersWord,
    at: Timestamp,
) -> Result<(), Error> {
    let OwnersWord { code, status, note } = word;
    let status = status.map_or("", ApprovalStatus::as_str);
    let (id, plan, at) = (id.to_string(), plan.to_string(), column(at));
    transaction.execute(
        "UPDATE approval_requests SET code = ?4, note = ?5, answered_at = ?6, status = ?7
         WHERE request_id = ?1 AND node = ?2 AND plan_digest = ?3",
        params![id, node.as_str(), plan, code.as_str(), note, at, status],
    )?;
    Ok(())
}

/// Notes what a node says to all who ask for a plan.
pub(crate) fn decide(
    transaction: &Transaction<'_>,
    (node, plan): (&NodeId, &Digest),
    word: &OwnersWord,
    at: Timestamp,
) -> Result<(), Error> {
    let OwnersWord { code, status, note } = word;
    let status = status.map_or("", ApprovalStatus::as_str);
    transaction.execute(
        "UPDATE approval_requests SET code = ?3, note = ?4, answered_at = ?5, status = ?6
         WHERE node = ?1 AND plan_digest = ?2",
        params![node.as_str(), plan.to_string(), code.as_str(), note, column(at), status],
    )?;
    Ok(())
}

/// Whether a plan is one that somebody asks a node for.
pub(crate) fn names(
    transaction: &Transaction<'_>,
    node: &NodeId,
    plan: &Digest,
) -> Result<bool, Error> {
    let select =
        "SELECT EXISTS (SELECT 1 FROM approval_requests WHERE node = ?1 AND plan_digest = ?2)";
    let mut select = transaction.prepare_cached(select)?;
    Ok(select.query_row(params![node.as_str(), plan.to_string()], |row| row.get(0))?)
}

impl ApprovalRequest {
    /// The question as a node is asked.
    pub(crate) fn question(&self) -> v1::AskApproval {
        v1::AskApproval {
            experiment_id: self.id.to_string(),
            experiment_name: self.name.clone(),
            researcher_id: self.researcher.to_string(),
            dataset_id: self.dataset_id.to_string(),
            plan: Some(self.plan.clone().into()),
            runtime: self.runtime.clone(),
            message: self.message.clone(),
        }
    }
}

impl Answered {
    /// The request as its researcher sees it; whether the node is connected is the caller's to say.
    pub(crate) fn shown(self) -> v1::Approval {
        let Self { request, code, status, note, answered_at } = self;
        v1::Approval {
            node_id: request.node.to_string(),
            dataset_name: request.dataset,
            plan_digest: request.plan.digest.to_string(),
            name: request.name,
            message: request.message,
            code,
            note,
            requested_at: request.requested_at.milliseconds(),
            answered_at: answered_at.map_or(0, Timestamp::milliseconds),
            connected: false,
            status,
        }
    }
}

fn collect(
    transaction: &Transaction<'_>,
    select: &str,
    parameters: impl store::rusqlite::Params,
) -> Result<Vec<Answered>, Error> {
    let mut select = transaction.prepare_cached(select)?;
    let rows = select.query_map(parameters, texts)?;
    rows.map(|row| parse(row?)).collect()
}

/// A row's texts and instants.
type Columns = ([String; 12], i64, Option<i64>);

fn texts(row: &Row<'_>) -> Result<Columns, store::rusqlite::Error> {
    let mut texts: [String; 12] = Default::default();
    for (place, text) in texts.iter_mut().enumerate() {
        *text = row.get(place)?;
    }
    Ok((texts, row.get(12)?, row.get(13)?))
}

fn parse((texts, requested_at, answered_at): Columns) -> Result<Answered, Error> {
    let [
        id,
        researcher,
        node,
        dataset_id,
        dataset,
        plan,
        runtime,
        name,
        message,
        code,
        note,
        status,
    ] = texts;
    let instant = |at| Timestamp::from_milliseconds(u64::try_from(at).unwrap_or(0));
    let request = ApprovalRequest {
        id: read(TABLE, &id)?,
        researcher: read(TABLE, &researcher)?,
        node: read(TABLE, &node)?,
        dataset_id: read(TABLE, &dataset_id)?,
        dataset,
        plan: read_json(TABLE, &plan)?,
        runtime,
        name,
        message,
        requested_at: instant(requested_at),
    };
    Ok(Answered { request, code, status, note, answered_at: answered_at.map(instant) })
}

const TABLE: &str = "approval_requests";
const COLUMNS: &str =
    "SELECT request_id, researcher_id, node, dataset_id, dataset, plan, runtime, name,
    message, code, note, status, requested_at, answered_at FROM approval_requests";
/// Requests that a node hears of.
const MOST_OF_NODE: usize = 1_000;
