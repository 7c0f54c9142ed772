//! Scalars: what the history monitor tells while a round runs.

use serde::{Deserialize, Serialize};

use crate::RoundId;

/// One message of the history monitor.
///
/// The experiment, the researcher and the round's number follow from `round_id`; the node follows from the connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scalar {
    /// The execution it belongs to.
    pub round_id: RoundId,
    /// The attempt at the node, from 1.
    pub attempt: u32,
    /// Counts from 1 within a round and attempt; a gap shows that messages were dropped.
    pub sequence: u64,
    /// Whether it was measured in training.
    pub train: bool,
    /// Whether it was measured in validation.
    pub test: bool,
    /// Whether it validates the trained parameters.
    pub test_on_local_updates: bool,
    /// Whether it validates the received parameters.
    pub test_on_global_updates: bool,
    /// The measured values by name, in the plan's order; each is finite.
    pub metrics: Vec<(String, f64)>,
    /// The epoch, from 1; absent in validation.
    pub epoch: Option<u64>,
    /// The batch within the epoch, from 1.
    pub iteration: u64,
    /// Rows in the subset that is worked on.
    pub total_samples: u64,
    /// Rows in this batch.
    pub batch_samples: u64,
    /// Batches in an epoch.
    pub num_batches: u64,
    /// Rows trained on so far in this round.
    pub num_samples_trained: u64,
}
