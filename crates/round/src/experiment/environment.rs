//! A modelled world around an experiment: nodes, lines that lose and repeat, timers, work, a journal and crashes.
//!
//! It checks, at every step, what must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use protocol::{ArtifactReference, Code, DatasetId, Digest, Mode, NodeId, RoundId, Timestamp};
use uuid::Uuid;

use super::{
    Action, AggregationFault, Announcement, Candidate, Event, Experiment, FinalValidation, Ignored,
    Reply, Request, Site, Specification, Start, StateName, Ticket,
};

pub(super) fn site(node: &str) -> Site {
    Site { node: node.parse().unwrap(), dataset: "records".parse().unwrap() }
}

pub(super) fn artifact(name: &str) -> ArtifactReference {
    ArtifactReference::new(Digest::of(name.as_bytes()), 100)
}

pub(super) fn specification() -> Specification {
    Specification {
        experiment_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
        parameters: artifact("model 0"),
        rounds: NonZeroU32::new(2).unwrap(),
        min_nodes: NonZeroU32::new(2).unwrap(),
        start: Start::All,
        selection_deadline: Duration::from_secs(60),
        approval_deadline: None,
        round_deadline: Duration::from_secs(60),
        round_retries: 2,
        retry_delay: Duration::from_secs(1),
        final_validation: FinalValidation::Skip,
    }
}

/// What a modelled node knows; all of it survives the node's death.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) connected: bool,
    /// What the owner says: `ok`, `plan.not_approved` or `plan.rejected`.
    pub(super) approves: Option<Code>,
    /// The code that its rounds end with.
    pub(super) ends_with: Option<Code>,
    /// Requests that were accepted, with their reply once they are done.
    accepted: BTreeMap<RoundId, (Request, Option<Reply>)>,
    acknowledged: BTreeSet<RoundId>,
}

/// Work that the driver has been given and not reported.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Aggregate(Ticket, ArtifactReference),
    Checkpoint(Ticket),
}

#[derive(Debug)]
pub(super) struct Environment {
    specification: Specification,
    submitted: Timestamp,
    pub(super) experiment: Experiment,
    pub(super) now: Timestamp,
    journal: Vec<(Event, Timestamp)>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// Events on their way to the coordinator.
    pub(super) inbox: Vec<Event>,
    pub(super) timers: Vec<(Ticket, Timestamp)>,
    pub(super) work: Vec<Work>,
    /// What the last event led to.
    pub(super) actions: Vec<Action>,
    pub(super) announced: Vec<Announcement>,
    /// The executions of the attempt that is being collected, without those that have ended.
    open: BTreeMap<RoundId, Site>,
    succeeded: BTreeSet<RoundId>,
    checkpoints: BTreeSet<u32>,
    collecting_until: Option<(Ticket, Timestamp)>,
}

impl Environment {
    pub(super) fn new(specification: Specification, names: &[&str]) -> Self {
        let submitted = Timestamp::from_milliseconds(1_750_000_000_000);
        let (experiment, actions) = Experiment::submit(specification.clone(), submitted);
        let node = |name: &&str| {
            let node = Node { connected: true, approves: Some(Code::Ok), ..Node::default() };
            (name.parse().unwrap(), node)
        };
        let mut environment = Self {
            specification,
            submitted,
            experiment,
            now: submitted,
            journal: Vec::new(),
            nodes: names.iter().map(node).collect(),
            inbox: Vec::new(),
            timers: Vec::new(),
            work: Vec::new(),
            actions: Vec::new(),
            announced: Vec::new(),
            open: BTreeMap::new(),
            succeeded: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
            collecting_until: None,
        };
        environment.perform(actions);
        environment
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(&name.parse::<NodeId>().unwrap()).unwrap()
    }

    pub(super) fn state(&self) -> StateName {
        self.experiment.state()
    }

    /// Commits an event and performs what follows.
    pub(super) fn handle(&mut self, event: Event) {
        let actions = self.commit(event);
        self.perform(actions);
    }

