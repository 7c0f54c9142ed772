//! Phase 16, reply, first half: the verdict is reached, the reply is not in the journal yet.
//!
//! Entry: the round has ended, well or not, and nothing of it runs.
//! Exits: the journaled `Replied` to `AwaitingAcknowledgement`.
//! Nothing changes the verdict any more; cancel and deadline come too late.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::round::{Action, AwaitingAcknowledgement, Context, Event, Next, Note, Round, Verdict};

/// Awaits the journal's record of the reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingReplyRecord {
    pub(super) context: Context,
    verdict: Verdict,
}

impl AwaitingReplyRecord {
    pub(super) fn enter(context: Context, verdict: Verdict) -> Next {
        Next::to(Round::AwaitingReplyRecord(Self { context, verdict: verdict.clone() }))
            .then(Action::DisarmDeadline)
            .then(Action::RecordReply { verdict })
    }

    pub(super) fn handle(self, event: Event, _now: Timestamp) -> Next {
        match event {
            Event::Replied { reply } => AwaitingAcknowledgement::enter(self.context, reply.code),
            Event::Answered { .. } => self.stay().note(Note::StaleOutcome),
            Event::CancelRequested
            | Event::ApprovalRevoked
            | Event::Connected
            | Event::RequestedAgain => self.stay(),
            Event::DeadlinePassed => self.stay().note(Note::StaleDeadline),
            Event::Accepted { .. }
            | Event::AttemptStarted { .. }
            | Event::Acknowledged
            | Event::Closed => self.stay().note(Note::Unexpected),
        }
    }

    fn stay(self) -> Next {
        Next::to(Round::AwaitingReplyRecord(self))
    }
}
