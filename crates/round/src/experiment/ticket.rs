//! What ties an outcome to the action that asked for it.

use serde::{Deserialize, Serialize};

/// Names one action of one experiment; its outcome echoes it.
///
/// Every ticket of an experiment is different, so an outcome of a deadline that was moved, of an attempt that
/// is over or of a process that died is seen to be stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket before all others.
    pub(super) const FIRST: Self = Self(0);

    /// The ticket after this one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The ticket's number.
    pub fn number(self) -> u64 {
        self.0
    }
}