    /// Commits an event, then dies before anything is performed; starts again from the journal.
    pub(super) fn handle_and_crash(&mut self, event: Event) {
        self.commit(event);
        self.crash();
    }

    /// Dies and starts again: everything but journal and nodes is lost.
    pub(super) fn crash(&mut self) {
        self.inbox.clear();
        self.timers.clear();
        self.work.clear();
        self.experiment = self.replay();
        for node in self.nodes.values_mut() {
            node.connected = false;
        }
        self.handle(Event::Restarted);
        for name in self.nodes.keys().cloned().collect::<Vec<_>>() {
            self.reconnect(&name);
        }
    }

    pub(super) fn reconnect(&mut self, name: &NodeId) {
        let node = self.nodes.get_mut(name).unwrap();
        node.connected = true;
        let open: Vec<RoundId> = node.accepted.keys().copied().collect();
        for round_id in open {
            if !self.experiment.wants(round_id) {
                self.cancel(name, round_id);
            } else {
                self.offer(name, round_id);
            }
        }
        let actions = self.experiment.greet(name);
        self.perform(actions);
    }

    /// A connected node runs one of its open requests to its end and sends the reply.
    pub(super) fn run(&mut self, name: &NodeId, round_id: RoundId) {
        let node = self.nodes.get_mut(name).unwrap();
        let Some((request, reply @ None)) = node.accepted.get_mut(&round_id) else { return };
        let code = node.ends_with.unwrap_or(Code::Ok);
        let trained = code.is_ok() && request.mode == Mode::Train;
        let update = trained.then(|| artifact(&format!("{name} of round {}", request.round)));
        *reply = Some(Reply { code, update, sample_count: 10, detail: None });
        self.offer(name, round_id);
    }

    /// Runs every open request of every connected node.
    pub(super) fn run_all(&mut self) {
        for (name, round_id) in self.runnable() {
            self.run(&name, round_id);
        }
    }

    pub(super) fn runnable(&self) -> Vec<(NodeId, RoundId)> {
        let mut runnable = Vec::new();
        for (name, node) in self.nodes.iter().filter(|(_, node)| node.connected) {
            let open = node.accepted.iter().filter(|(_, (_, reply))| reply.is_none());
            runnable.extend(open.map(|(round_id, _)| (name.clone(), *round_id)));
        }
        runnable
    }

    /// Delivers everything that is on its way, in order.
    pub(super) fn deliver_all(&mut self) {
        while !self.inbox.is_empty() {
            let event = self.inbox.remove(0);
            self.handle(event);
        }
    }

    /// Reports all work as done.
    pub(super) fn work_all(&mut self) {
        for work in std::mem::take(&mut self.work) {
            self.handle(work.done());
        }
    }

    /// Lets time pass until the earliest timer and reports it.
    pub(super) fn wait(&mut self) -> bool {
        let earliest = (0..self.timers.len()).min_by_key(|index| self.timers[*index].1);
        let Some(index) = earliest else { return false };
        let (ticket, at) = self.timers.remove(index);
        self.now = self.now.max(at);
        self.handle(Event::DeadlinePassed { ticket });
        true
    }

    /// Lets everything happen that can happen without a person, losing nothing, until nothing is left to happen.
    pub(super) fn settle(&mut self) {
        let mut asked = 0;
        for _ in 0..STEPS {
            // A site that cannot look at the plan is asked again for ever: that is rest, too.
            if self.state().is_end() || self.state() == StateName::Paused || asked > 100 {
                return;
            }
            if !self.inbox.is_empty() {
                self.deliver_all();
            } else if !self.work.is_empty() {
                self.work_all();
            } else if !self.runnable().is_empty() {
                self.run_all();
            } else {
                asked += usize::from(self.state() == StateName::AwaitingApproval);
                if !self.wait() {
                    return;
                }
            }
        }
        panic!("the experiment does not come to rest: {:?}", self.experiment);
    }

