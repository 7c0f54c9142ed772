//! What waits for the next commit, the commit, and what follows it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Code, Digest, ExperimentId, NodeId, RoundId, Timestamp};
use round::experiment::{Action, Event, StateName};
use store::artifact::Pin;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Director;
use super::work::{self, Outcome};
use crate::board::Live;
use crate::checkpoint::{self, Checkpoint};
use crate::record::{Error, Write, write_all};
use crate::scalars;
use crate::submission::Submission;

/// What waits for the next commit, and what follows it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    writes: Vec<(Timestamp, Write)>,
    /// Rounds to close; they read what the writes have written.
    checkpoints: Vec<Closing>,
    after: Vec<After>,
    changed: BTreeSet<ExperimentId>,
    /// What keeps files from deletion until the writes want them.
    pins: Vec<Pin>,
    /// The executions whose replies are among the writes.
    pub(super) replies: BTreeSet<RoundId>,
    /// Whether an experiment has entered the state to pause at.
    pub(super) pauses: bool,
    urgent: bool,
    /// When the first of the writes came.
    since: Option<Instant>,
}

/// What is done once the commit is on the disk.
#[derive(Debug)]
pub(super) enum After {
    Perform(ExperimentId, Action),
    Acknowledge { node: NodeId, round_id: RoundId, late: bool },
    Discard(Digest),
    Welcome { node: NodeId, open_rounds: Vec<RoundId> },
    FindSites,
    Answer(oneshot::Sender<Result<(), Code>>),
}

impl Pending {
    /// Whether somebody waits for the commit.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// When what nobody waits for has waited long enough for company.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + LONGEST_WAIT)
    }

    pub(super) fn after(&mut self, step: After) {
        self.after.push(step);
    }

    /// Keeps a file until the commit, whose rows want it.
    pub(super) fn keep(&mut self, pin: Pin) {
        self.pins.push(pin);
    }

    /// Has whoever watches an experiment look again after the commit.
    pub(super) fn changed(&mut self, id: ExperimentId) {
        self.changed.insert(id);
    }

    fn push(&mut self, at: Timestamp, write: Write) {
        self.writes.push((at, write));
        self.since.get_or_insert_with(Instant::now);
    }
}

impl Director {
    /// Writes something with the next commit, which is now.
    pub(super) fn write(&mut self, at: Timestamp, write: Write) {
        self.pending.push(at, write);
        self.pending.urgent = true;
    }

    /// Writes something with the next commit, which may take a moment.
    pub(super) fn write_later(&mut self, at: Timestamp, write: Write) {
        self.pending.push(at, write);
    }

    /// Closes a round with the commit of the event that wants it; the outcome is an event after the commit.
    pub(super) fn write_checkpoint(
        &mut self,
        id: ExperimentId,
        checkpoint: Checkpoint,
        now: Timestamp,
    ) {
        // Whoever pauses there finds it undone.
        if self.is_pause(StateName::Checkpointing) {
            return;
        }
        let Some(live) = self.shared.board.get(id) else { return };
        let submission = live.submission;
        let closing = Closing { at: now, submission, checkpoint, then: Vec::new() };
        self.pending.checkpoints.push(closing);
    }

