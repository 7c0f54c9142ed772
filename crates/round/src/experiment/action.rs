//! What the driver of an experiment is told to do, after the event is committed.

use protocol::{ArtifactReference, DatasetId, Mode, NodeId, RoundId, Timestamp};

use super::{Announcement, Site, Ticket};

/// One thing to do. Every action may be performed twice with the effect of once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Report the matching sites that are connected, as an event.
    FindSites,
    /// Ask a site whether it runs the plan; nothing where its node is not connected.
    AskApproval {
        /// Whom to ask.
        site: Site,
        /// The dataset's identifier at the node.
        dataset_id: DatasetId,
    },
    /// Send a request; nothing where the node is not connected, it is sent at reconnection.
    SendRequest(Request),
    /// Tell a node that an execution's result is not wanted any more.
    CancelExecution {
        /// Whom to tell.
        node: NodeId,
        /// Which execution.
        round_id: RoundId,
    },
    /// Report when an instant has come; it replaces every earlier deadline of the experiment.
    SetDeadline {
        /// What the report echoes.
        ticket: Ticket,
        /// The instant.
        at: Timestamp,
    },
    /// Tell the node that its reply is journaled; drop the update of one that came late.
    SettleReply {
        /// Which execution.
        round_id: RoundId,
        /// Whether the reply was in time.
        verdict: Verdict,
    },
    /// Make the new global parameters.
    Aggregate {
        /// What the outcome echoes.
        ticket: Ticket,
        /// The round, from 1.
        round: u32,
        /// The updates, ordered by node name, then dataset name.
        inputs: Vec<Input>,
    },
    /// Write the round's history, mark the replies that were used, and drop what is no longer kept.
    Checkpoint {
        /// What the outcome echoes.
        ticket: Ticket,
        /// The round, from 1; one more than the rounds of training for the final validation.
        round: u32,
        /// The parameters that the round produced; those it measured where it only validated.
        model: ArtifactReference,
        /// The executions whose replies were used.
        used: Vec<RoundId>,
    },
    /// Tell whoever watches.
    Announce(Announcement),
    /// Nothing: the event had no effect, for this reason.
    Ignore(Ignored),
}

impl Action {
    pub(super) fn settle_late(round_id: RoundId) -> Self {
        Self::SettleReply { round_id, verdict: Verdict::Late }
    }
}

/// A request for one execution, as far as the experiment's course decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to execute.
    pub site: Site,
    /// The dataset's identifier at the node.
    pub dataset_id: DatasetId,
    /// The key of the execution.
    pub round_id: RoundId,
    /// The round, from 1.
    pub round: u32,
    /// Whether to train or only to validate.
    pub mode: Mode,
    /// The global parameters.
    pub parameters: ArtifactReference,
    /// When the attempt ends.
    pub deadline: Timestamp,
}

/// One update to aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Whose it is.
    pub site: Site,
    /// The execution that made it.
    pub round_id: RoundId,
    /// The file.
    pub update: ArtifactReference,
    /// The number of training rows behind it.
    pub sample_count: u64,
}

/// Whether a reply was in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the attempt that is being collected.
    Collected,
    /// The journal already holds the end of its collection.
    Late,
}

/// Why an event had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// The ticket is not the one that is awaited.
    Stale,
    /// The state does not await this event.
    Unawaited,
    /// The site or node takes no part.
    UnknownSite,
    /// The reply is here already.
    Duplicate,
    /// The experiment has ended.
    Ended,
}
