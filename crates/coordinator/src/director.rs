//! Drives every experiment: takes what happens, commits it, then performs what follows.
//!
//! One task changes experiments, so that nothing about their order needs a lock. Whatever waits in the mailbox is
//! taken together and committed once; no action is performed before its event is on the disk. When the commit itself
//! fails the coordinator stops: what is in memory is then ahead of the journal, and a restart puts that right.

mod restart;
mod unreadable;
mod work;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use protocol::wire::v1;
use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::{Code, DatasetId, Digest, ExperimentId, NodeId, RoundId, Timestamp, TrainReply};
use round::Experiment;
use round::experiment::{Action, Event, Reply, StateName, Verdict};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::board::{Live, Stage};
use crate::message::{Arrival, Command, Message, Progress, Unreadable};
use crate::record::{Error, News, Place, Write, find_execution, write_all};
use crate::registry::Attendance;
use crate::shared::Shared;
use crate::submission::Submission;

use unreadable::find_reply;

pub(crate) use work::Checkpoint;

/// The one task that changes experiments.
#[derive(Debug)]
pub(crate) struct Director {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Message>,
    /// Events that follow from performed actions.
    queue: VecDeque<(ExperimentId, Event)>,
    /// Aggregations and checkpoints.
    work: JoinSet<(ExperimentId, Event)>,
    pending: Pending,
    paused: watch::Sender<bool>,
}

/// What waits for the next commit, and what follows it.
#[derive(Debug, Default)]
struct Pending {
    writes: Vec<(Timestamp, Write)>,
    after: Vec<After>,
    replies: BTreeSet<RoundId>,
    changed: BTreeSet<ExperimentId>,
    /// Whether an experiment has entered the state to pause at.
    pauses: bool,
}

