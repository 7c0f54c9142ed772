//! What an experiment did, round by round: the contract of `experiment history`.

use serde::{Deserialize, Serialize};

use crate::{
    ArtifactReference, Code, DatasetName, ExperimentId, MetricsReport, NodeId, Timestamp, Warning,
};

/// The history of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The experiment.
    pub experiment_id: ExperimentId,
    /// Its name, for people.
    pub name: String,
    /// The state it is in, in words: `completed`, `awaiting-replies`, …
    pub state: String,
    /// The seed of all its random choices.
    pub seed: u64,
    /// How many rounds of training it has.
    pub rounds_planned: u32,
    /// The rounds, from 0 on: round 0 holds what was measured of the initial model.
    pub rounds: Vec<HistoryRound>,
}

/// One round: what was trained, and how good the model is that it made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryRound {
    /// The round; 0 is the start.
    pub round: u32,
    /// When its first request went out; absent for round 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its model was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The model that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ArtifactReference>,
    /// The metrics of that model over the validation rows of all sites.
    #[serde(default)]
    pub metrics: Vec<FederationMetric>,
    /// The mean of the sites' last training losses, weighted by their training rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Each site's part, in the order of aggregation.
    pub sites: Vec<HistorySite>,
}

/// One metric of a model over the federation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FederationMetric {
    /// The metric's name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// How it was made out of the sites' values.
    pub made_by: MadeBy,
}

/// How a metric of the federation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MadeBy {
    /// Out of sums: the value is that of all validation rows together.
    #[serde(rename = "pooled")]
    Pooled,
    /// As the mean of the sites' values, weighted by their validation rows.
    #[serde(rename = "mean of sites")]
    MeanOfSites,
}

impl MadeBy {
    /// The words that tables and files use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::MeanOfSites => "mean of sites",
        }
    }
}

/// One dataset's part in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistorySite {
    /// The node.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: DatasetName,
    /// How its training ended; `ok` for a round in which it only validated.
    pub code: Code,
    /// Whether its update is in the round's model; a late reply is stored and not used.
    pub used: bool,
    /// Rows it trained on.
    pub sample_count: u64,
    /// The last training loss that it told of this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// The site's metrics of the model that this round made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsReport>,
    /// The site's metrics of its own update, before aggregation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_metrics: Option<MetricsReport>,
    /// What else its reply said.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Wall-clock seconds of its training loop.
    #[serde(default)]
    pub training_seconds: f64,
}