    /// The open requests of one node, by their round.
    pub(super) fn requests(&self, name: &str) -> Vec<Request> {
        let node = &self.nodes[&name.parse::<NodeId>().unwrap()];
        node.accepted.values().map(|(request, _)| request.clone()).collect()
    }

    /// The owner decides, and the node tells the coordinator.
    pub(super) fn decide(&mut self, name: &str, code: Code) {
        let node = self.node(name);
        node.approves = Some(code);
        let event = Event::PlanDecided { node: name.parse().unwrap(), code };
        self.inbox.push(event);
    }

    fn commit(&mut self, event: Event) -> Vec<Action> {
        let before = self.experiment.clone();
        self.note(&event);
        self.journal.push((event.clone(), self.now));
        let (experiment, actions) = self.experiment.clone().handle(event.clone(), self.now);
        if actions.iter().any(|action| matches!(action, Action::Ignore(_))) {
            assert_eq!(actions.len(), 1, "whoever ignores does nothing else");
            assert_eq!(experiment, before, "an ignored event changes nothing");
        }
        self.experiment = experiment;
        self.check(&event, &actions);
        for (ticket, at) in self.experiment.deadlines() {
            let set = Action::SetDeadline { ticket, at };
            assert!(actions.contains(&set) || self.timers.contains(&(ticket, at)), "nobody waits");
        }
        self.announced.extend(actions.iter().filter_map(|action| match action {
            Action::Announce(announcement) => Some(announcement.clone()),
            _ => None,
        }));
        self.actions.clone_from(&actions);
        actions
    }

    /// Follows, independently of the machine, what is open.
    fn note(&mut self, event: &Event) {
        if let Event::ReplyReceived { round_id, reply } = event
            && self.open.remove(round_id).is_some()
            && reply.code.is_ok()
        {
            self.succeeded.insert(*round_id);
        }
    }

    fn check(&mut self, event: &Event, actions: &[Action]) {
        for action in actions {
            match action {
                Action::SetDeadline { ticket, at }
                    if self.state() == StateName::AwaitingReplies =>
                {
                    self.collecting_until = Some((*ticket, *at));
                }
                Action::SendRequest(request) if !self.succeeded.contains(&request.round_id) => {
                    self.open.insert(request.round_id, request.site.clone());
                }
                Action::CancelExecution { round_id, .. } => {
                    let passed = self.collecting_until.is_some_and(|(_, at)| self.now >= at);
                    let asked = matches!(
                        event,
                        Event::CancelRequested
                            | Event::StorageFilled
                            | Event::ResearcherRevoked { .. }
                            | Event::Restarted
                    );
                    assert!(passed || asked, "nothing is cancelled before its time: {event:?}");
                    self.open.remove(round_id);
                }
                Action::Aggregate { inputs, .. } => {
                    assert!(self.open.is_empty(), "some sites are still at work: {:?}", self.open);
                    let nodes: BTreeSet<_> = inputs.iter().map(|input| &input.site.node).collect();
                    let needed = self.specification.min_nodes.get() as usize;
                    assert!(nodes.len() >= needed, "too few nodes: {inputs:?}");
                    assert!(inputs.iter().all(|input| self.succeeded.contains(&input.round_id)));
                    assert!(inputs.is_sorted_by_key(|input| input.site.clone()));
                }
                Action::Checkpoint { round, .. } => {
                    let complete = (1..*round).all(|one| self.checkpoints.contains(&one));
                    assert!(complete, "a round was skipped before round {round}");
                    self.checkpoints.insert(*round);
                }
                Action::Announce(Announcement::Completed { .. }) => self.check_completion(),
                _ => {}
            }
        }
    }

