//! A round's history is being written, and what is no longer kept is dropped.
//!
//! - **Entry**: the aggregate is on the disk; or the final validation has its replies.
//! - **Events**: the outcome of the checkpoint; late replies; restart (the work is asked for again), cancel, full disk,
//!   a researcher who is put out.
//! - **Exits**: the next round; the final validation; completed; paused where the disk is full; failed; cancelled.
//! - **Deadline**: none; the work is the coordinator's own.

use protocol::{ArtifactReference, Code, RoundId, Timestamp};
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::state::{State, Transition};
use super::{
    Action, AwaitingApproval, Cancelled, Completed, Event, FinalValidation, Ignored, PauseReason,
    Resumption, Ticket, Upcoming, Verdict,
};

/// A round's history is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpointing {
    round: u32,
    model: ArtifactReference,
    used: Vec<RoundId>,
    ticket: Ticket,
}

impl Checkpointing {
    pub(super) fn enter(
        course: &mut Course,
        round: u32,
        model: ArtifactReference,
        used: Vec<RoundId>,
    ) -> Transition {
        let ticket = course.ticket();
        let action = Action::Checkpoint { ticket, round, model: model.clone(), used: used.clone() };
        Transition::to(State::Checkpointing(Self { round, model, used, ticket })).with(action)
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        match event {
            Event::Checkpointed { ticket } if ticket == self.ticket => self.advance(course, now),
            Event::CheckpointFailed { ticket, code } if ticket == self.ticket => match code {
                Code::StorageFull => self.suspend(course, PauseReason::StorageFull),
                Code::CoordinatorInternal => self.suspend(course, PauseReason::CoordinatorDefect),
                code => course.fail(code),
            },
            Event::ReplyReceived { round_id, .. } => {
                let verdict = self.verdict(round_id);
                Transition::to(State::Checkpointing(self))
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
            Event::Restarted => Self::enter(course, self.round, self.model, self.used),
            Event::CancelRequested => course.cancel(Cancelled::default()),
            Event::StorageFilled => self.suspend(course, PauseReason::StorageFull),
            Event::ResearcherRevoked { researcher } => {
                self.suspend(course, PauseReason::ResearcherRevoked { researcher })
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

    fn advance(self, course: &mut Course, now: Timestamp) -> Transition {
        course.model = self.model;
        let rounds = course.specification.rounds.get();
        let last = match course.specification.final_validation {
            FinalValidation::Run => rounds + 1,
            FinalValidation::Skip => rounds,
        };
        if self.round < last {
            return AwaitingApproval::enter(course, Upcoming::round(self.round + 1), now);
        }
        Completed::enter(course)
    }

    fn suspend(self, course: &Course, reason: PauseReason) -> Transition {
        let Self { round, model, used, .. } = self;
        course.pause(reason, Resumption::Checkpoint { round, model, used })
    }

    fn verdict(&self, round_id: RoundId) -> Verdict {
        if self.used.contains(&round_id) { Verdict::Collected } else { Verdict::Late }
    }

    fn noted(self, recorded: Result<(), Ignored>) -> Transition {
        match recorded {
            Ok(()) => Transition::to(State::Checkpointing(self)),
            Err(reason) => self.ignore(reason),
        }
    }

    fn ignore(self, reason: Ignored) -> Transition {
        Transition::ignore(State::Checkpointing(self), reason)
    }
}
