//! Phase 13, export: the trained parameters are written to a file, with one journal record.
//!
//! Entry: training has ended, and was measured where that was asked for.
//! Exits: `Exported`, which is journaled, to `AwaitingEgress`; a failure ends the round with `plan.export_failed` or a
//! limit. From the record on nothing is ever trained again for this round, unless the file gets lost.
//! A cancel or the deadline ends the round once nothing of it runs.

use protocol::{Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingEgress, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the update's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingExport(pub(super) Work);

impl AwaitingExport {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Export, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(mut context, Outcome::Exported { export }) => {
                context.update = Some(export.update);
                context.warn(export.warnings);
                AwaitingEgress::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingExport(Self(work))
    }
}
