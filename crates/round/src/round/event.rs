//! What can happen to a round: the events, and among them the few that the journal keeps.

use protocol::{
    ArtifactReference, Code, Detail, MetricsReport, Timing, TrainReply, TrainRequest, Warning,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::round::Ticket;

/// Something that has happened to a round.
///
/// The driver tells the events in the order in which they reached it; any order, with losses and repetitions, is
/// legal. [`Round::records`](crate::Round::records) says which of them must be in the journal before they are handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The node has taken the request. Journaled; always the first event.
    Accepted {
        /// What was asked.
        request: Box<TrainRequest>,
    },
    /// An attempt is about to start. Journaled before anything of the attempt runs.
    AttemptStarted {
        /// Counted from 1.
        attempt: u32,
    },
    /// A ticketed action has an outcome. Journaled only where the outcome is [`Outcome::Exported`].
    Answered {
        /// The ticket that the action carried.
        ticket: Ticket,
        /// What came of it.
        outcome: Outcome,
    },
    /// Somebody who may has asked that the round ends. Journaled, so that a crash does not forget it.
    CancelRequested,
    /// The owner has withdrawn what the plan runs under. Not journaled: the next process finds it withdrawn.
    ApprovalRevoked,
    /// The deadline that was armed has come.
    DeadlinePassed,
    /// A connection to the coordinator stands again.
    Connected,
    /// The coordinator has sent the same request once more.
    RequestedAgain,
    /// The reply is written. Journaled before it is sent.
    Replied {
        /// The reply, to the byte as it will be sent.
        reply: Box<TrainReply>,
    },
    /// The coordinator holds the reply. Journaled.
    Acknowledged,
    /// The coordinator's round had ended before the reply came. Journaled; the round counts as delivered.
    Closed,
}

/// What came of a ticketed action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Accept: the dataset that the request names is one of the node's.
    DatasetFound,
    /// The round's turn has come.
    SlotGranted,
    /// Arguments: they are valid.
    ArgumentsParsed {
        /// Whether the parameters are measured as received.
        before: Validation,
        /// Whether the parameters are measured after training.
        after: Validation,
        /// What the researcher should know about the arguments.
        warnings: Vec<Warning>,
    },
    /// Plan: its file is here and verified.
    PlanFetched,
    /// Approval: the plan may run.
    PlanApproved,
    /// Parameters: their file is here and verified.
    ParametersFetched,
    /// Instantiate: the runtime has built the plan.
    Instantiated,
    /// Initialise: the model and the optimizer exist.
    Initialised,
    /// Load: the model has the received parameters.
    ParametersLoaded,
    /// Data: the dataset is open and split.
    DataOpened {
        /// Rows to train on.
        training_rows: u64,
        /// Rows to validate on.
        validation_rows: u64,
        /// What the researcher should know about the data, the device or the split.
        warnings: Vec<Warning>,
    },
    /// Validate: done, or failed softly with a warning.
    Validated {
        /// What could not be computed.
        warnings: Vec<Warning>,
    },
    /// Train: the loop has ended.
    Trained,
    /// Export: the update's file is written and synced. This is the export record.
    Exported {
        /// All that the reply will need.
        export: Box<Export>,
    },
    /// After a restart: the exported file is there and has its digest.
    ExportIntact,
    /// After a restart: the exported file is missing or has another digest.
    ExportLost,
    /// Egress: everything may leave.
    EgressAllowed {
        /// What the policy took out of the reply.
        warnings: Vec<Warning>,
    },
    /// Egress: the owner wants to decide.
    EgressHeld,
    /// The owner has let a held round go.
    Released {
        /// What the policy took out of the reply.
        warnings: Vec<Warning>,
    },
    /// Upload: the coordinator holds the file and confirmed its digest.
    Uploaded,
    /// Upload: the coordinator answered and did not take the file.
    UploadRefused,
    /// Upload: there is no coordinator to offer the file to.
    CoordinatorUnreachable,
    /// The coordinator can be reached again.
    CoordinatorReachable,
    /// Nothing of the round runs any more.
    Stopped,
    /// The step ended with one of its codes.
    Failed {
        /// Which, with its detail.
        failure: Failure,
    },
}

/// Why a step ended the round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The code of the reply.
    pub code: Code,
    /// At most one typed detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self { code, detail: None }
    }
}

/// Whether a model is measured at one of the two moments of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// It is measured.
    Wanted,
    /// It is not.
    Skipped,
}

/// The export record: what is known once training is over and the update is in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The update's file.
    pub update: ArtifactReference,
    /// What the update must hold to leave, in the driver's own writing.
    pub declared: Value,
    /// Rows of the training subset.
    pub sample_count: u64,
    /// Metrics of the parameters as received.
    pub metrics_before: Option<MetricsReport>,
    /// Metrics of the parameters after training.
    pub metrics_after: Option<MetricsReport>,
    /// The optimizer's arguments as they were in force.
    pub optimizer_args: Map<String, Value>,
    /// Times measured up to here.
    pub timing: Timing,
    /// Warnings gathered up to here.
    pub warnings: Vec<Warning>,
}
