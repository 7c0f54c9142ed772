//! The end: the coordinator holds the reply, or does not want it any more.
//!
//! Entry: the reply is acknowledged or answered with `round.closed`.
//! Exits: none. `RequestedAgain` sends the stored reply again, for as long as the journal keeps it.

use protocol::{Code, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{Action, Context, Event, Next, Note, Round};

/// Awaits nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivered {
    pub(super) context: Context,
    pub(super) code: Code,
}

impl Delivered {
    pub(super) fn enter(mut context: Context, code: Code) -> Next {
        let clean = context.clean_once();
        Next::to(Round::Delivered(Self { context, code }))
            .then(Action::DiscardUpdate)
            .then_all(clean)
    }

    pub(super) fn handle(self, event: Event, _now: Timestamp) -> Next {
        match event {
            Event::RequestedAgain => self.stay().then(Action::SendReply),
            Event::Acknowledged
            | Event::Closed
            | Event::Connected
            | Event::CancelRequested
            | Event::ApprovalRevoked => self.stay(),
            Event::Answered { .. } => self.stay().note(Note::StaleOutcome),
            Event::DeadlinePassed => self.stay().note(Note::StaleDeadline),
            Event::Accepted { .. } | Event::AttemptStarted { .. } | Event::Replied { .. } => {
                self.stay().note(Note::Unexpected)
            }
        }
    }

    fn stay(self) -> Next {
        Next::to(Round::Delivered(self))
    }
}
