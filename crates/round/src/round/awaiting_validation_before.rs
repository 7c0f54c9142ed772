//! Phase 10, validate before: metrics of the parameters as they were received.
//!
//! Entry: the dataset is open. Without `test_on_global_updates` the phase passes at once.
//! Exits: `Validated` to `AwaitingTraining`, or in mode validate to `AwaitingEgress`. A metric that cannot be computed
//! is a warning of `Validated`, not a failure; a limit ends the round.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    AwaitingEgress, AwaitingTraining, Context, Event, Next, Outcome, Received, Round, Validation,
    Work,
};

/// Awaits the metrics of the received parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingValidationBefore(pub(super) Work);

impl AwaitingValidationBefore {
    pub(super) fn enter(context: Context) -> Next {
        match context.before {
            Validation::Wanted => Work::perform(context, Phase::ValidateBefore, Self::round),
            Validation::Skipped => Self::leave(context),
        }
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(mut context, Outcome::Validated { warnings }) => {
                context.warn(warnings);
                Self::leave(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn leave(context: Context) -> Next {
        if context.trains() {
            AwaitingTraining::enter(context)
        } else {
            AwaitingEgress::enter(context)
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingValidationBefore(Self(work))
    }
}
