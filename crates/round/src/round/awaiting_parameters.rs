//! Phase 5, parameters: the global parameters are fetched and verified.
//!
//! Entry: the plan is approved.
//! Exits: `ParametersFetched` to `AwaitingInstance`; a failure ends the round with `parameters.unavailable`, `parameters.invalid`.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingInstance, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the verified parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingParameters(pub(super) Work);

impl AwaitingParameters {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Parameters, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::ParametersFetched) => {
                AwaitingInstance::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingParameters(Self(work))
    }
}
