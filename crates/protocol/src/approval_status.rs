//! What an owner's word about a plan comes to.

use serde::{Deserialize, Serialize};

/// What a grant, or all that is granted of a plan, comes to; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// It counts.
    Approved,
    /// The owner, or a second person, has not decided.
    Pending,
    /// All its rounds were run.
    UsedUp,
    /// Its time is over.
    Expired,
    /// It was withdrawn.
    Revoked,
    /// The owner said no.
    Rejected,
    /// Its signature is not the node's: it counts as no grant.
    Invalid,
}

impl ApprovalStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Approved,
        Self::Pending,
        Self::UsedUp,
        Self::Expired,
        Self::Revoked,
        Self::Rejected,
        Self::Invalid,
    ];

    /// The status as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
        }
    }

    /// Whether it has ended of itself, so that the owner has to give it anew.
    pub const fn has_lapsed(self) -> bool {
        matches!(self, Self::UsedUp | Self::Expired)
    }
}

impl std::fmt::Display for ApprovalStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl std::str::FromStr for ApprovalStatus {
    type Err = UnknownApprovalStatus;

    fn from_str(text: &str) -> Result<Self, UnknownApprovalStatus> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(UnknownApprovalStatus)
    }
}

/// A text names no status of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown status of an approval")]
pub struct UnknownApprovalStatus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_as_it_is_written() {
        for status in ApprovalStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("Approved".parse::<ApprovalStatus>(), Err(UnknownApprovalStatus));
    }
}
