//! What can happen to an experiment. The events of an experiment, in order, are its journal.

use protocol::{ArtifactReference, Code, NodeId, ResearcherId, RoundId};
use serde::{Deserialize, Serialize};

use super::{Candidate, Site, Ticket};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// These matching sites are connected now: the answer to [`Action::FindSites`](super::Action::FindSites),
    /// and sent again whenever a node comes while the experiment is selecting.
    SitesConnected {
        /// Every matching site of every connected node.
        candidates: Vec<Candidate>,
    },
    /// A site answered whether it runs the plan.
    PlanAnswered {
        /// Who answered.
        site: Site,
        /// `ok`, or why not.
        code: Code,
    },
    /// The owner of a node decided about the plan, unasked.
    PlanDecided {
        /// The owner's node.
        node: NodeId,
        /// `ok`, or why not.
        code: Code,
    },
    /// An execution ended and its reply is stored.
    ReplyReceived {
        /// Which execution.
        round_id: RoundId,
        /// How it ended.
        reply: Reply,
    },
    /// The instant of a [`SetDeadline`](super::Action::SetDeadline) has come.
    DeadlinePassed {
        /// The deadline's ticket.
        ticket: Ticket,
    },
    /// The aggregate is on the disk, synced.
    Aggregated {
        /// The aggregation's ticket.
        ticket: Ticket,
        /// The new global parameters.
        model: ArtifactReference,
    },
    /// The aggregate could not be made.
    AggregationFailed {
        /// The aggregation's ticket.
        ticket: Ticket,
        /// Why.
        fault: AggregationFault,
    },
    /// History and retention of a round are on the disk.
    Checkpointed {
        /// The checkpoint's ticket.
        ticket: Ticket,
    },
    /// History or retention of a round could not be written.
    CheckpointFailed {
        /// The checkpoint's ticket.
        ticket: Ticket,
        /// Why.
        code: Code,
    },
    /// The disk has no space left.
    StorageFilled,
    /// The researcher was put out of the federation.
    ResearcherRevoked {
        /// Who.
        researcher: ResearcherId,
    },
    /// The researcher wants the experiment to end.
    CancelRequested,
    /// The researcher wants a paused experiment to go on.
    ResumeRequested,
    /// The coordinator was started again and has replayed the journal up to here.
    Restarted,
}

impl Event {
    /// The event's name, as it is serialized.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SitesConnected { .. } => "sites-connected",
            Self::PlanAnswered { .. } => "plan-answered",
            Self::PlanDecided { .. } => "plan-decided",
            Self::ReplyReceived { .. } => "reply-received",
            Self::DeadlinePassed { .. } => "deadline-passed",
            Self::Aggregated { .. } => "aggregated",
            Self::AggregationFailed { .. } => "aggregation-failed",
            Self::Checkpointed { .. } => "checkpointed",
            Self::CheckpointFailed { .. } => "checkpoint-failed",
            Self::StorageFilled => "storage-filled",
            Self::ResearcherRevoked { .. } => "researcher-revoked",
            Self::CancelRequested => "cancel-requested",
            Self::ResumeRequested => "resume-requested",
            Self::Restarted => "restarted",
        }
    }
}

/// What an experiment needs to know of a reply; the rest of it is stored and shown, not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// `ok` or the code of the failure.
    pub code: Code,
    /// The update, in mode train.
    pub update: Option<ArtifactReference>,
    /// The number of training rows behind the update.
    pub sample_count: u64,
    /// What of the request or the update a failure is about, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why an aggregate could not be made, by blame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AggregationFault {
    /// One update is missing or does not fit the others.
    Input {
        /// Whose update it is.
        site: Site,
        /// What is wrong with it.
        code: Code,
    },
    /// The round cannot be aggregated at all.
    Round(Code),
}
