//! The attempt of a round that is to begin, with what earlier attempts have brought.

use std::collections::BTreeMap;

use protocol::{ArtifactReference, RoundId};
use serde::{Deserialize, Serialize};

use super::site::as_pairs;
use super::{Collection, Site, Verdict};

/// Where a round stands between two attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upcoming {
    /// The round, from 1.
    pub(super) round: u32,
    /// The attempts that were made.
    pub(super) attempts: u32,
    /// The retries that were used up.
    pub(super) retries: u32,
    /// The times the round went back to waiting for an approval.
    pub(super) returns: u32,
    /// The successes of earlier attempts: their inputs are the same, so they are kept.
    #[serde(with = "as_pairs")]
    pub(super) kept: BTreeMap<Site, Success>,
}

/// An execution that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Success {
    pub(super) round_id: RoundId,
    /// Absent in mode validate.
    pub(super) update: Option<ArtifactReference>,
    pub(super) sample_count: u64,
}

impl Upcoming {
    pub(super) fn first() -> Self {
        Self::round(1)
    }

    pub(super) fn round(round: u32) -> Self {
        Self { round, attempts: 0, retries: 0, returns: 0, kept: BTreeMap::new() }
    }

    /// Goes on with the round of a collection that ended.
    pub(super) fn after(collection: Collection) -> Self {
        let Collection { round, attempt, retries, returns, .. } = collection;
        Self { round, attempts: attempt, retries, returns, kept: collection.into_successes() }
    }

    /// Whether the experiment has not executed anything yet.
    pub(super) fn is_first(&self) -> bool {
        self.round == 1 && self.attempts == 0
    }

    /// A reply between two attempts is late, unless it is here already.
    pub(super) fn verdict(&self, round_id: RoundId) -> Verdict {
        let known = self.kept.values().any(|success| success.round_id == round_id);
        if known { Verdict::Collected } else { Verdict::Late }
    }
}
