//! Phase 12, validate after: metrics of the trained parameters.
//!
//! Entry: training has ended. Without `test_on_local_updates` the phase passes at once.
//! Exits: `Validated` to `AwaitingExport`. A metric that cannot be computed is a warning of `Validated`, not a
//! failure; a limit ends the round.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    AwaitingExport, Context, Event, Next, Outcome, Received, Round, Validation, Work,
};

/// Awaits the metrics of the trained parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingValidationAfter(pub(super) Work);

impl AwaitingValidationAfter {
    pub(super) fn enter(context: Context) -> Next {
        match context.after {
            Validation::Wanted => Work::perform(context, Phase::ValidateAfter, Self::round),
            Validation::Skipped => AwaitingExport::enter(context),
        }
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(mut context, Outcome::Validated { warnings }) => {
                context.warn(warnings);
                AwaitingExport::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingValidationAfter(Self(work))
    }
}
