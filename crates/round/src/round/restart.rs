//! What a restarted process does with a round, from the journal's few records of it.

use protocol::{ArtifactReference, Code, Timestamp, Warning};

use crate::round::{
    AwaitingAcknowledgement, AwaitingDataset, AwaitingExportCheck, AwaitingSlot, Context,
    Delivered, Event, Next, Outcome,
};

/// The records of a journal are not those of a round.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The first record is not the acceptance, or there is none.
    #[error("the records of a round start with its acceptance")]
    NotAccepted,
}

/// How far a round got, as its records say it.
struct Progress {
    context: Context,
    cancelled: bool,
    export: Option<(ArtifactReference, Vec<Warning>)>,
    code: Option<Code>,
    delivered: bool,
}

/// Takes up a round where its journal leaves it.
pub(super) fn restore(
    records: impl IntoIterator<Item = (Event, Timestamp)>,
    now: Timestamp,
) -> Result<Next, RestoreError> {
    let mut records = records.into_iter();
    let Some((Event::Accepted { request }, accepted_at)) = records.next() else {
        return Err(RestoreError::NotAccepted);
    };
    let mut progress = Progress {
        context: Context::new(&request, accepted_at),
        cancelled: false,
        export: None,
        code: None,
        delivered: false,
    };
    for (event, _) in records {
        progress.take(event);
    }
    Ok(progress.resume(now))
}

impl Progress {
    fn take(&mut self, event: Event) {
        match event {
            Event::AttemptStarted { attempt } => {
                self.context.attempt = attempt;
                self.export = None;
            }
            Event::Answered { ticket, outcome: Outcome::Exported { export } } => {
                if ticket.attempt == self.context.attempt {
                    self.export = Some((export.update, export.warnings));
                }
            }
            Event::CancelRequested => self.cancelled = true,
            Event::Replied { reply } => self.code = Some(reply.code),
            Event::Acknowledged | Event::Closed => self.delivered = true,
            Event::Accepted { .. }
            | Event::Answered { .. }
            | Event::ApprovalRevoked
            | Event::DeadlinePassed
            | Event::Connected
            | Event::RequestedAgain => {}
        }
    }

    fn resume(self, now: Timestamp) -> Next {
        let mut context = self.context;
        match (self.code, self.export) {
            (Some(code), _) if self.delivered => Delivered::enter(context, code),
            (Some(code), _) => AwaitingAcknowledgement::enter(context, code),
            (None, _) if self.cancelled => context.conclude(Code::Cancelled.into()),
            (None, Some((update, warnings))) => {
                context.warn(warnings);
                AwaitingExportCheck::enter(context, update)
            }
            (None, None) if context.attempt == 0 => AwaitingDataset::again(context, now),
            (None, None) => AwaitingSlot::again(context, now),
        }
    }
}
