//! Still phase 14: the owner decides about an update that the policy holds.
//!
//! Entry: the policy holds the round; its slot is given back and its deadline stands still.
//! Exits: `Released` to `AwaitingUpload`, with as much time as was left; a failure ends the round with
//! `egress.denied`.
//! A cancel ends the round. The deadline cannot pass here.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    Action, AwaitingEgress, Context, Deadline, Event, Next, Outcome, Received, Round, Work,
};

/// Awaits the owner's decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingRelease(pub(super) Work);

impl AwaitingRelease {
    pub(super) fn enter(mut context: Context, now: Timestamp) -> Next {
        context.deadline = match context.deadline {
            Deadline::Running(at) => Deadline::Held(now.until(at)),
            Deadline::Held(left) => Deadline::Held(left),
            Deadline::Lifted => Deadline::Lifted,
        };
        let clean = context.clean_once();
        Work::ask(context, Phase::Egress, Self::round, |ticket| Action::AwaitRelease { ticket })
            .then(Action::DisarmDeadline)
            .then_all(clean)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(mut context, Outcome::Released { warnings }) => {
                context.warn(warnings);
                let Deadline::Held(left) = context.deadline else {
                    return AwaitingEgress::release(context);
                };
                let at = now.after(left);
                context.deadline = Deadline::Running(at);
                AwaitingEgress::release(context).then(Action::ArmDeadline { at })
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingRelease(Self(work))
    }
}
