//! The phases of a round, in their order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One phase of a round at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The request is written to the journal.
    Accept,
    /// The training arguments are parsed.
    Arguments,
    /// The training plan is fetched and verified.
    Plan,
    /// The owner's decision about the plan is looked up.
    Approval,
    /// The global parameters are fetched and verified.
    Parameters,
    /// The runtime starts and builds the plan object.
    Instantiate,
    /// The plan builds its model and optimizer.
    Initialise,
    /// The parameters go into the model.
    Load,
    /// The dataset is opened, cleaned and split.
    Data,
    /// The received parameters are validated.
    ValidateBefore,
    /// The training loop.
    Train,
    /// The trained parameters are validated.
    ValidateAfter,
    /// The trained parameters are written to a file.
    Export,
    /// What may leave is decided from the file.
    Egress,
    /// The file is sent.
    Upload,
    /// The reply is sent until it is acknowledged.
    Reply,
    /// The runtime is stopped and scratch files are deleted.
    Clean,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: &[Self] = &[
        Self::Accept,
        Self::Arguments,
        Self::Plan,
        Self::Approval,
        Self::Parameters,
        Self::Instantiate,
        Self::Initialise,
        Self::Load,
        Self::Data,
        Self::ValidateBefore,
        Self::Train,
        Self::ValidateAfter,
        Self::Export,
        Self::Egress,
        Self::Upload,
        Self::Reply,
        Self::Clean,
    ];

    /// The phase's name as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Arguments => "arguments",
            Self::Plan => "plan",
            Self::Approval => "approval",
            Self::Parameters => "parameters",
            Self::Instantiate => "instantiate",
            Self::Initialise => "initialise",
            Self::Load => "load",
            Self::Data => "data",
            Self::ValidateBefore => "validate-before",
            Self::Train => "train",
            Self::ValidateAfter => "validate-after",
            Self::Export => "export",
            Self::Egress => "egress",
            Self::Upload => "upload",
            Self::Reply => "reply",
            Self::Clean => "clean",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text names no phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown phase")]
pub struct UnknownPhase;

impl std::str::FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.iter().copied().find(|phase| phase.as_str() == text).ok_or(UnknownPhase)
    }
}
