//! What reaches the director.

use protocol::wire::v1;
use protocol::{
    Code, CorrelationId, DatasetId, DatasetSummary, Digest, ExperimentId, NodeId, ResearcherId,
    RoundId, TrainReply,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::owners_word::OwnersWord;
use crate::submission::Submission;

/// Something that a node or a researcher said, parsed.
#[derive(Debug)]
pub(crate) enum Message {
    /// A node has connected.
    Attend(Box<Arrival>),
    /// A connection has ended.
    Left { node: NodeId, connection: u64 },
    /// A node offers other datasets.
    DatasetsChanged { node: NodeId, datasets: Vec<DatasetSummary> },
    /// A node takes rounds, or not.
    Availability { node: NodeId, paused: bool },
    /// A node answers whether it runs a plan.
    PlanAnswered {
        node: NodeId,
        experiment_id: ExperimentId,
        dataset_id: DatasetId,
        plan: Digest,
        word: OwnersWord,
    },
    /// An owner has decided about a plan.
    PlanDecided { node: NodeId, plan: Digest, word: OwnersWord },
    /// An execution goes on.
    Progress { node: NodeId, round_id: RoundId, progress: Progress },
    /// An execution has ended.
    Reply {
        node: NodeId,
        reply: Box<TrainReply>,
        /// A short update that came with it.
        update: Vec<u8>,
    },
    /// An execution has ended with a reply that cannot be read.
    Unreadable { node: NodeId, reply: Unreadable },
    /// A researcher submits an experiment.
    Submit { submission: Box<Submission>, answer: oneshot::Sender<Result<(), Code>> },
    /// A researcher wants something of an experiment.
    Command {
        experiment_id: ExperimentId,
        command: Command,
        answer: oneshot::Sender<Result<(), Code>>,
    },
    /// A researcher was put out: it is committed, and nobody by this name is answered any more.
    ResearcherRevoked { researcher: ResearcherId },
    /// There is no room for an artifact.
    StorageFilled,
}

/// A node that has connected, with what it said first.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) node: NodeId,
    pub(crate) connection: u64,
    pub(crate) software: String,
    pub(crate) paused: bool,
    pub(crate) datasets: Vec<DatasetSummary>,
    pub(crate) open_rounds: Vec<RoundId>,
    pub(crate) line: mpsc::Sender<v1::CoordinatorMessage>,
    pub(crate) cut: CancellationToken,
    pub(crate) answer: oneshot::Sender<Result<(), Code>>,
}

/// What can be read of a reply that cannot be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreadable {
    pub(crate) round_id: RoundId,
    pub(crate) dataset_id: DatasetId,
    pub(crate) correlation_id: CorrelationId,
}

/// How an execution goes on at its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Accepted { queued_before: u32 },
    Started,
    Held,
    Released,
}

/// What a researcher may want of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Cancel,
    Resume,
}
