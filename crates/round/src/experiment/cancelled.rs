//! The researcher has ended the experiment.
//!
//! - **Entry**: a cancel request in any state but an end.
//! - **Events**: replies of executions that were open, all late; restart, which sends the cancels again.
//! - **Exits**: none.
//! - **Deadline**: none.

use std::collections::BTreeMap;

use protocol::{NodeId, RoundId};
use serde::{Deserialize, Serialize};

use super::completed::ended;
use super::site::as_pairs;
use super::state::{State, Transition};
use super::{Action, Event, Site};

/// The experiment was cancelled; some nodes may not know it yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancelled {
    #[serde(with = "as_pairs")]
    open: BTreeMap<Site, RoundId>,
}

impl Cancelled {
    pub(super) fn new(open: BTreeMap<Site, RoundId>) -> Self {
        Self { open }
    }

    pub(super) fn handle(mut self, event: &Event) -> Transition {
        match event {
            Event::ReplyReceived { round_id, .. } => {
                self.open.retain(|_, open| open != round_id);
                Transition::to(State::Cancelled(self)).with(Action::settle_late(*round_id))
            }
            Event::Restarted if !self.open.is_empty() => {
                let cancels = self.cancel_actions();
                Transition::to(State::Cancelled(self)).with_all(cancels)
            }
            Event::SitesConnected { .. }
            | Event::PlanAnswered { .. }
            | Event::PlanDecided { .. }
            | Event::DeadlinePassed { .. }
            | Event::Aggregated { .. }
            | Event::AggregationFailed { .. }
            | Event::Checkpointed { .. }
            | Event::CheckpointFailed { .. }
            | Event::StorageFilled
            | Event::ResearcherRevoked { .. }
            | Event::CancelRequested
            | Event::ResumeRequested
            | Event::Restarted => ended(State::Cancelled(self), event),
        }
    }

    /// Tells every node with an open execution.
    pub(super) fn cancel_actions(&self) -> Vec<Action> {
        self.open.iter().map(cancel).collect()
    }

    /// Tells one node again.
    pub(super) fn cancels_at(&self, node: &NodeId) -> Vec<Action> {
        self.open.iter().filter(|(site, _)| site.node == *node).map(cancel).collect()
    }
}

fn cancel((site, round_id): (&Site, &RoundId)) -> Action {
    Action::CancelExecution { node: site.node.clone(), round_id: *round_id }
}
