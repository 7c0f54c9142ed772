//! What an experiment was submitted with, as far as its course depends on it.

use std::num::NonZeroU32;
use std::time::Duration;

use protocol::{ArtifactReference, ExperimentId};
use serde::{Deserialize, Serialize};

/// The part of a submission that decides what happens when.
///
/// Plan, arguments and columns are absent on purpose: they are carried, not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specification {
    /// Which experiment this is; part of every derived round id.
    pub experiment_id: ExperimentId,
    /// The parameters that the first round starts from: model 0.
    pub parameters: ArtifactReference,
    /// How many rounds of training there are.
    pub rounds: NonZeroU32,
    /// How many distinct nodes must be connected, approve, and succeed in each round.
    pub min_nodes: NonZeroU32,
    /// Whether the first round waits for every approval.
    pub start: Start,
    /// How long to wait for `min_nodes` matching nodes before pausing.
    pub selection_deadline: Duration,
    /// How long to wait for approvals before pausing; without end where absent.
    pub approval_deadline: Option<Duration>,
    /// How long one attempt of a round may take.
    pub round_deadline: Duration,
    /// How many times a round with too few successes is attempted again.
    pub round_retries: u32,
    /// The pause before the first further attempt; it doubles with each.
    pub retry_delay: Duration,
    /// Whether the last model is measured by one more round in mode validate.
    pub final_validation: FinalValidation,
}

impl Specification {
    /// The back-off before retry number `retry`, counted from 1.
    pub(super) fn back_off(&self, retry: u32) -> Duration {
        let factor = 1_u32 << retry.saturating_sub(1).min(LARGEST_DOUBLING);
        self.retry_delay.saturating_mul(factor)
    }
}

/// Whether an experiment begins with everyone or with enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Every selected site has approved the plan.
    All,
    /// `min_nodes` nodes have approved; the others join at a later round when they do.
    Quorum,
}

/// Whether an experiment ends with a round that only validates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinalValidation {
    /// The last model is sent out once more and measured.
    Run,
    /// The last model is not measured by the sites.
    Skip,
}

/// Six doublings turn the usual second into about a minute; longer waits help nobody.
const LARGEST_DOUBLING: u32 = 6;
