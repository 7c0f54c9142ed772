//! Lists of experiments and nodes, read for callers.

use protocol::wire::v1;
use protocol::{
    ApprovalStatus, ArtifactReference, DatasetSummary, Detail, ExperimentId, NodeId, ResearcherId,
    RoundId, Timestamp,
};
use round::experiment::{Approval, Site};
use store::Transaction;
use store::rusqlite::{OptionalExtension, Row, params};

use crate::administration::NodeState;
use crate::board::Live;
use crate::record::{Error, read, read_json};
use crate::registry::Registry;
use crate::submission::Submission;

/// A node that was here at least once.
pub(crate) struct NodeRow {
    pub(crate) node: NodeId,
    software: String,
    paused: bool,
    last_seen_at: i64,
    pub(crate) datasets: Vec<DatasetSummary>,
}

impl NodeRow {
    /// The node as the coordinator's operator sees it.
    pub(crate) fn state(self, is_connected: impl Fn(&NodeId) -> bool) -> NodeState {
        let connected = is_connected(&self.node);
        let Self { node, software, paused, last_seen_at, datasets } = self;
        let last_seen_at = u64::try_from(last_seen_at).unwrap_or(0);
        let last_seen_at = Timestamp::from_milliseconds(last_seen_at);
        NodeState { node, connected, paused, software, last_seen_at, datasets }
    }

    /// The node as lists show it; whether it is connected is the caller's to say.
    pub(crate) fn summary(self) -> v1::NodeSummary {
        v1::NodeSummary {
            node_id: self.node.to_string(),
            connected: false,
            paused: self.paused,
            software: self.software,
            last_seen_at: u64::try_from(self.last_seen_at).unwrap_or(0),
            datasets: self.datasets.into_iter().map(Into::into).collect(),
        }
    }
}

/// Every node that was ever here, by name.
pub(crate) fn nodes(transaction: &Transaction<'_>) -> Result<Vec<NodeRow>, Error> {
    let mut select = transaction.prepare_cached(
        "SELECT node, software, paused, last_seen_at, datasets FROM nodes ORDER BY node",
    )?;
    let rows = select.query_map([], |row| {
        let texts: [String; 3] = [row.get(0)?, row.get(1)?, row.get(4)?];
        Ok((texts, row.get(2)?, row.get(3)?))
    })?;
    let mut nodes = Vec::new();
    for row in rows {
        let ([node, software, datasets], paused, last_seen_at) = row?;
        let (node, datasets) = (read("nodes", &node)?, read_json("nodes", &datasets)?);
        nodes.push(NodeRow { node, software, paused, last_seen_at, datasets });
    }
    Ok(nodes)
}

