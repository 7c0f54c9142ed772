//! Phase 4, approval: the owner's word on the plan; nothing has parsed it yet.
//!
//! Entry: the plan is verified.
//! Exits: `PlanApproved` to `AwaitingParameters`; a failure ends the round with `plan.not_registered`, `plan.not_approved`, `plan.rejected`, `policy.denied`, `audit.unavailable`.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingParameters, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the registry's word on the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingApproval(pub(super) Work);

impl AwaitingApproval {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Approval, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::PlanApproved) => {
                AwaitingParameters::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingApproval(Self(work))
    }
}
