//! Phase 14, egress: what may leave is decided, an update from its file.
//!
//! Entry: the export record is in the journal; in mode validate, the metrics are known.
//! Exits: `EgressAllowed` to `AwaitingUpload`, or where there is no update to the reply; `EgressHeld` to
//! `AwaitingRelease`; a failure ends the round with `egress.denied`.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    AwaitingRelease, AwaitingUpload, Context, Event, Next, Outcome, Received, Round, Work,
};

/// Awaits the decision what may leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingEgress(pub(super) Work);

impl AwaitingEgress {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Egress, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(mut context, Outcome::EgressAllowed { warnings }) => {
                context.warn(warnings);
                Self::release(context)
            }
            Received::Answered(context, Outcome::EgressHeld) => {
                AwaitingRelease::enter(context, now)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    /// Goes on with a result that may leave.
    pub(super) fn release(context: Context) -> Next {
        if context.update.is_some() { AwaitingUpload::enter(context) } else { context.succeed() }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingEgress(Self(work))
    }
}
