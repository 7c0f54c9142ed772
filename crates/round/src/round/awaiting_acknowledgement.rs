//! Phase 16, reply, second half, and phase 17, clean: the reply is in the journal and is sent until it is acknowledged.
//!
//! Entry: the reply record is in the journal; the driver sends it and cleans up.
//! Exits: `Acknowledged` or `Closed` (the coordinator's round had ended) to `Delivered`; both drop the update's file.
//! `Connected` and `RequestedAgain` send the same reply again. The deadline does not bind.

use protocol::{Code, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{Action, Context, Delivered, Event, Next, Note, Round};

/// Awaits the coordinator's word that it holds the reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingAcknowledgement {
    pub(super) context: Context,
    pub(super) code: Code,
}

impl AwaitingAcknowledgement {
    pub(super) fn enter(mut context: Context, code: Code) -> Next {
        let clean = context.clean_once();
        let discard = (!code.is_ok() && context.update.is_some()).then_some(Action::DiscardUpdate);
        Next::to(Round::AwaitingAcknowledgement(Self { context, code }))
            .then(Action::SendReply)
            .then_all(discard)
            .then_all(clean)
    }

    pub(super) fn handle(self, event: Event, _now: Timestamp) -> Next {
        match event {
            Event::Acknowledged | Event::Closed => Delivered::enter(self.context, self.code),
            Event::Connected | Event::RequestedAgain => self.stay().then(Action::SendReply),
            Event::CancelRequested | Event::ApprovalRevoked => self.stay(),
            Event::Answered { .. } => self.stay().note(Note::StaleOutcome),
            Event::DeadlinePassed => self.stay().note(Note::StaleDeadline),
            Event::Accepted { .. } | Event::AttemptStarted { .. } | Event::Replied { .. } => {
                self.stay().note(Note::Unexpected)
            }
        }
    }

    fn stay(self) -> Next {
        Next::to(Round::AwaitingAcknowledgement(self))
    }
}
