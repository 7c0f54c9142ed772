//! Phase 6, instantiate: the runtime starts and builds the plan.
//!
//! Entry: the parameters are verified.
//! Exits: `Instantiated` to `AwaitingInitialisation`; a failure ends the round with `plan.not_loadable`, `sandbox.unavailable`, a limit.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingInitialisation, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits a runtime that holds the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingInstance(pub(super) Work);

impl AwaitingInstance {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Instantiate, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::Instantiated) => {
                AwaitingInitialisation::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingInstance(Self(work))
    }
}
