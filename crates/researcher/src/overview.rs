//! What a coordinator says about its experiments, nodes and itself.

use protocol::wire::{self, v1};
use protocol::{
    ApprovalStatus, ArtifactReference, Code, DatasetSummary, Digest, ExperimentId, NodeId,
    Timestamp,
};
use serde::Serialize;

/// A dataset and where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundDataset {
    /// The dataset's node.
    pub node: NodeId,
    /// Whether the node is connected.
    pub connected: bool,
    /// The dataset, as its node shows it.
    pub dataset: DatasetSummary,
}

/// One line of a list of experiments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentOverview {
    /// The experiment.
    pub experiment_id: ExperimentId,
    /// Its name.
    pub name: String,
    /// Who submitted it.
    pub researcher: String,
    /// The state it is in, in words.
    pub state: String,
    /// Why it is paused or failed.
    pub code: Option<Code>,
    /// The same in words; empty where there is nothing to say.
    pub message: String,
    /// The round it is in, from 1; 0 before the first.
    pub round: u32,
    /// How many rounds it has.
    pub rounds: u32,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// All that is known about one experiment at present.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentDetails {
    /// The line that lists have.
    pub overview: ExperimentOverview,
    /// Each dataset's part in the current round.
    pub executions: Vec<ExecutionOverview>,
    /// The plan.
    pub plan: Option<ArtifactReference>,
    /// The newest model.
    pub model: Option<ArtifactReference>,
    /// The file that was submitted.
    pub experiment_toml: String,
    /// The seed.
    pub seed: u64,
}

/// One dataset's part in the current round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionOverview {
    /// The node.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: String,
    /// What it is doing, in words.
    pub stage: String,
    /// How it ended, where it did.
    pub code: Option<Code>,
    /// Whether the node is connected.
    pub connected: bool,
    /// What the owner tells, while the approval is waited for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What was granted, as the owner sees it, while the approval is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalStatus>,
}

/// What one owner was asked, and has answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalOverview {
    /// The node.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: String,
    /// The plan.
    pub plan: Digest,
    /// What it is for.
    pub name: String,
    /// What the owner was told.
    pub message: String,
    /// The answer; none where the node has not answered.
    pub code: Option<Code>,
    /// What was granted, as the owner sees it; none where the node has not answered, or could not look at the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ApprovalStatus>,
    /// What the owner tells.
    pub note: String,
    /// When it was asked.
    pub requested_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// Whether the node is connected.
    pub connected: bool,
}

/// A node, as the coordinator knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeOverview {
    /// The node.
    pub node: NodeId,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether its owner has paused it.
    pub paused: bool,
    /// Its program and version.
    pub software: String,
    /// When it was last heard of.
    pub last_seen_at: Timestamp,
    /// What it offers.
    pub datasets: Vec<DatasetSummary>,
}

/// What a coordinator says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoordinatorStatus {
    /// Its program and version.
    pub software: String,
    /// The version of its messages.
    pub wire_version: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// How many nodes are connected.
    pub connected_nodes: u32,
    /// How many experiments have not ended.
    pub open_experiments: u32,
}

impl TryFrom<v1::SiteDataset> for FoundDataset {
    type Error = wire::Error;

    fn try_from(message: v1::SiteDataset) -> Result<Self, wire::Error> {
        let dataset = message.dataset.ok_or_else(|| wire::Error::new("dataset", "is required"))?;
        Ok(Self {
            node: wire::parse("node_id", &message.node_id)?,
            connected: message.connected,
            dataset: dataset.try_into()?,
        })
    }
}

impl TryFrom<v1::ExperimentSummary> for ExperimentOverview {
    type Error = wire::Error;

    fn try_from(message: v1::ExperimentSummary) -> Result<Self, wire::Error> {
        Ok(Self {
            experiment_id: wire::parse("experiment_id", &message.experiment_id)?,
            name: message.name,
            researcher: message.researcher_id,
            state: message.state,
            code: code(&message.code)?,
            message: message.message,
            round: message.round,
            rounds: message.rounds,
            submitted_at: Timestamp::from_milliseconds(message.submitted_at),
            updated_at: Timestamp::from_milliseconds(message.updated_at),
        })
    }
}

impl TryFrom<v1::ShowExperimentResponse> for ExperimentDetails {
    type Error = wire::Error;

    fn try_from(message: v1::ShowExperimentResponse) -> Result<Self, wire::Error> {
        let summary = message.summary.ok_or_else(|| wire::Error::new("summary", "is required"))?;
        let executions = message.executions.into_iter().map(TryInto::try_into);
        Ok(Self {
            overview: summary.try_into()?,
            executions: executions.collect::<Result<_, _>>()?,
            plan: message.plan.map(TryInto::try_into).transpose()?,
            model: message.model.map(TryInto::try_into).transpose()?,
            experiment_toml: message.experiment_toml,
            seed: message.seed,
        })
    }
}

impl TryFrom<v1::Execution> for ExecutionOverview {
    type Error = wire::Error;

    fn try_from(message: v1::Execution) -> Result<Self, wire::Error> {
        Ok(Self {
            node: wire::parse("execution.node_id", &message.node_id)?,
            dataset: message.dataset_name,
            stage: message.stage,
            code: code(&message.code)?,
            connected: message.connected,
            note: message.note,
            approval: status("execution.approval", &message.approval)?,
        })
    }
}

impl TryFrom<v1::Approval> for ApprovalOverview {
    type Error = wire::Error;

    fn try_from(message: v1::Approval) -> Result<Self, wire::Error> {
        let answered_at = Timestamp::from_milliseconds(message.answered_at);
        Ok(Self {
            node: wire::parse("approval.node_id", &message.node_id)?,
            dataset: message.dataset_name,
            plan: wire::parse("approval.plan_digest", &message.plan_digest)?,
            name: message.name,
            message: message.message,
            code: code(&message.code)?,
            status: status("approval.status", &message.status)?,
            note: message.note,
            requested_at: Timestamp::from_milliseconds(message.requested_at),
            answered_at: (message.answered_at > 0).then_some(answered_at),
            connected: message.connected,
        })
    }
}

impl TryFrom<v1::NodeSummary> for NodeOverview {
    type Error = wire::Error;

    fn try_from(message: v1::NodeSummary) -> Result<Self, wire::Error> {
        let datasets = message.datasets.into_iter().map(TryInto::try_into);
        Ok(Self {
            node: wire::parse("node_id", &message.node_id)?,
            connected: message.connected,
            paused: message.paused,
            software: message.software,
            last_seen_at: Timestamp::from_milliseconds(message.last_seen_at),
            datasets: datasets.collect::<Result<_, _>>()?,
        })
    }
}

impl From<v1::StatusResponse> for CoordinatorStatus {
    fn from(message: v1::StatusResponse) -> Self {
        Self {
            software: message.software,
            wire_version: message.wire_version,
            started_at: Timestamp::from_milliseconds(message.started_at),
            connected_nodes: message.connected_nodes,
            open_experiments: message.open_experiments,
        }
    }
}

fn status(field: &'static str, text: &str) -> Result<Option<ApprovalStatus>, wire::Error> {
    if text.is_empty() { Ok(None) } else { wire::parse(field, text).map(Some) }
}

fn code(text: &str) -> Result<Option<Code>, wire::Error> {
    if text.is_empty() { Ok(None) } else { wire::parse("code", text).map(Some) }
}
