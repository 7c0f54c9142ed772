//! Phase 9, data: the dataset is opened, cleaned and split, and its sizes are judged.
//!
//! Entry: the model has the received parameters.
//! Exits: `DataOpened` to `AwaitingValidationBefore`, which may pass at once; no row to train on in mode train ends the
//! round with `data.no_training_samples`, a failure with `data.unavailable`, `data.invalid`, `data.too_few_samples`,
//! `data.no_training_samples` or a limit.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Code, Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    AwaitingValidationBefore, Context, Event, Next, Outcome, Received, Round, Work,
};

/// Awaits the open dataset and its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingData(pub(super) Work);

impl AwaitingData {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Data, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(
                mut context,
                Outcome::DataOpened { training_rows, validation_rows: _, warnings },
            ) => {
                context.warn(warnings);
                if context.trains() && training_rows == 0 {
                    return context.conclude(Code::DataNoTrainingSamples.into());
                }
                AwaitingValidationBefore::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingData(Self(work))
    }
}
