//! The experiment ended well.
//!
//! - **Entry**: the last checkpoint.
//! - **Events**: late replies only; everything else is ignored by name.
//! - **Exits**: none.
//! - **Deadline**: none.

use serde::{Deserialize, Serialize};

use super::course::Course;
use super::state::{State, Transition};
use super::{Action, Announcement, Event, Ignored};

/// The experiment ended well; its model is the course's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Completed {}

impl Completed {
    pub(super) fn enter(course: &Course) -> Transition {
        let (model, rounds) = (course.model.clone(), course.specification.rounds.get());
        Transition::to(State::Completed(Self {}))
            .with(Action::Announce(Announcement::Completed { model, rounds }))
    }

    pub(super) fn handle(self, event: &Event) -> Transition {
        ended(State::Completed(self), event)
    }
}

/// What any event does to an experiment that has ended.
pub(super) fn ended(state: State, event: &Event) -> Transition {
    match event {
        Event::ReplyReceived { round_id, .. } => {
            Transition::to(state).with(Action::settle_late(*round_id))
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
        | Event::Restarted => Transition::ignore(state, Ignored::Ended),
    }
}
