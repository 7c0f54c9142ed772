//! What a round asks of its driver.

use protocol::{ArtifactReference, Code, Detail, Phase, Timestamp, Warning};
use serde::{Deserialize, Serialize};

/// Names one asked-for step of one attempt, so that a late outcome is seen to be stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// The attempt, counted from 1; 0 before the first.
    pub attempt: u32,
    /// Counted over the whole round, never given twice in one process.
    pub step: u32,
}

/// Something that the driver is asked to do.
///
/// Every action may be performed again: it is idempotent under the round's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Perform one phase and answer with what came of it.
    Perform {
        /// Echoed by the answer.
        ticket: Ticket,
        /// Which phase.
        phase: Phase,
    },
    /// Queue the round, first come, first served, and answer when its turn comes.
    AwaitSlot {
        /// Echoed by the answer.
        ticket: Ticket,
    },
    /// Tell [`Event::AttemptStarted`](crate::Event::AttemptStarted) with this number.
    RecordAttempt {
        /// Counted from 1.
        attempt: u32,
    },
    /// Look whether the exported file survived a restart.
    VerifyExport {
        /// Echoed by the answer.
        ticket: Ticket,
        /// The file.
        update: ArtifactReference,
    },
    /// Show the round to the owner and answer with the decision.
    AwaitRelease {
        /// Echoed by the answer.
        ticket: Ticket,
    },
    /// Answer when the coordinator can be reached, after a pause that grows.
    AwaitCoordinator {
        /// Echoed by the answer.
        ticket: Ticket,
    },
    /// End whatever runs for the round: ask, kill after two seconds, answer when it is known to be dead.
    Stop {
        /// Echoed by the answer.
        ticket: Ticket,
    },
    /// Tell [`Event::DeadlinePassed`](crate::Event::DeadlinePassed) at this instant; replaces an earlier one.
    ArmDeadline {
        /// When.
        at: Timestamp,
    },
    /// Forget the armed deadline.
    DisarmDeadline,
    /// Write the reply and tell [`Event::Replied`](crate::Event::Replied).
    RecordReply {
        /// How the round ended.
        verdict: Verdict,
    },
    /// Send the journaled reply, the same bytes as ever.
    SendReply,
    /// Phase 17: drop the runtime and the scratch files, free the slot.
    Clean,
    /// Drop the exported file.
    DiscardUpdate,
    /// Write a line about an event that changed nothing.
    Note {
        /// What was odd.
        note: Note,
    },
}

/// How a round ended, as its reply will say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `ok`, or why not.
    pub code: Code,
    /// At most one typed detail.
    pub detail: Option<Detail>,
    /// Everything gathered on the way, each once.
    pub warnings: Vec<Warning>,
    /// The update that the coordinator holds.
    pub update: Option<ArtifactReference>,
}

/// An event that the round recognised and set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// An outcome of a step or an attempt that is over.
    StaleOutcome,
    /// A deadline that was disarmed, moved or does not bind any more.
    StaleDeadline,
    /// An event that has no meaning in this state.
    Unexpected,
}
