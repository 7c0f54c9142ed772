//! Phase 1, accept: the request is in the journal and its dataset is looked up.
//!
//! Entry: the request is journaled.
//! Exits: `DatasetFound` to `AwaitingSlot`; a failure ends the round with `data.unknown`.
//! The deadline is armed on entry. A cancel or the deadline ends the round.

use protocol::{Code, Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    Action, AwaitingSlot, Context, Deadline, Event, Next, Outcome, Received, Round, Work,
};

/// Awaits the word whether the request's dataset is one of the node's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingDataset(pub(super) Work);

impl AwaitingDataset {
    pub(super) fn enter(context: Context) -> Next {
        let Deadline::Running(at) = context.deadline else { return Self::look_up(context) };
        Self::look_up(context).then(Action::ArmDeadline { at })
    }

    /// Looks again after a restart, where there is time left.
    pub(super) fn again(context: Context, now: Timestamp) -> Next {
        if context.is_due(now) {
            return context.conclude(Code::DeadlineExceeded.into());
        }
        Self::enter(context)
    }

    fn look_up(context: Context) -> Next {
        Work::perform(context, Phase::Accept, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::DatasetFound) => AwaitingSlot::enter(context),
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingDataset(Self(work))
    }
}
