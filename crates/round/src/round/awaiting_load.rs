//! Phase 8, load: the received parameters go into the model.
//!
//! Entry: the model exists.
//! Exits: `ParametersLoaded` to `AwaitingData`; a failure ends the round with `parameters.mismatch`, a limit.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingData, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits a model that has the received parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingLoad(pub(super) Work);

impl AwaitingLoad {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Load, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::ParametersLoaded) => AwaitingData::enter(context),
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingLoad(Self(work))
    }
}
