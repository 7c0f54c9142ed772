//! A step that has been asked for and not answered yet: what all waiting states have in common.

use protocol::{Code, Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{Action, Context, Event, Next, Note, Outcome, Round, Ticket};

/// One unanswered step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub(super) context: Context,
    pub(super) ticket: Ticket,
    pub(super) phase: Phase,
}

/// What an event means to a waiting state.
pub(super) enum Received {
    /// The step is answered, and it did not fail.
    Answered(Context, Outcome),
    /// The event has been dealt with as in every waiting state.
    Settled(Next),
}

impl Work {
    /// Asks for a phase to be performed.
    pub(super) fn perform(mut context: Context, phase: Phase, wait: fn(Self) -> Round) -> Next {
        let ticket = context.next_ticket();
        Next::to(wait(Self { context, ticket, phase })).then(Action::Perform { ticket, phase })
    }

    /// Asks for something that is not a phase of its own.
    pub(super) fn ask(
        mut context: Context,
        phase: Phase,
        wait: fn(Self) -> Round,
        action: impl FnOnce(Ticket) -> Action,
    ) -> Next {
        let ticket = context.next_ticket();
        Next::to(wait(Self { context, ticket, phase })).then(action(ticket))
    }

    /// Deals with whatever does not depend on what is awaited.
    ///
    /// Exits common to all waiting states: a failure ends the round with its code; a cancel or the deadline ends it
    /// once nothing runs any more. A stale or meaningless event leaves the state as it is, with a note.
    pub(super) fn receive(self, event: Event, now: Timestamp, wait: fn(Self) -> Round) -> Received {
        Received::Settled(match event {
            Event::Answered { ticket, outcome } if ticket == self.ticket => match outcome {
                Outcome::Failed { failure } => self.context.fail(self.phase, failure),
                outcome => return Received::Answered(self.context, outcome),
            },
            Event::Answered { .. } => Next::to(wait(self)).note(Note::StaleOutcome),
            Event::CancelRequested => self.context.halt(Code::Cancelled.into()),
            Event::ApprovalRevoked => self.context.halt(Code::PlanRevoked.into()),
            Event::DeadlinePassed if self.context.is_due(now) => {
                self.context.halt(Code::DeadlineExceeded.into())
            }
            Event::DeadlinePassed => Next::to(wait(self)).note(Note::StaleDeadline),
            Event::Connected | Event::RequestedAgain => Next::to(wait(self)),
            Event::Accepted { .. }
            | Event::AttemptStarted { .. }
            | Event::Replied { .. }
            | Event::Acknowledged
            | Event::Closed => Next::to(wait(self)).note(Note::Unexpected),
        })
    }
}
