//! Phase 7, initialise: the plan makes its model and its optimizer.
//!
//! Entry: the plan is built.
//! Exits: `Initialised` to `AwaitingLoad`; a failure ends the round with `plan.init_failed`, `arguments.invalid`, a limit.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingLoad, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the model and the optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingInitialisation(pub(super) Work);

impl AwaitingInitialisation {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Initialise, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::Initialised) => AwaitingLoad::enter(context),
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingInitialisation(Self(work))
    }
}
