//! The new global parameters are being made.
//!
//! - **Entry**: a round of training has every outcome, or its deadline has passed, with at least `min_nodes` successes.
//! - **Events**: the outcome of the aggregation; late replies; restart (the work is asked for again), cancel, full disk,
//!   a researcher who is put out.
//! - **Exits**: checkpointing; back to the collection where one update is unusable; paused where the disk is full;
//!   failed where the round cannot be aggregated at all; cancelled.
//! - **Deadline**: none; the work is the coordinator's own.

use protocol::{Code, Timestamp};
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::state::{State, Transition};
use super::{
    Action, AggregationFault, Announcement, Cancelled, Checkpointing, Collection, Event, Ignored,
    PauseReason, Resumption, Ticket,
};

/// The new global parameters are being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Aggregating {
    collection: Collection,
    ticket: Ticket,
}

impl Aggregating {
    pub(super) fn enter(course: &mut Course, collection: Collection) -> Transition {
        let ticket = course.ticket();
        let round = collection.round;
        let inputs = collection.inputs();
        let sites = inputs.iter().map(|input| input.site.clone()).collect();
        Transition::to(State::Aggregating(Self { collection, ticket }))
            .with(Action::Announce(Announcement::Aggregating { round, sites }))
            .with(Action::Aggregate { ticket, round, inputs })
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        match event {
            Event::Aggregated { ticket, model } if ticket == self.ticket => {
                let (round, used) = (self.collection.round, self.collection.used());
                Checkpointing::enter(course, round, model, used)
            }
            Event::AggregationFailed { ticket, fault } if ticket == self.ticket => {
                self.recover(course, fault, now)
            }
            Event::ReplyReceived { round_id, .. } => {
                let verdict = self.collection.verdict(round_id);
                Transition::to(State::Aggregating(self))
                    .with(Action::SettleReply { round_id, verdict })
            }
            Event::PlanAnswered { site, code } => {
                let recorded = course.record_answer(&site, code);
                self.noted(recorded)
            }
            Event::PlanDecided { node, code } => {
                let recorded = course.record_decision(&node, code);
                self.noted(recorded)
            }
            Event::Restarted => Self::enter(course, self.collection),
            Event::CancelRequested => course.cancel(Cancelled::default()),
            Event::StorageFilled => {
                course.pause(PauseReason::StorageFull, Resumption::aggregate(self.collection))
            }
            Event::ResearcherRevoked { researcher } => {
                let reason = PauseReason::ResearcherRevoked { researcher };
                course.pause(reason, Resumption::aggregate(self.collection))
            }
            Event::DeadlinePassed { .. }
            | Event::Aggregated { .. }
            | Event::AggregationFailed { .. }
            | Event::Checkpointed { .. }
            | Event::CheckpointFailed { .. } => self.ignore(Ignored::Stale),
            Event::SitesConnected { .. } | Event::ResumeRequested => {
                self.ignore(Ignored::Unawaited)
            }
        }
    }

    fn recover(self, course: &mut Course, fault: AggregationFault, now: Timestamp) -> Transition {
        match fault {
            AggregationFault::Input { site, code } => {
                self.collection.reject(course, &site, code, now)
            }
            AggregationFault::Round(Code::StorageFull) => {
                course.pause(PauseReason::StorageFull, Resumption::aggregate(self.collection))
            }
            AggregationFault::Round(Code::CoordinatorInternal) => {
                let resumption = Resumption::aggregate(self.collection);
                course.pause(PauseReason::CoordinatorDefect, resumption)
            }
            AggregationFault::Round(code) => course.fail(code),
        }
    }

    fn noted(self, recorded: Result<(), Ignored>) -> Transition {
        match recorded {
            Ok(()) => Transition::to(State::Aggregating(self)),
            Err(reason) => self.ignore(reason),
        }
    }

    fn ignore(self, reason: Ignored) -> Transition {
        Transition::ignore(State::Aggregating(self), reason)
    }
}
