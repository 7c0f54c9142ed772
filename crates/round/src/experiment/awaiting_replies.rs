//! A round of training is being collected.
//!
//! - **Entry**: everybody needed has approved, and the round is one of training.
//! - **Events**: replies; the deadline of the attempt or of the back-off; answers and decisions about the plan, which
//!   count from the next round on; restart (the whole time again), cancel, full disk, a researcher who is put out.
//! - **Exits**: aggregating; another attempt of the same round; awaiting approval; paused; cancelled.
//! - **Deadline**: `round_deadline` from the start of the attempt. What is open is closed and cancelled, and the
//!   round goes on with at least `min_nodes` successes, else as [`super::collection`] says.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::state::Transition;
use super::{Collection, Event};

/// A round of training is being collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AwaitingReplies {
    pub(super) collection: Collection,
}

impl AwaitingReplies {
    pub(super) fn new(collection: Collection) -> Self {
        Self { collection }
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        self.collection.handle(course, event, now)
    }
}
