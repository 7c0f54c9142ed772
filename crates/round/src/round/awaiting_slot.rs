//! Between accept and the first work: the round queues until the node has a slot for it.
//!
//! Entry: the dataset is known, or a restart found an attempt without a result.
//! Exits: `SlotGranted` to `AwaitingAttemptRecord`; where the deadline has come meanwhile, the round ends with
//! `deadline.exceeded` and no attempt starts.
//! A cancel or the deadline ends the round; waiting counts.

use protocol::{Code, Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    Action, AwaitingAttemptRecord, Context, Deadline, Event, Next, Outcome, Received, Round, Work,
};

/// Awaits the round's turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingSlot(pub(super) Work);

impl AwaitingSlot {
    pub(super) fn enter(context: Context) -> Next {
        Work::ask(context, Phase::Accept, Self::round, |ticket| Action::AwaitSlot { ticket })
    }

    /// Queues for the next attempt after an interrupted one, where there may be one.
    pub(super) fn again(context: Context, now: Timestamp) -> Next {
        if context.is_due(now) {
            return context.conclude(Code::DeadlineExceeded.into());
        }
        if context.attempt >= ATTEMPTS {
            return context.conclude(Code::NodeInterrupted.into());
        }
        let Deadline::Running(at) = context.deadline else { return Self::enter(context) };
        Self::enter(context).then(Action::ArmDeadline { at })
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::SlotGranted) if context.is_due(now) => {
                context.conclude(Code::DeadlineExceeded.into())
            }
            Received::Answered(context, Outcome::SlotGranted) => {
                AwaitingAttemptRecord::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingSlot(Self(work))
    }
}

/// How many attempts a round gets.
const ATTEMPTS: u32 = 3;
