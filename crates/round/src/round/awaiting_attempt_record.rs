//! The round has a slot; its attempt is not in the journal yet.
//!
//! Entry: a slot is granted.
//! Exits: the journaled `AttemptStarted` to `AwaitingArguments`.
//! A cancel or the deadline ends the round; the attempt then never runs, even where its record follows.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::round::{Action, AwaitingArguments, Context, Event, Next, Note, Round};

/// Awaits the journal's record of the attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingAttemptRecord(pub(super) Context);

impl AwaitingAttemptRecord {
    pub(super) fn enter(context: Context) -> Next {
        let attempt = context.attempt + 1;
        Next::to(Round::AwaitingAttemptRecord(Self(context)))
            .then(Action::RecordAttempt { attempt })
    }

    /// Whether this is the record that is awaited.
    pub(super) fn awaits(&self, attempt: u32) -> bool {
        attempt == self.0.attempt + 1
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match event {
            Event::AttemptStarted { attempt } if self.awaits(attempt) => {
                let mut context = self.0;
                context.attempt = attempt;
                AwaitingArguments::enter(context)
            }
            Event::CancelRequested => self.0.halt(protocol::Code::Cancelled.into()),
            Event::ApprovalRevoked => self.0.halt(protocol::Code::PlanRevoked.into()),
            Event::DeadlinePassed if self.0.is_due(now) => {
                self.0.halt(protocol::Code::DeadlineExceeded.into())
            }
            Event::DeadlinePassed => self.stay().note(Note::StaleDeadline),
            Event::Answered { .. } => self.stay().note(Note::StaleOutcome),
            Event::Connected | Event::RequestedAgain => self.stay(),
            Event::AttemptStarted { .. }
            | Event::Accepted { .. }
            | Event::Replied { .. }
            | Event::Acknowledged
            | Event::Closed => self.stay().note(Note::Unexpected),
        }
    }

    fn stay(self) -> Next {
        Next::to(Round::AwaitingAttemptRecord(self))
    }
}
