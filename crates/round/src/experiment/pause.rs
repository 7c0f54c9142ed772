//! Why an experiment waits for somebody.

use std::fmt;

use protocol::{Code, ResearcherId};
use serde::{Deserialize, Serialize};

use super::{Site, SiteFailure};

/// Why an experiment is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PauseReason {
    /// Too few matching nodes were connected at the end of the selection.
    TooFewNodes {
        /// The matching nodes that were connected.
        connected: usize,
        /// How many are needed.
        needed: usize,
    },
    /// Too few sites approved the plan in time.
    ApprovalsMissing {
        /// Who is missing.
        sites: Vec<Site>,
    },
    /// The plan was refused where it is needed.
    PlanRefused {
        /// Who refused.
        sites: Vec<Site>,
    },
    /// Too few nodes succeeded, after every retry.
    TooFewUpdates {
        /// The round, from 1.
        round: u32,
        /// The nodes that succeeded.
        succeeded: usize,
        /// How many are needed.
        needed: usize,
        /// Why the others failed.
        failures: Vec<SiteFailure>,
    },
    /// The disk has no space left.
    StorageFull,
    /// The researcher was put out of the federation: nothing runs for somebody who is no member.
    ResearcherRevoked {
        /// Who.
        researcher: ResearcherId,
    },
    /// The coordinator met a defect of its own in closing a round; nothing that the sites did is lost.
    CoordinatorDefect,
}

impl PauseReason {
    /// The reason as a code.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooFewNodes { .. } => Code::NodesTooFew,
            Self::ApprovalsMissing { .. } => Code::ApprovalTimedOut,
            Self::PlanRefused { .. } => Code::ApprovalRefused,
            Self::TooFewUpdates { .. } => Code::RoundTooFewUpdates,
            Self::StorageFull => Code::StorageFull,
            Self::ResearcherRevoked { .. } => Code::IdentityRefused,
            Self::CoordinatorDefect => Code::CoordinatorInternal,
        }
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewNodes { connected, needed } => {
                write!(formatter, "{connected} matching nodes are connected, {needed} are needed")
            }
            Self::ApprovalsMissing { sites } => {
                write!(formatter, "the plan is not approved at {}", list(sites))
            }
            Self::PlanRefused { sites } => {
                write!(formatter, "the plan was refused at {}", list(sites))
            }
            Self::TooFewUpdates { round, succeeded, needed, failures } => {
                write!(formatter, "round {round} has {succeeded} of {needed} needed nodes")?;
                failures.iter().try_for_each(|failure| write!(formatter, "; {failure}"))
            }
            Self::StorageFull => formatter.write_str("the coordinator's disk has no space left"),
            Self::ResearcherRevoked { researcher } => {
                write!(formatter, "researcher {researcher} was put out of the federation")
            }
            Self::CoordinatorDefect => {
                formatter.write_str("the coordinator met a defect of its own; its log tells more")
            }
        }
    }
}

fn list(sites: &[Site]) -> String {
    let names: Vec<String> = sites.iter().map(Site::to_string).collect();
    names.join(", ")
}
