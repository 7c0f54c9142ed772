//! The states of an experiment and the steps between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    Action, Aggregating, AwaitingApproval, AwaitingReplies, Cancelled, Checkpointing, Completed,
    Failed, FinalValidationRound, Ignored, Paused, Selecting,
};

/// What an experiment awaits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum State {
    Selecting(Selecting),
    AwaitingApproval(AwaitingApproval),
    AwaitingReplies(AwaitingReplies),
    Aggregating(Aggregating),
    Checkpointing(Checkpointing),
    FinalValidation(FinalValidationRound),
    Completed(Completed),
    Paused(Paused),
    Cancelled(Cancelled),
    Failed(Failed),
}

impl State {
    pub(super) fn name(&self) -> StateName {
        match self {
            Self::Selecting(_) => StateName::Selecting,
            Self::AwaitingApproval(_) => StateName::AwaitingApproval,
            Self::AwaitingReplies(_) => StateName::AwaitingReplies,
            Self::Aggregating(_) => StateName::Aggregating,
            Self::Checkpointing(_) => StateName::Checkpointing,
            Self::FinalValidation(_) => StateName::FinalValidation,
            Self::Completed(_) => StateName::Completed,
            Self::Paused(_) => StateName::Paused,
            Self::Cancelled(_) => StateName::Cancelled,
            Self::Failed(_) => StateName::Failed,
        }
    }
}

/// The name of a state, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    /// Waiting for enough matching nodes.
    Selecting,
    /// Waiting for owners.
    AwaitingApproval,
    /// A round of training is being collected.
    AwaitingReplies,
    /// The new global parameters are being made.
    Aggregating,
    /// A round's history is being written.
    Checkpointing,
    /// The last model is being measured.
    FinalValidation,
    /// Ended well.
    Completed,
    /// Waiting for somebody, for a reason.
    Paused,
    /// Ended by the researcher.
    Cancelled,
    /// Ended badly, with a code.
    Failed,
}

impl StateName {
    /// Every state, in the order of a course.
    pub const ALL: &[Self] = &[
        Self::Selecting,
        Self::AwaitingApproval,
        Self::AwaitingReplies,
        Self::Aggregating,
        Self::Checkpointing,
        Self::FinalValidation,
        Self::Completed,
        Self::Paused,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The name as text: lower case, with hyphens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Selecting => "selecting",
            Self::AwaitingApproval => "awaiting-approval",
            Self::AwaitingReplies => "awaiting-replies",
            Self::Aggregating => "aggregating",
            Self::Checkpointing => "checkpointing",
            Self::FinalValidation => "final-validation",
            Self::Completed => "completed",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing can happen any more.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text is not the name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of an experiment")]
pub struct UnknownState;

impl FromStr for StateName {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.iter().copied().find(|name| name.as_str() == text).ok_or(UnknownState)
    }
}

/// Where an event leads, and what is to be done.
#[derive(Debug)]
pub(super) struct Transition {
    pub(super) state: State,
    pub(super) actions: Vec<Action>,
}

impl Transition {
    pub(super) fn to(state: State) -> Self {
        Self { state, actions: Vec::new() }
    }

    pub(super) fn ignore(state: State, reason: Ignored) -> Self {
        Self::to(state).with(Action::Ignore(reason))
    }

    #[must_use]
    pub(super) fn with(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    #[must_use]
    pub(super) fn with_all(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }

    /// Puts what was to be done before the transition in front of it.
    #[must_use]
    pub(super) fn after(mut self, mut earlier: Vec<Action>) -> Self {
        earlier.append(&mut self.actions);
        self.actions = earlier;
        self
    }
}
