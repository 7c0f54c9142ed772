//! What a round keeps of its request.

use protocol::{Mode, RoundId, Timestamp, TrainRequest};
use serde::{Deserialize, Serialize};

/// The facts of a request that decide the round's way; the request itself stays in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Under which everything is idempotent.
    pub round_id: RoundId,
    /// Train or validate.
    pub mode: Mode,
    /// When the node accepted it.
    pub accepted_at: Timestamp,
    /// When its time is over; waiting for a slot counts.
    pub due: Timestamp,
}

impl Order {
    pub(super) fn new(request: &TrainRequest, accepted_at: Timestamp) -> Self {
        Self {
            round_id: request.round_id,
            mode: request.mode,
            accepted_at,
            due: accepted_at.after(request.time_left),
        }
    }
}
