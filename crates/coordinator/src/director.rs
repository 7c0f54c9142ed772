//! Drives every experiment: takes what happens, commits it, then performs what follows.
//!
//! One task changes experiments, so that nothing about their order needs a lock. Whatever waits in the mailbox is
//! taken together and committed once; no action is performed before its event is on the disk. A commit for which the
//! disk has no room is tried until it has; when one fails otherwise the coordinator stops: what is in memory is then
//! ahead of the journal, and a restart puts that right.

mod attendance;
mod commit;
mod replies;
mod researchers;
mod restart;
mod unreadable;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::wire::{CARRIED_BYTES, v1};
use protocol::{ArtifactReference, DatasetId, Digest, ExperimentId, NodeId, RoundId, Timestamp};
use round::Experiment;
use round::experiment::{Action, Event, StateName};
use tokio::sync::{mpsc, watch};

use crate::bodies;
use crate::checkpoint::Checkpoint;
use crate::message::Message;
use crate::record::{Error, News, Write};
use crate::shared::Shared;
use crate::submission::Submission;

use commit::{After, Pending};
use work::{Outcome, Work};

/// The one task that changes experiments.
#[derive(Debug)]
pub(crate) struct Director {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    /// Events that follow from performed actions.
    queue: VecDeque<(ExperimentId, Event)>,
    /// Aggregations, which end with an event, and deletions, which end with nothing.
    work: Work,
    pending: Pending,
    paused: watch::Sender<bool>,
    /// The short parameters that were read or made last.
    model: Option<(Digest, Vec<u8>)>,
}

impl Director {
    /// Takes up the experiments that the journal holds open.
    pub(crate) async fn start(
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Message>,
        paused: watch::Sender<bool>,
    ) -> Result<Self, Error> {
        let mut director = Self {
            shared,
            inbox,
            queue: VecDeque::new(),
            work: Work::new(),
            pending: Pending::default(),
            paused,
            model: None,
        };
        for live in restart::load(&director.shared.database).await? {
            let (id, researcher) = (live.experiment.id(), live.submission.researcher_id.clone());
            director.queue.push_back((id, Event::Restarted));
            if director.is_out(&researcher)? {
                // While the coordinator did not run, or before it could be told.
                director.queue.push_back((id, Event::ResearcherRevoked { researcher }));
            }
            director.shared.board.put(live);
        }
        Ok(director)
    }

