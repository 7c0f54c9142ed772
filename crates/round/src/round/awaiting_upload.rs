//! Phase 15, upload: the file is offered until the coordinator confirms its digest.
//!
//! Entry: the update may leave.
//! Exits: `Uploaded` to the reply `ok`; the third `UploadRefused` ends the round with `results.upload_failed`, an
//! earlier one offers again; `CoordinatorUnreachable` to `AwaitingCoordinator`.
//! A cancel or the deadline ends the round once the transfer has ended. After a restart or a broken line the deadline
//! does not bind: the result exists, and only the coordinator can say that it comes too late.

use protocol::{Code, Phase, Timestamp};
use serde::{Deserialize, Serialize};

use crate::round::{AwaitingCoordinator, Context, Event, Next, Outcome, Received, Round, Work};

/// Awaits the coordinator's confirmation of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwaitingUpload(pub(super) Work);

impl AwaitingUpload {
    pub(super) fn enter(context: Context) -> Next {
        Work::perform(context, Phase::Upload, Self::round)
    }

    pub(super) fn handle(self, event: Event, now: Timestamp) -> Next {
        match self.0.receive(event, now, Self::round) {
            Received::Answered(context, Outcome::Uploaded) => context.succeed(),
            Received::Answered(context, Outcome::UploadRefused) => Self::refused(context),
            Received::Answered(context, Outcome::CoordinatorUnreachable) => {
                AwaitingCoordinator::enter(context)
            }
            Received::Answered(context, _) => context.fail_unexpected(),
            Received::Settled(next) => next,
        }
    }

    fn refused(mut context: Context) -> Next {
        context.refusals += 1;
        if context.refusals < OFFERS {
            Self::enter(context)
        } else {
            context.conclude(Code::ResultsUploadFailed.into())
        }
    }

    fn round(work: Work) -> Round {
        Round::AwaitingUpload(Self(work))
    }
}

/// How often a file is offered to a coordinator that refuses it.
const OFFERS: u32 = 3;
