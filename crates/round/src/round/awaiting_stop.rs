//! The round's end is decided, and something of it may still run.
//!
//! Entry: a cancel, the deadline, a limit or a defect.
//! Exits: `Stopped` to `AwaitingReplyRecord`, with the code that was decided on entry.
//! Nothing changes that code: a second cancel or the deadline finds it decided, an outcome of the stopped step is
//! stale.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::round::{Action, Context, Event, Failure, Next, Note, Outcome, Round, Ticket};

/// Awaits the certainty that nothing of the round runs any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingStop {
    pub(super) context: Context,
    ticket: Ticket,
    failure: Failure,
}

impl AwaitingStop {
    pub(super) fn enter(mut context: Context, failure: Failure) -> Next {
        let ticket = context.next_ticket();
        Next::to(Round::AwaitingStop(Self { context, ticket, failure }))
            .then(Action::Stop { ticket })
    }

    pub(super) fn handle(self, event: Event, _now: Timestamp) -> Next {
        match event {
            Event::Answered { ticket, outcome: Outcome::Stopped } if ticket == self.ticket => {
                self.context.conclude(self.failure)
            }
            Event::Answered { .. } => self.stay().note(Note::StaleOutcome),
            Event::CancelRequested
            | Event::ApprovalRevoked
            | Event::Connected
            | Event::RequestedAgain => self.stay(),
            Event::DeadlinePassed => self.stay().note(Note::StaleDeadline),
            Event::Accepted { .. }
            | Event::AttemptStarted { .. }
            | Event::Replied { .. }
            | Event::Acknowledged
            | Event::Closed => self.stay().note(Note::Unexpected),
        }
    }

    fn stay(self) -> Next {
        Next::to(Round::AwaitingStop(self))
    }
}