    /// Works until the shutdown; work that has begun is awaited.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let shutdown = self.shared.shutdown.clone();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.settle().await?;
            if self.pending.pauses {
                self.paused.send_replace(true);
                shutdown.cancelled().await;
                break;
            }
            let timer = self.wait_until(self.shared.board.next_deadline());
            let due = self.pending.due();
            let idle = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = self.work.join_next() => match done {
                    Ok(outcome) => self.done(outcome),
                    Err(error) => tracing::error!(%error, "a piece of work ended by a defect"),
                },
                taken = self.inbox.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    for message in batch.drain(..) {
                        self.take(message).await?;
                    }
                }
                () = timer => self.expire(),
                () = idle, if due.is_some() => self.commit().await?,
            }
        }
        while self.work.join_next().await.is_some() {}
        self.commit().await
    }

    /// Handles what is queued, commits, performs, and again until nothing is left that is urgent.
    async fn settle(&mut self) -> Result<(), Error> {
        loop {
            while let Some((id, event)) = self.queue.pop_front() {
                self.advance(id, event);
            }
            if !self.pending.is_urgent() {
                return Ok(());
            }
            self.commit().await?;
            if self.pending.pauses {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Attend(arrival) => self.welcome(*arrival),
            Message::Left { node, connection } => {
                if self.shared.registry.leave(&node, connection) {
                    tracing::info!(%node, "node disconnected");
                }
            }
            Message::DatasetsChanged { node, datasets } => {
                self.note(node, |attendance| attendance.datasets = datasets);
            }
            Message::Availability { node, paused } => {
                self.note(node, |attendance| attendance.paused = paused);
            }
            Message::PlanAnswered { node, experiment_id, dataset_id, plan, word } => {
                self.plan_answered(&node, (experiment_id, dataset_id), plan, word);
            }
            Message::PlanDecided { node, plan, word } => {
                self.plan_decided(&node, plan, word);
            }
            Message::Progress { node, round_id, progress } => {
                self.progress(&node, round_id, progress);
            }
            Message::Reply { node, reply, update } => self.reply(node, reply, update).await?,
            Message::Unreadable { node, reply } => self.unreadable(node, reply).await?,
            Message::Submit { submission, answer } => self.submit(*submission, answer),
            Message::Command { experiment_id, command, answer } => {
                self.command(experiment_id, command, answer);
            }
            Message::ResearcherRevoked { researcher } => self.researcher_revoked(&researcher),
            Message::StorageFilled => self.storage_filled(),
        }
        Ok(())
    }

    fn storage_filled(&mut self) {
        for live in self.shared.board.all() {
            self.queue.push_back((live.experiment.id(), Event::StorageFilled));
        }
    }

    /// Takes one event to its experiment's machine.
    fn advance(&mut self, id: ExperimentId, event: Event) -> Vec<Action> {
        let Some(live) = self.shared.board.get(id) else { return Vec::new() };
        let now = self.shared.clock.now();
        let before = live.experiment.state();
        let checkpointed = matches!(event, Event::Checkpointed { .. });
        let (experiment, actions) = live.experiment.handle(event.clone(), now);
        if let [Action::Ignore(reason)] = actions.as_slice() {
            tracing::debug!(experiment = %id, event = event.name(), ?reason, "event ignored");
            return actions;
        }
        tracing::debug!(experiment = %id, event = event.name(), state = %experiment.state(), "event");
        self.write(now, Write::Journal { experiment_id: id, event });
        self.prepare(&experiment, &actions, now);
        if checkpointed {
            self.write(now, Write::Snapshot(Box::new(experiment.clone())));
        }
        self.pending.pauses |= experiment.state() != before && self.is_pause(experiment.state());
        if experiment.state().is_end() {
            self.write(now, Write::Close(id));
            self.shared.board.remove(id);
        } else {
            self.shared.board.set_experiment(experiment);
        }
        actions
    }

    /// Writes what an experiment became and told, and queues what it wants done.
    fn prepare(&mut self, experiment: &Experiment, actions: &[Action], now: Timestamp) {
        let id = experiment.id();
        self.write(now, Write::State(Box::new(experiment.clone())));
        for action in actions {
            match action {
                Action::Announce(announcement) => {
                    let news = News::of(announcement);
                    self.write(now, Write::News { experiment_id: id, news });
                }
                Action::SendRequest(request) => {
                    let request = request.clone();
                    self.write(now, Write::Execution { experiment_id: id, request });
                }
                Action::FindSites
                | Action::AskApproval { .. }
                | Action::CancelExecution { .. }
                | Action::SetDeadline { .. }
                | Action::SettleReply { .. }
                | Action::Aggregate { .. }
                | Action::Ignore(_) => {}
                Action::Checkpoint { ticket, round, model, used } => {
                    let (model, used) = (model.clone(), used.clone());
                    let checkpoint = Checkpoint { ticket: *ticket, round: *round, model, used };
                    self.write_checkpoint(id, checkpoint, now);
                }
            }
            self.pending.after(After::Perform(id, action.clone()));
        }
        self.pending.changed(id);
    }

    /// Takes what a piece of work came to.
    fn done(&mut self, outcome: Option<Outcome>) {
        let Some(Outcome { experiment_id, event, short_model }) = outcome else { return };
        self.keep_model(short_model);
        self.queue.push_back((experiment_id, event));
    }

    /// Writes the row of a short model, which is on the disk with the event that names it, at the latest.
    fn keep_model(&mut self, model: Option<(Digest, Vec<u8>)>) {
        if let Some((digest, bytes)) = model {
            self.model = Some((digest, bytes.clone()));
            self.write(self.shared.clock.now(), Write::Body { digest, bytes });
        }
    }

    /// The bytes of short parameters, which travel inside their requests.
    fn carried(&mut self, parameters: &ArtifactReference) -> Vec<u8> {
        if parameters.size > CARRIED_BYTES {
            return Vec::new();
        }
        match &self.model {
            Some((digest, bytes)) if *digest == parameters.digest => bytes.clone(),
            // Whoever cannot be given them fetches them.
            _ => {
                let bytes = bodies::read(&self.shared.artifacts, &parameters.digest);
                let bytes = bytes.unwrap_or_default();
                self.model = Some((parameters.digest, bytes.clone()));
                bytes
            }
        }
    }

    fn is_pause(&self, state: StateName) -> bool {
        self.shared.config.pause_at == Some(state)
    }

    fn perform(&mut self, id: ExperimentId, action: Action) {
        let Some(submission) = self.shared.board.get(id).map(|live| live.submission) else {
            return self.perform_last(action);
        };
        match action {
            Action::FindSites => {
                let candidates = self.shared.registry.candidates(&submission);
                self.queue.push_back((id, Event::SitesConnected { candidates }));
            }
            Action::AskApproval { site, dataset_id } => {
                let question = question(&submission, dataset_id);
                self.shared.registry.send(&site.node, ToNode::AskApproval(question));
            }
            Action::SendRequest(request) => {
                let time_left = self.shared.clock.now().until(request.deadline);
                let mut message: v1::TrainRequest = submission.request(&request, time_left).into();
                message.parameters_bytes = self.carried(&request.parameters);
                self.shared.registry.send(&request.site.node, ToNode::TrainRequest(message));
            }
            Action::Aggregate { ticket, round, inputs } => {
                work::aggregate(&mut self.work, &self.shared, &submission, (ticket, round, inputs));
            }
            Action::CancelExecution { .. }
            | Action::Checkpoint { .. }
            | Action::SetDeadline { .. }
            | Action::SettleReply { .. }
            | Action::Announce(_)
            | Action::Ignore(_) => self.perform_last(action),
        }
    }

    /// Performs what an experiment that has ended may still want.
    fn perform_last(&self, action: Action) {
        if let Action::CancelExecution { node, round_id } = action {
            self.cancel(&node, round_id);
        }
        // Deadlines are read off the machines, replies are settled where they are taken, and checkpoints are written
        // with the event that wants them.
    }

    fn cancel(&self, node: &NodeId, round_id: RoundId) {
        let message = v1::CancelRound { round_id: round_id.to_string() };
        self.shared.registry.send(node, ToNode::CancelRound(message));
    }

    /// Waits for an instant, or for ever.
    fn wait_until(&self, at: Option<Timestamp>) -> impl Future<Output = ()> + use<> {
        let waiting = at.map(|at| self.shared.clock.wait_until(at));
        async move {
            match waiting {
                Some(waiting) => waiting.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Reports every deadline that has passed.
    fn expire(&mut self) {
        let now = self.shared.clock.now();
        let passed = self.shared.board.passed_deadlines(now).into_iter();
        self.queue.extend(passed.map(|(id, ticket)| (id, Event::DeadlinePassed { ticket })));
    }
}

fn question(submission: &Submission, dataset_id: DatasetId) -> v1::AskApproval {
    v1::AskApproval {
        experiment_id: submission.experiment_id.to_string(),
        experiment_name: submission.name.clone(),
        researcher_id: submission.researcher_id.to_string(),
        dataset_id: dataset_id.to_string(),
        plan: Some(submission.plan.clone().into()),
        runtime: submission.runtime.as_str().to_owned(),
        message: String::new(),
    }
}

/// The most messages that one commit takes together.
const BATCH: usize = 64;

/// What this program calls itself.
pub(crate) const SOFTWARE: &str = concat!("wardround/", env!("CARGO_PKG_VERSION"));
