//! How a command fails: one sentence, perhaps a hint, and a stable exit status.

use protocol::Code;
use protocol::code::Retry;

/// What a command that did not succeed says and ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: Status,
    /// The fact, with its subject.
    pub(crate) message: String,
    /// What can be done about it.
    pub(crate) hint: Option<String>,
    /// The code, where the failure has one; its page is in `docs/errors/`.
    pub(crate) code: Option<Code>,
}

/// The exit statuses that scripts may rely on; 0 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The operation failed.
    Failed,
    /// The command was used wrongly.
    Usage,
    /// Policy refused.
    Refused,
    /// Nobody answered.
    Unreachable,
    /// The user interrupted.
    Interrupted,
}

impl Status {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::Interrupted => 130,
        }
    }
}

impl Failure {
    /// The operation failed.
    pub(crate) fn failed(message: impl std::fmt::Display) -> Self {
        Self::new(Status::Failed, message)
    }

    /// The command was used wrongly.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(Status::Usage, message)
    }

    /// The user interrupted.
    pub(crate) fn interrupted(message: impl std::fmt::Display) -> Self {
        Self::new(Status::Interrupted, message)
    }

    /// Something ended with a code.
    pub(crate) fn coded(code: Code, message: impl std::fmt::Display) -> Self {
        let refused = code.retry() == Retry::NeedsApproval
            || matches!(code, Code::PlanRejected | Code::PolicyDenied | Code::ApprovalRefused);
        let status = if refused { Status::Refused } else { Status::Failed };
        Self { code: Some(code), ..Self::new(status, message) }
    }

    /// An error of a library, with its causes.
    pub(crate) fn from_error(error: &dyn std::error::Error) -> Self {
        Self::failed(chain(error))
    }

    /// Adds what can be done about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn new(status: Status, message: impl std::fmt::Display) -> Self {
        Self { status, message: message.to_string(), hint: None, code: None }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
