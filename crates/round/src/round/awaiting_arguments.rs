//! Phase 2, arguments: the training arguments are parsed and split into their groups.
//!
//! Entry: an attempt is in the journal.
//! Exits: `ArgumentsParsed` to `AwaitingPlan`; a failure ends the round with `arguments.invalid`.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingPlan, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the judgement on the training arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingArguments(pub(super) Work);

impl AwaitingArguments {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Arguments, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(
                mut context,
                Outcome::ArgumentsParsed { before, after, warnings },
            ) => {
                context.before = before;
                context.after = after;
                context.warn(warnings);
                AwaitingPlan::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingArguments(Self(work))
    }
}
