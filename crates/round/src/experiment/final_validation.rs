//! The last model is being measured.
//!
//! - **Entry**: the last round of training is checkpointed and the experiment validates on global updates.
//! - **Events**: as in awaiting replies.
//! - **Exits**: checkpointing, which then completes the experiment; another attempt; awaiting approval; paused;
//!   cancelled.
//! - **Deadline**: as in awaiting replies.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::state::Transition;
use super::{Collection, Event};

/// One round in mode validate, numbered after the last round of training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FinalValidationRound {
    pub(super) collection: Collection,
}

impl FinalValidationRound {
    pub(super) fn new(collection: Collection) -> Self {
        Self { collection }
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        self.collection.handle(course, event, now)
    }
}
