//! What an owner says of a plan, as a node tells it.

use protocol::{ApprovalStatus, Code};

/// An answer to a question about a plan, or a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnersWord {
    /// Whether a round may run.
    pub(crate) code: Code,
    /// What was granted, as the owner sees it; nothing where the plan could not be looked at.
    pub(crate) status: Option<ApprovalStatus>,
    /// What the researcher is told.
    pub(crate) note: String,
}

impl OwnersWord {
    /// A decision about a plan, which is for all who ask.
    pub(crate) fn decision(code: Code, note: String) -> Self {
        let status = match code {
            Code::Ok => Some(ApprovalStatus::Approved),
            Code::PlanRejected => Some(ApprovalStatus::Rejected),
            Code::PlanRevoked => Some(ApprovalStatus::Revoked),
            _ => None,
        };
        Self { code, status, note }
    }

    /// Whether what was granted has ended of itself.
    pub(crate) fn has_lapsed(&self) -> bool {
        self.status.is_some_and(ApprovalStatus::has_lapsed)
    }
}
