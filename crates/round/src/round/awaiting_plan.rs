//! Phase 3, plan: the plan's file is fetched and verified.
//!
//! Entry: the arguments are valid.
//! Exits: `PlanFetched` to `AwaitingApproval`; a failure ends the round with `plan.unavailable`, `plan.digest_mismatch`, `plan.unsupported_runtime`.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingApproval, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the verified plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingPlan(pub(super) Work);

impl AwaitingPlan {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Plan, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::PlanFetched) => AwaitingApproval::enter(context),
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingPlan(Self(work))
    }
}