    fn check_completion(&self) {
        let rounds = self.specification.rounds.get();
        let validation = u32::from(self.specification.final_validation == FinalValidation::Run);
        let expected: BTreeSet<u32> = (1..=rounds + validation).collect();
        assert_eq!(self.checkpoints, expected, "completed early");
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::FindSites => self.report_sites(),
                Action::AskApproval { site, .. } => {
                    let node = &self.nodes[&site.node];
                    if let (true, Some(code)) = (node.connected, node.approves) {
                        self.inbox.push(Event::PlanAnswered { site, code });
                    }
                }
                Action::SendRequest(request) => self.send(request),
                Action::CancelExecution { node, round_id } => {
                    if self.nodes[&node].connected {
                        self.cancel(&node, round_id);
                    }
                }
                Action::SetDeadline { ticket, at } => self.timers.push((ticket, at)),
                Action::SettleReply { round_id, .. } => {
                    for node in self.nodes.values_mut() {
                        node.acknowledged.insert(round_id);
                    }
                }
                Action::Aggregate { ticket, round, .. } => {
                    self.work.push(Work::Aggregate(ticket, artifact(&format!("model {round}"))));
                }
                Action::Checkpoint { ticket, .. } => self.work.push(Work::Checkpoint(ticket)),
                Action::Announce(_) | Action::Ignore(_) => {}
            }
        }
    }

    fn report_sites(&mut self) {
        let connected = self.nodes.iter().filter(|(_, node)| node.connected);
        let candidates = connected.map(|(name, _)| Candidate {
            site: site(name.as_str()),
            dataset_id: DatasetId::from_uuid(Uuid::from_u128(7)),
        });
        let candidates = candidates.collect();
        self.inbox.push(Event::SitesConnected { candidates });
    }

    fn send(&mut self, request: Request) {
        let node = self.nodes.get_mut(&request.site.node).unwrap();
        if node.connected && !node.acknowledged.contains(&request.round_id) {
            node.accepted.entry(request.round_id).or_insert((request, None));
        }
    }

    /// A node sends a reply that it has, if its line is up.
    fn offer(&mut self, name: &NodeId, round_id: RoundId) {
        let node = &self.nodes[name];
        let Some((_, Some(reply))) = node.accepted.get(&round_id) else { return };
        if node.connected {
            self.inbox.push(Event::ReplyReceived { round_id, reply: reply.clone() });
        }
    }

    /// A node ends an execution that is not wanted, with its one reply.
    fn cancel(&mut self, name: &NodeId, round_id: RoundId) {
        let node = self.nodes.get_mut(name).unwrap();
        if let Some((_, reply @ None)) = node.accepted.get_mut(&round_id) {
            *reply =
                Some(Reply { code: Code::Cancelled, update: None, sample_count: 0, detail: None });
        }
        self.offer(name, round_id);
    }

    /// The state that the journal leads to.
    pub(super) fn replay(&self) -> Experiment {
        let (mut experiment, _) = Experiment::submit(self.specification.clone(), self.submitted);
        for (number, (event, at)) in self.journal.iter().enumerate() {
            let event = through_json(event);
            experiment = experiment.handle(event, *at).0;
            if number % 3 == 0 {
                experiment = through_json(&experiment);
            }
        }
        assert_eq!(experiment, self.experiment, "a replay leads elsewhere");
        experiment
    }
}

impl Work {
    pub(super) fn done(&self) -> Event {
        match self {
            Self::Aggregate(ticket, model) => {
                Event::Aggregated { ticket: *ticket, model: model.clone() }
            }
            Self::Checkpoint(ticket) => Event::Checkpointed { ticket: *ticket },
        }
    }

    pub(super) fn failed(&self, code: Code) -> Event {
        match self {
            Self::Aggregate(ticket, _) => {
                Event::AggregationFailed { ticket: *ticket, fault: AggregationFault::Round(code) }
            }
            Self::Checkpoint(ticket) => Event::CheckpointFailed { ticket: *ticket, code },
        }
    }
}

pub(super) fn ignored(actions: &[Action]) -> Option<Ignored> {
    actions.iter().find_map(|action| match action {
        Action::Ignore(reason) => Some(*reason),
        _ => None,
    })
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// More than any course of the tests takes.
const STEPS: usize = 10_000;
