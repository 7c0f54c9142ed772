//! Still phase 15: the file waits for a coordinator that can be reached.
//!
//! Entry: an upload found no coordinator; the slot is given back and the deadline does not bind any more, because the
//! result exists and only the coordinator can say that it comes too late.
//! Exits: `CoordinatorReachable` to `AwaitingUpload`. Being unreachable is not an outcome of the round.
//! A cancel ends the round. The deadline cannot pass here.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    Action, AwaitingUpload, Context, Deadline, Event, Next, Outcome, Received, Round, Work,
};

/// Awaits a coordinator to offer the file to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingCoordinator(pub(super) Work);

impl AwaitingCoordinator {
    pub(super) fn enter(mut context: Context) -> Next {
        context.deadline = Deadline::Lifted;
        let clean = context.clean_once();
        Work::ask(context, Phase::Upload, Self::round, |ticket| Action::AwaitCoordinator { ticket })
            .then(Action::DisarmDeadline)
            .then_all(clean)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::CoordinatorReachable) => {
                AwaitingUpload::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingCoordinator(Self(work))
    }
}