/// What is done once the commit is on the disk.
#[derive(Debug)]
enum After {
    Perform(ExperimentId, Action),
    Acknowledge { node: NodeId, round_id: RoundId, late: bool },
    Discard(Digest),
    Welcome { node: NodeId, open_rounds: Vec<RoundId> },
    FindSites,
    Answer(oneshot::Sender<Result<(), Code>>),
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
            work: JoinSet::new(),
            pending: Pending::default(),
            paused,
        };
        for live in restart::load(&director.shared.database).await? {
            director.queue.push_back((live.experiment.id(), Event::Restarted));
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
            let timer = self.wait_until(self.next_deadline());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = self.work.join_next() => self.take_outcome(done),
                taken = self.inbox.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    for message in batch.drain(..) {
                        self.take(message).await?;
                    }
                }
                () = timer => self.expire(),
            }
        }
        while self.work.join_next().await.is_some() {}
        Ok(())
    }

    /// Handles what is queued, commits, performs, and again until nothing is left.
    async fn settle(&mut self) -> Result<(), Error> {
        loop {
            while let Some((id, event)) = self.queue.pop_front() {
                self.advance(id, event);
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            self.commit().await?;
            if self.pending.pauses {
                return Ok(());
            }
        }
    }

    async fn commit(&mut self) -> Result<(), Error> {
        let Pending { writes, after, changed, pauses, replies: _ } =
            std::mem::take(&mut self.pending);
        self.shared
            .database
            .write(move |transaction| {
                writes.into_iter().try_for_each(|(at, write)| {
                    write_all(transaction, std::slice::from_ref(&write), at)
                })
            })
            .await?;
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
        Ok(())
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
            Message::PlanAnswered { node, experiment_id, dataset_id, plan, code } => {
                self.plan_answered(&node, experiment_id, dataset_id, (plan, code));
            }
            Message::PlanDecided { node, plan, code } => self.plan_decided(&node, plan, code),
            Message::Progress { node, round_id, progress } => {
                self.progress(&node, round_id, progress);
            }
            Message::Reply { node, reply } => self.reply(node, reply).await?,
            Message::Unreadable { node, reply } => self.unreadable(node, reply).await?,
            Message::Submit { submission, answer } => self.submit(*submission, answer),
            Message::Command { experiment_id, command, answer } => {
                self.command(experiment_id, command, answer);
            }
            Message::StorageFilled => {
                for live in self.shared.board.all() {
                    self.queue.push_back((live.experiment.id(), Event::StorageFilled));
                }
            }
        }
        Ok(())
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
                | Action::Checkpoint { .. }
                | Action::Ignore(_) => {}
            }
            self.pending.after.push(After::Perform(id, action.clone()));
        }
        self.write(now, Write::State(Box::new(experiment.clone())));
        self.pending.changed.insert(id);
    }

    fn is_pause(&self, state: StateName) -> bool {
        self.shared.config.pause_at == Some(state)
    }

    fn write(&mut self, at: Timestamp, write: Write) {
        self.pending.writes.push((at, write));
    }

    fn follow(&mut self, step: After) {
        match step {
            After::Perform(id, action) => self.perform(id, action),
            After::Acknowledge { node, round_id, late } => self.acknowledge(&node, round_id, late),
            After::Discard(digest) => work::discard(&mut self.work, &self.shared, digest),
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
                let message = submission.request(&request, time_left).into();
                self.shared.registry.send(&request.site.node, ToNode::TrainRequest(message));
            }
            Action::Aggregate { ticket, round, inputs } => {
                work::aggregate(&mut self.work, &self.shared, &submission, (ticket, round, inputs));
            }
            Action::Checkpoint { ticket, round, model, used } => {
                let checkpoint = work::Checkpoint { ticket, round, model, used };
                work::checkpoint(&mut self.work, &self.shared, &submission, checkpoint);
            }
            Action::CancelExecution { .. }
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
        // Deadlines are read off the machines; replies are settled where they are taken.
    }

    fn cancel(&self, node: &NodeId, round_id: RoundId) {
        let message = v1::CancelRound { round_id: round_id.to_string() };
        self.shared.registry.send(node, ToNode::CancelRound(message));
    }

    fn acknowledge(&self, node: &NodeId, round_id: RoundId, late: bool) {
        let code = if late { Code::RoundClosed } else { Code::Ok };
        let message = v1::ReplyReceived { round_id: round_id.to_string(), code: code.to_string() };
        self.shared.registry.send(node, ToNode::ReplyReceived(message));
    }

    fn welcome(&mut self, arrival: Arrival) {
        let Arrival {
            node,
            connection,
            software,
            paused,
            datasets,
            open_rounds,
            line,
            cut,
            answer,
        } = arrival;
        let attendance = Attendance {
            connection,
            line,
            cut,
            software: software.clone(),
            paused,
            datasets: datasets.clone(),
        };
        if self.shared.registry.enter(node.clone(), attendance).is_err() {
            let _gone = answer.send(Err(Code::NodeNameTaken));
            return;
        }
        tracing::info!(%node, datasets = datasets.len(), "node connected");
        let now = self.shared.clock.now();
        self.write(now, Write::Node { node: node.clone(), software, paused, datasets });
        self.pending.after.push(After::Answer(answer));
        self.pending.after.push(After::Welcome { node, open_rounds });
    }

    /// Tells a node which of its open rounds are wanted, then what is open for it.
    fn greet(&mut self, node: &NodeId, open_rounds: &[RoundId]) {
        let (wanted, closed): (Vec<RoundId>, Vec<RoundId>) =
            open_rounds.iter().copied().partition(|id| self.shared.board.wants(*id));
        let texts = |ids: &[RoundId]| ids.iter().map(RoundId::to_string).collect();
        let welcome = v1::Welcome {
            wire_version: protocol::WIRE_VERSION,
            software: SOFTWARE.to_owned(),
            wanted_rounds: texts(&wanted),
            closed_rounds: texts(&closed),
        };
        self.shared.registry.send(node, ToNode::Welcome(welcome));
        for live in self.shared.board.all() {
            for action in live.experiment.greet(node) {
                self.perform(live.experiment.id(), action);
            }
        }
    }

    fn note(&mut self, node: NodeId, change: impl FnOnce(&mut Attendance)) {
        let Some((software, paused, datasets)) = self.shared.registry.change(&node, change) else {
            return;
        };
        let now = self.shared.clock.now();
        self.write(now, Write::Node { node, software, paused, datasets });
        self.pending.after.push(After::FindSites);
    }

    fn plan_answered(
        &mut self,
        node: &NodeId,
        id: ExperimentId,
        dataset_id: DatasetId,
        (plan, code): (Digest, Code),
    ) {
        let Some(live) = self.shared.board.get(id) else { return };
        let mut participants = live.experiment.participants().iter();
        let asked = participants
            .find(|(site, participant)| site.node == *node && participant.dataset_id == dataset_id);
        if let (Some((site, _)), true) = (asked, live.submission.plan.digest == plan) {
            self.queue.push_back((id, Event::PlanAnswered { site: site.clone(), code }));
        }
    }

    fn plan_decided(&mut self, node: &NodeId, plan: Digest, code: Code) {
        for live in self.shared.board.all() {
            if live.submission.plan.digest == plan {
                let event = Event::PlanDecided { node: node.clone(), code };
                self.queue.push_back((live.experiment.id(), event));
            }
        }
    }

    fn progress(&mut self, node: &NodeId, round_id: RoundId, progress: Progress) {
        let Some((id, site, round)) = self.shared.board.open_execution(round_id) else { return };
        if site.node != *node {
            return;
        }
        let (stage, name) = match progress {
            Progress::Accepted { .. } => (Stage::Queued, "queued"),
            Progress::Started => (Stage::Running, "started"),
            Progress::Held => (Stage::Held, "held"),
            Progress::Released => (Stage::Running, "released"),
        };
        self.shared.board.set_stage(id, round_id, stage);
        let mut fields = json!({ "site": site, "round": round });
        if let Progress::Accepted { queued_before } = progress {
            fields["queued_before"] = queued_before.into();
        }
        let news = News::new(name, fields);
        self.write(self.shared.clock.now(), Write::News { experiment_id: id, news });
        self.pending.changed.insert(id);
    }

    async fn reply(&mut self, node: NodeId, reply: Box<TrainReply>) -> Result<(), Error> {
        let round_id = reply.round_id;
        if self.pending.replies.contains(&round_id) {
            // The same reply twice in one batch: the second is a duplicate once the first is on the disk.
            self.settle().await?;
        }
        let read =
            move |transaction: &store::Transaction<'_>| find_execution(transaction, round_id);
        let place = self.shared.database.read(read).await?;
        let Some(place) = place.filter(|place| place.agrees(&node, &reply)) else {
            tracing::warn!(%node, %round_id, "reply to a request that was never made");
            self.acknowledge(&node, round_id, true);
            return Ok(());
        };
        if let Some(late) = place.replied {
            self.acknowledge(&node, round_id, late);
            return Ok(());
        }
        self.take_reply(node, place, reply);
        Ok(())
    }

    /// Ends an execution whose reply cannot be read as a failure of its node.
    async fn unreadable(&mut self, node: NodeId, reply: Unreadable) -> Result<(), Error> {
        let found = find_reply(node.clone(), reply);
        match self.shared.database.read(found).await? {
            Some(reply) => self.reply(node, Box::new(reply)).await,
            None => {
                self.acknowledge(&node, reply.round_id, true);
                Ok(())
            }
        }
    }

    fn take_reply(&mut self, node: NodeId, place: Place, reply: Box<TrainReply>) {
        let round_id = reply.round_id;
        // What happened before this reply is decided before it.
        while let Some((id, event)) = self.queue.pop_front() {
            self.advance(id, event);
        }
        let summary = Reply {
            code: reply.code,
            update: reply.update.clone(),
            sample_count: reply.sample_count,
        };
        let event = Event::ReplyReceived { round_id, reply: summary };
        let actions = self.advance(place.experiment_id, event);
        let collected = Action::SettleReply { round_id, verdict: Verdict::Collected };
        let late = !actions.contains(&collected);
        if let (true, Some(update)) = (late, &reply.update) {
            self.pending.after.push(After::Discard(update.digest));
        }
        let loss = self.shared.losses.take(round_id);
        let now = self.shared.clock.now();
        self.write(now, Write::Reply { site: place.site, reply, late, loss });
        self.pending.replies.insert(round_id);
        self.pending.after.push(After::Acknowledge { node, round_id, late });
    }

    fn submit(&mut self, submission: Submission, answer: oneshot::Sender<Result<(), Code>>) {
        let id = submission.experiment_id;
        if let Some(live) = self.shared.board.get(id) {
            let same = *live.submission == submission;
            let _gone = answer.send(if same { Ok(()) } else { Err(Code::ExperimentInvalid) });
            return;
        }
        if self.shared.board.count() >= self.shared.config.open_experiments {
            let _gone = answer.send(Err(Code::CoordinatorBusy));
            return;
        }
        let now = self.shared.clock.now();
        let (experiment, actions) = Experiment::submit(submission.specification.clone(), now);
        let news = News::new(
            "submitted",
            json!({
                "name": submission.name,
                "researcher": submission.researcher_id,
                "rounds": submission.specification.rounds,
                "seed": submission.seed,
                "plan": submission.plan.digest,
            }),
        );
        self.write(now, Write::Submission(Box::new(submission.clone())));
        self.write(now, Write::News { experiment_id: id, news });
        self.prepare(&experiment, &actions, now);
        self.pending.pauses |= self.is_pause(experiment.state());
        self.pending.after.push(After::Answer(answer));
        let submission = Arc::new(submission);
        self.shared.board.put(Live { submission, experiment, stages: Default::default() });
    }

    fn command(
        &mut self,
        id: ExperimentId,
        command: Command,
        answer: oneshot::Sender<Result<(), Code>>,
    ) {
        let event = match command {
            Command::Cancel => Event::CancelRequested,
            Command::Resume => Event::ResumeRequested,
        };
        let actions = self.advance(id, event);
        if matches!(actions.as_slice(), [] | [Action::Ignore(_)]) {
            let _gone = answer.send(Err(Code::ExperimentState));
        } else {
            self.pending.after.push(After::Answer(answer));
        }
    }

    fn take_outcome(&mut self, done: Result<(ExperimentId, Event), tokio::task::JoinError>) {
        match done {
            Ok(outcome) => self.queue.push_back(outcome),
            Err(error) => tracing::error!(%error, "a piece of work ended without an outcome"),
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let experiments = self.shared.board.all();
        let deadlines = experiments.iter().flat_map(|live| live.experiment.deadlines());
        deadlines.map(|(_, at)| at).min()
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
        for live in self.shared.board.all() {
            for (ticket, at) in live.experiment.deadlines() {
                if at <= now {
                    self.queue.push_back((live.experiment.id(), Event::DeadlinePassed { ticket }));
                }
            }
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.after.is_empty()
    }
}

impl Place {
    /// Whether a reply is from where the request went to.
    fn agrees(&self, node: &NodeId, reply: &TrainReply) -> bool {
        self.site.node == *node
            && reply.node_id == *node
            && reply.experiment_id == self.experiment_id
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
    }
}

/// The most messages that one commit takes together.
const BATCH: usize = 64;

/// What this program calls itself.
pub(crate) const SOFTWARE: &str = concat!("wardround/", env!("CARGO_PKG_VERSION"));
