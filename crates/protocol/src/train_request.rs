//! The request for one execution of a training plan.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ArtifactReference, DatasetId, ExperimentId, ResearcherId, RoundId};

/// Asks a node to run a training plan once on one of its datasets.
///
/// A value of this type has been parsed; what can only be judged at the node (the plan, the arguments, the data) has not.
#[doc(alias = "Round")]
#[doc(alias = "job_id")]
#[doc(alias = "training_plan_url")]
#[doc(alias = "params_url")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRequest {
    /// The idempotency key: a known one never runs twice.
    pub round_id: RoundId,
    /// The experiment.
    #[doc(alias = "job_id")]
    pub experiment_id: ExperimentId,
    /// The round's number in its experiment, from 1.
    pub round: u32,
    /// Who asks.
    pub researcher_id: ResearcherId,
    /// The dataset at the node.
    pub dataset_id: DatasetId,
    /// Whether to train or only to validate.
    #[doc(alias = "training")]
    pub mode: Mode,
    /// The arguments of the plan's model: any JSON object.
    #[doc(alias = "model_kwargs")]
    #[serde(default)]
    pub model_args: Map<String, Value>,
    /// The training arguments, not judged yet.
    #[doc(alias = "training_kwargs")]
    #[serde(default)]
    pub training_args: Map<String, Value>,
    /// The experiment's seed, from which every other seed is derived.
    pub seed: u64,
    /// The training plan.
    #[doc(alias = "training_plan_url")]
    pub plan: ArtifactReference,
    /// The runtime the plan is written for.
    pub runtime: RuntimeKind,
    /// The plan's class inside a Python plan; empty otherwise.
    #[doc(alias = "training_plan_class")]
    #[serde(default)]
    pub class: String,
    /// The features, by sorted name, as they were resolved at submission.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The global parameters.
    #[doc(alias = "params_url")]
    pub parameters: ArtifactReference,
    /// The aggregator's arguments.
    #[serde(default)]
    pub aggregator_args: Map<String, Value>,
    /// The aggregator's auxiliary state.
    #[serde(default)]
    pub auxiliary_state: Option<ArtifactReference>,
    /// The state that the node kept of an earlier round.
    #[serde(default)]
    pub previous_state: Option<String>,
    /// How long the node has; its clock starts when it accepts.
    #[serde(with = "milliseconds")]
    pub time_left: Duration,
    /// The kind and version of the data loading plan that is expected; the plan itself is the node's own.
    #[serde(default)]
    pub data_loading_plan: Option<String>,
}

/// Whether a round trains or only validates. There is no default: an absent field must never mean "do not train".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Train, and validate where asked to.
    Train,
    /// Validate the received parameters and send no update.
    Validate,
}

/// What a training plan is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// A plan that is data, run by the node's own engine.
    Native,
    /// A Python class, run in a sandbox.
    Python,
    /// A query for statistics, which trains nothing.
    Statistics,
}

impl RuntimeKind {
    /// The runtime's name as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Python => "python",
            Self::Statistics => "statistics",
        }
    }
}

impl std::str::FromStr for RuntimeKind {
    type Err = UnknownRuntime;

    fn from_str(text: &str) -> Result<Self, UnknownRuntime> {
        match text {
            "native" => Ok(Self::Native),
            "python" => Ok(Self::Python),
            "statistics" => Ok(Self::Statistics),
            _ => Err(UnknownRuntime),
        }
    }
}

/// A text names no runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown runtime")]
pub struct UnknownRuntime;

pub(crate) mod milliseconds {
    //! Durations as whole milliseconds.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
