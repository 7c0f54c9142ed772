//! Taking up the experiments that the journal holds open.

use std::sync::Arc;

use protocol::{ExperimentId, Timestamp};
use round::Experiment;
use round::experiment::Event;
use store::journal::{Entry, Journal};
use store::{Database, Transaction};

use crate::board::Live;
use crate::record::{Error, MACHINES, SUBMITTED, machine, read, read_json, timestamp};
use crate::submission::Submission;

/// Replays every open experiment, each from its last snapshot.
pub(super) async fn load(database: &Database) -> Result<Vec<Live>, Error> {
    database
        .read(|transaction| {
            let machines = Journal::within(transaction).open_machines(MACHINES)?;
            let ids = machines.iter().filter_map(|machine| machine.strip_prefix(MACHINES));
            ids.map(|id| load_one(transaction, read("journal_machines", id)?)).collect()
        })
        .await
}

fn load_one(transaction: &Transaction<'_>, id: ExperimentId) -> Result<Live, Error> {
    let (submission, submitted_at) = find_submission(transaction, id)?;
    let restored = Journal::within(transaction).restore(&machine(id))?;
    let start = match restored.snapshot {
        Some(snapshot) => snapshot.read()?,
        None => Experiment::submit(submission.specification.clone(), submitted_at).0,
    };
    let experiment = restored.entries.iter().try_fold(start, replay)?;
    Ok(Live {
        submission: Arc::new(submission),
        experiment,
        executions: Default::default(),
        words: Default::default(),
    })
}

fn find_submission(
    transaction: &Transaction<'_>,
    id: ExperimentId,
) -> Result<(Submission, Timestamp), Error> {
    let (text, at): (String, i64) = transaction.query_row(
        "SELECT submission, submitted_at FROM experiments WHERE experiment_id = ?1",
        [id.to_string()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((read_json("experiments", &text)?, timestamp(at)))
}

fn replay(experiment: Experiment, entry: &Entry) -> Result<Experiment, Error> {
    if entry.kind == SUBMITTED {
        return Ok(experiment);
    }
    let event: Event = entry.read()?;
    Ok(experiment.handle(event, entry.at).0)
}
