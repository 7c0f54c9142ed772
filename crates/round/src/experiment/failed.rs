//! The experiment cannot end well.
//!
//! - **Entry**: a round that cannot be aggregated at all, or a defect of the coordinator.
//! - **Events**: late replies only; everything else is ignored by name.
//! - **Exits**: none.
//! - **Deadline**: none.

use protocol::Code;
use serde::{Deserialize, Serialize};

use super::Event;
use super::completed::ended;
use super::state::{State, Transition};

/// The experiment ended with a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    pub(super) code: Code,
}

impl Failed {
    pub(super) fn handle(self, event: &Event) -> Transition {
        ended(State::Failed(self), event)
    }
}