    /// Writes what waits in one commit, then performs what follows it.
    ///
    /// Short updates are averaged before, and what follows a checkpoint goes with it, so that the last reply, the end
    /// of a round and the next dispatch are one commit.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        self.aggregate_shortly();
        let pending = std::mem::take(&mut self.pending);
        let Pending { writes, checkpoints, after, changed, pauses, pins, .. } = pending;
        // What sites told while a round ran comes before its end.
        let scalars = match checkpoints.as_slice() {
            [] => Vec::new(),
            _ => scalars::take(&self.shared).await,
        };
        let (closings, sequels) = match pauses {
            true => (checkpoints, Vec::new()),
            false => self.foresee(checkpoints),
        };
        let now = self.shared.clock.now();
        let batch = Arc::new(Batch { scalars, writes, closings, now });
        let outcomes = self.write_batch(batch).await?;
        drop(pins);
        for id in changed {
            self.shared.feeds.notify(id);
        }
        if pauses {
            self.pending.pauses = true;
            return Ok(());
        }
        for step in after {
            self.follow(step);
        }
        for (outcome, sequel) in outcomes.into_iter().zip(sequels) {
            self.conclude(outcome, sequel);
        }
        Ok(())
    }

    /// Aggregates short updates before the replies that bring them are on the disk, so that both are one commit.
    ///
    /// Nobody sees a mean before its event is committed, and a process that ends before makes it again.
    fn aggregate_shortly(&mut self) {
        if self.pending.pauses {
            return;
        }
        for step in std::mem::take(&mut self.pending.after) {
            match self.foresee_mean(&step) {
                Some(outcome) => {
                    let Outcome { experiment_id, event, short_model } = outcome;
                    self.keep_model(short_model);
                    self.advance(experiment_id, event);
                }
                None => self.pending.after(step),
            }
        }
    }

    fn foresee_mean(&self, step: &After) -> Option<Outcome> {
        let After::Perform(id, Action::Aggregate { ticket, round, inputs }) = step else {
            return None;
        };
        let submission = self.shared.board.get(*id)?.submission;
        work::aggregate_at_once(&self.shared, &submission, (*ticket, *round, inputs))
    }

    /// Takes each experiment past its checkpoint before that is written: it hardly ever fails.
    fn foresee(&mut self, checkpoints: Vec<Closing>) -> (Vec<Closing>, Vec<Sequel>) {
        let one = |mut closing: Closing| {
            let (id, ticket) = (closing.submission.experiment_id, closing.checkpoint.ticket);
            let before = self.shared.board.get(id);
            self.advance(id, Event::Checkpointed { ticket });
            let Pending { writes, after, changed, pauses, .. } = std::mem::take(&mut self.pending);
            closing.then = writes;
            (closing, Sequel { before, after, changed, pauses })
        };
        checkpoints.into_iter().map(one).unzip()
    }

    /// Performs what follows a checkpoint, or takes its experiment back where it was not written.
    fn conclude(&mut self, outcome: checkpoint::Outcome, sequel: Sequel) {
        match outcome.fault {
            None => {
                for id in sequel.changed {
                    self.shared.feeds.notify(id);
                }
                if sequel.pauses {
                    self.pending.pauses = true;
                    return;
                }
                for step in sequel.after {
                    self.follow(step);
                }
            }
            Some(event) => {
                if let Some(before) = sequel.before {
                    self.shared.board.put(before);
                }
                self.queue.push_back((outcome.experiment_id, event));
            }
        }
        work::delete(&mut self.work, &self.shared, outcome.released);
    }

    /// Writes until it is on the disk: while the disk is full nothing goes on, and nothing is lost.
    async fn write_batch(&self, batch: Arc<Batch>) -> Result<Vec<checkpoint::Outcome>, Error> {
        loop {
            let again = Arc::clone(&batch);
            let written = self.shared.database.write(move |transaction| again.write(transaction));
            let error = match written.await {
                Err(Error::Database(error @ store::database::Error::DiskFull)) => error,
                written => return written,
            };
            tracing::error!(%error, "nothing is recorded, so nothing goes on, until there is room");
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return Err(error.into()),
                () = tokio::time::sleep(FULL_DISK_PAUSE) => {}
            }
        }
    }

    fn follow(&mut self, step: After) {
        match step {
            After::Perform(id, action) => self.perform(id, action),
            After::Acknowledge { node, round_id, late } => self.acknowledge(&node, round_id, late),
            After::Discard(digest) => work::delete(&mut self.work, &self.shared, vec![digest]),
            After::Welcome { node, open_rounds } => self.greet(&node, &open_rounds),
            After::FindSites => {
                for live in self.shared.board.all() {
                    if live.experiment.state() == StateName::Selecting {
                        self.perform(live.experiment.id(), Action::FindSites);
                    }
                }
            }
            After::Answer(answer) => {
                // Whoever asked may have gone.
                let _gone = answer.send(Ok(()));
            }
        }
    }
}

/// What one commit writes.
#[derive(Debug)]
struct Batch {
    scalars: Vec<crate::shared::TakenScalar>,
    writes: Vec<(Timestamp, Write)>,
    closings: Vec<Closing>,
    now: Timestamp,
}

/// A round to close.
#[derive(Debug)]
struct Closing {
    at: Timestamp,
    submission: Arc<Submission>,
    checkpoint: Checkpoint,
    /// What is written with it, if it is.
    then: Vec<(Timestamp, Write)>,
}

/// What follows a checkpoint that is on the disk.
#[derive(Debug)]
struct Sequel {
    /// The experiment as it is without the checkpoint.
    before: Option<Live>,
    after: Vec<After>,
    changed: BTreeSet<ExperimentId>,
    pauses: bool,
}

impl Batch {
    fn write(
        &self,
        transaction: &store::Transaction<'_>,
    ) -> Result<Vec<checkpoint::Outcome>, Error> {
        scalars::write_taken(transaction, &self.scalars, self.now)?;
        write_all(transaction, &self.writes)?;
        let closing = self.closings.iter().map(|one| {
            let outcome = checkpoint::write(transaction, &one.submission, &one.checkpoint, one.at)?;
            if outcome.fault.is_none() {
                write_all(transaction, &one.then)?;
            }
            Ok(outcome)
        });
        closing.collect()
    }
}

/// How long what nobody waits for may wait for company.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// How long after a commit for which there was no room the next is tried.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);
