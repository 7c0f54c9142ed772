//! The one reply to a request.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ArtifactReference, Code, CorrelationId, DatasetId, Detail, ExperimentId, MetricsReport, NodeId,
    Phase, ResearcherId, RoundId, Warning,
};

/// What a node answers: exactly one for each `round_id`, always the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainReply {
    /// The execution that is answered.
    pub round_id: RoundId,
    /// The experiment.
    #[doc(alias = "job_id")]
    pub experiment_id: ExperimentId,
    /// The round's number in its experiment.
    pub round: u32,
    /// Who answers.
    pub node_id: NodeId,
    /// Who asked.
    pub researcher_id: ResearcherId,
    /// The dataset at the node.
    pub dataset_id: DatasetId,
    /// How the round ended; [`Code::Ok`] on success.
    pub code: Code,
    /// Joins this reply with the node's own log.
    pub correlation_id: CorrelationId,
    /// The one specific that may be told of a failure.
    pub detail: Option<Detail>,
    /// What else should be known.
    pub warnings: Vec<Warning>,
    /// How long it took.
    pub timing: Timing,
    /// The update, where the round trained.
    #[doc(alias = "params_url")]
    pub update: Option<ArtifactReference>,
    /// Rows of the training subset after rows with missing values are left out.
    pub sample_count: u64,
    /// Metrics of the received parameters.
    pub metrics_before: Option<MetricsReport>,
    /// Metrics of the trained parameters.
    pub metrics_after: Option<MetricsReport>,
    /// The optimizer's arguments as they were used.
    pub optimizer_args: Map<String, Value>,
    /// The aggregator's auxiliary state, going out.
    pub auxiliary_state: Option<ArtifactReference>,
    /// The state that the node keeps for a later round.
    pub state_id: Option<String>,
}

impl TrainReply {
    /// Whether the round succeeded.
    pub const fn success(&self) -> bool {
        self.code.is_ok()
    }

    /// The fixed public sentence of the reply's code.
    #[doc(alias = "msg")]
    pub const fn message(&self) -> &'static str {
        self.code.sentence()
    }
}

/// How long a round took, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Wall-clock time of the training loop.
    pub rtime_training: f64,
    /// Processor time of the training loop.
    pub ptime_training: f64,
    /// Wall-clock time of each phase that ran.
    pub phases: Vec<(Phase, f64)>,
}