/// Whose experiment it is.
pub(crate) fn owner(
    transaction: &Transaction<'_>,
    id: ExperimentId,
) -> Result<Option<ResearcherId>, Error> {
    let owner: Option<String> = transaction
        .query_row(
            "SELECT researcher_id FROM experiments WHERE experiment_id = ?1",
            [id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    owner.map(|owner| read("experiments", &owner)).transpose()
}

/// An experiment as it was submitted.
pub(crate) fn submission(
    transaction: &Transaction<'_>,
    id: ExperimentId,
) -> Result<Option<Submission>, Error> {
    let text: Option<String> = transaction
        .query_row(
            "SELECT submission FROM experiments WHERE experiment_id = ?1",
            [id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    text.map(|text| read_json("experiments", &text)).transpose()
}

/// A researcher's experiments, the newest first.
pub(crate) fn experiments(
    transaction: &Transaction<'_>,
    researcher: &ResearcherId,
) -> Result<Vec<v1::ExperimentSummary>, Error> {
    let mut select = transaction.prepare_cached(&format!(
        "SELECT {SUMMARY} FROM experiments WHERE researcher_id = ?1 ORDER BY number DESC LIMIT 1000"
    ))?;
    let rows = select.query_map([researcher.as_str()], summary)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One experiment, with the executions of its last round.
pub(crate) fn show(
    transaction: &Transaction<'_>,
    id: ExperimentId,
) -> Result<Option<v1::ShowExperimentResponse>, Error> {
    let select = format!("SELECT {SUMMARY} FROM experiments WHERE experiment_id = ?1");
    let found = transaction.query_row(&select, [id.to_string()], summary).optional()?;
    let (Some(summary), Some(submission)) = (found, submission(transaction, id)?) else {
        return Ok(None);
    };
    let model: Option<String> = transaction
        .query_row(
            "SELECT model FROM rounds WHERE experiment_id = ?1 AND model_kept ORDER BY round DESC LIMIT 1",
            [id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    let model: Option<ArtifactReference> =
        model.map(|model| read_json("rounds", &model)).transpose()?;
    Ok(Some(v1::ShowExperimentResponse {
        summary: Some(summary),
        executions: last_executions(transaction, id)?,
        plan: Some(submission.plan.into()),
        model: model.map(Into::into),
        experiment_toml: submission.experiment_toml,
        seed: submission.seed,
    }))
}

/// The executions as they stand now: those that have ended as stored, open ones as their nodes say, and sites that
/// wait for an approval.
pub(crate) fn executions(
    live: &Live,
    stored: Vec<v1::Execution>,
    registry: &Registry,
) -> Vec<v1::Execution> {
    let open = live.experiment.open_executions();
    let mut executions: Vec<v1::Execution> = stored
        .into_iter()
        .map(|mut execution| {
            let round_id: Option<RoundId> = execution.round_id.parse().ok();
            let told = round_id.and_then(|round_id| live.executions.get(&round_id));
            let stage = told.and_then(|told| told.stage);
            if let (Some(stage), true) = (stage, execution.stage == SENT) {
                stage.as_str().clone_into(&mut execution.stage);
            }
            execution
        })
        .collect();
    for (site, participant) in live.experiment.participants() {
        let waits = matches!(participant.approval, Approval::Asked | Approval::Pending);
        if waits && !open.contains_key(site) {
            executions.retain(|one| !is_of(one, site));
            let word = live.words.get(site);
            let note = word.map(|word| word.note.clone()).unwrap_or_default();
            let approval = word.and_then(|word| word.status).unwrap_or(ApprovalStatus::Pending);
            let approval = approval.to_string();
            executions.push(v1::Execution { note, approval, ..waiting(site, registry) });
        }
    }
    executions
}

fn waiting(site: &Site, registry: &Registry) -> v1::Execution {
    v1::Execution {
        node_id: site.node.to_string(),
        dataset_name: site.dataset.to_string(),
        round_id: String::new(),
        stage: "waiting for approval".to_owned(),
        code: String::new(),
        connected: registry.is_connected(&site.node),
        note: String::new(),
        approval: String::new(),
    }
}

fn is_of(execution: &v1::Execution, site: &Site) -> bool {
    execution.node_id == site.node.as_str() && execution.dataset_name == site.dataset.as_str()
}

/// What a failure is about, of a stored detail.
fn in_words(detail: &str) -> Option<String> {
    serde_json::from_str::<Detail>(detail).ok().map(|detail| detail.in_words())
}

/// The last execution of each site in the last round.
fn last_executions(
    transaction: &Transaction<'_>,
    id: ExperimentId,
) -> Result<Vec<v1::Execution>, Error> {
    let mut select = transaction.prepare_cached(
        "SELECT executions.node, executions.dataset, round_id, json_extract(body, '$.code'),
         json_extract(body, '$.detail')
         FROM executions LEFT JOIN replies USING (round_id)
         WHERE executions.experiment_id = ?1 AND executions.round =
         (SELECT max(round) FROM executions WHERE experiment_id = ?1)
         ORDER BY executions.node, executions.dataset, asked_at DESC",
    )?;
    let rows = select.query_map(params![id.to_string()], |row| {
        let code: Option<String> = row.get(3)?;
        let detail: Option<String> = row.get(4)?;
        let stage = match code.as_deref() {
            None => SENT,
            Some("ok") => "done",
            Some(_) => "failed",
        };
        Ok(v1::Execution {
            node_id: row.get(0)?,
            dataset_name: row.get(1)?,
            round_id: row.get(2)?,
            stage: stage.to_owned(),
            code: code.unwrap_or_default(),
            connected: false,
            approval: String::new(),
            note: detail.and_then(|detail| in_words(&detail)).unwrap_or_default(),
        })
    })?;
    let mut executions: Vec<v1::Execution> = rows.collect::<Result<_, _>>()?;
    executions.dedup_by(|one, before| {
        one.node_id == before.node_id && one.dataset_name == before.dataset_name
    });
    Ok(executions)
}

fn summary(row: &Row<'_>) -> Result<v1::ExperimentSummary, store::rusqlite::Error> {
    let (submitted_at, updated_at): (i64, i64) = (row.get(7)?, row.get(8)?);
    Ok(v1::ExperimentSummary {
        experiment_id: row.get(0)?,
        name: row.get(1)?,
        researcher_id: row.get(2)?,
        state: row.get(3)?,
        code: row.get(4)?,
        message: row.get(5)?,
        round: row.get(6)?,
        submitted_at: u64::try_from(submitted_at).unwrap_or(0),
        updated_at: u64::try_from(updated_at).unwrap_or(0),
        rounds: row.get(9)?,
    })
}

const SUMMARY: &str =
    "experiment_id, name, researcher_id, state, code, message, round, submitted_at, updated_at,
    json_extract(submission, '$.specification.rounds')";

/// An execution that was asked for and has not ended.
const SENT: &str = "sent";
