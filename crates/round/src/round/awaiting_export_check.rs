//! After a restart: whether the exported file is still what the export record says.
//!
//! Entry: a process ended after the export record and before the reply record. The deadline does not bind any more.
//! Exits: `ExportIntact` to `AwaitingEgress`, never to training; `ExportLost` to the next attempt, from the top, or
//! after the third to the reply `node.interrupted`, or after the deadline to `deadline.exceeded`.
//! A cancel ends the round.

use protocol::{ArtifactReference, Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{
    Action, AwaitingEgress, AwaitingSlot, Context, Deadline, Event, Next, Outcome, Received, Round,
    Work,
};

/// Awaits the look at the exported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingExportCheck(pub(super) Work);

impl AwaitingExportCheck {
    pub(super) fn enter(mut context: Context, update: ArtifactReference) -> Next {
        context.deadline = Deadline::Lifted;
        context.update = Some(update.clone());
        Work::ask(context, Phase::Export, Self::round, |ticket| Action::VerifyExport {
            ticket,
            update,
        })
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::ExportIntact) => AwaitingEgress::enter(context),
            Received::Answered(context, Outcome::ExportLost) => Self::lost(context, now),
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn lost(mut context: Context, now: Timestamp) -> Next {
        context.update = None;
        context.warnings.clear();
        context.deadline = Deadline::Running(context.order.due);
        AwaitingSlot::again(context, now).then(Action::DiscardUpdate)
    }

    fn round(work: Work) -> Round {
        Round::AwaitingExportCheck(Self(work))
    }
}
