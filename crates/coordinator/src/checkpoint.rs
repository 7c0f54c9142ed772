//! Closing a round: its history, the replies that it used, and what is no longer kept.

use protocol::{ArtifactReference, Code, Digest, ExperimentId, RoundId, Timestamp};
use round::experiment::{Event, Ticket};
use store::{Transaction, database};

use crate::record::Error;
use crate::submission::Submission;
use crate::{bodies, history, retention};

/// What a checkpoint writes.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) ticket: Ticket,
    pub(crate) round: u32,
    pub(crate) model: ArtifactReference,
    pub(crate) used: Vec<RoundId>,
}

/// What a checkpoint came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) experiment_id: ExperimentId,
    /// Why nothing of it is written.
    pub(crate) fault: Option<Event>,
    /// The files that nobody keeps any more, to be deleted once this is on the disk.
    pub(crate) released: Vec<Digest>,
}

/// Writes a checkpoint, or nothing of it.
///
/// # Errors
///
/// Returns that the disk is full, for then the whole transaction is undone. Anything else that fails is the outcome.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    submission: &Submission,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let (id, ticket) = (submission.experiment_id, checkpoint.ticket);
    let written: Result<_, Error> = transaction.attempt(|transaction| {
        history::close_round(transaction, submission, checkpoint, now)?;
        let released = retention::release(transaction, submission, checkpoint.round)?;
        for digest in &released {
            bodies::drop_unwanted(transaction, digest)?;
        }
        Ok(released)
    });
    match written {
        Ok(released) => Ok(Outcome { experiment_id: id, fault: None, released }),
        Err(Error::Database(error @ database::Error::DiskFull)) => Err(error.into()),
        Err(error) => {
            tracing::error!(experiment = %id, %error, "a checkpoint cannot be written");
            let fault = Event::CheckpointFailed { ticket, code: Code::CoordinatorInternal };
            Ok(Outcome { experiment_id: id, fault: Some(fault), released: Vec::new() })
        }
    }
}
