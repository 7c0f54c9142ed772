//! Phase 11, train: the loop.
//!
//! Entry: the dataset is open, and measured where that was asked for; mode train only.
//! Exits: `Trained` to `AwaitingValidationAfter`, which may pass at once; a failure ends the round with
//! `training.failed`, `training.diverged` or a limit.
//! A cancel or the deadline ends the round once the loop is known to have ended.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingValidationAfter, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the end of the training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingTraining(pub(super) Work);

impl AwaitingTraining {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Train, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::Trained) => {
                AwaitingValidationAfter::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingTraining(Self(work))
    }
}
