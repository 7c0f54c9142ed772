//! A modelled node, disk, owner and coordinator, for tests: whatever can go wrong around a round goes wrong here.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::{
    ArtifactReference, Code, Digest, Mode, Phase, Timestamp, Timing, TrainReply, TrainRequest,
};
use serde_json::json;

use crate::round::{
    Action, Event, Export, Outcome, Round, Ticket, Validation, Verdict, failure_codes, limit_codes,
};

/// One thing that the world does.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// Delivers one of the waiting events, in any order.
    Deliver(usize),
    /// Delivers one of the waiting events and keeps it, to be delivered again.
    Repeat(usize),
    /// The process dies between two events and starts again.
    Crash,
    /// Delivers an event; the process dies after the commit, before any action.
    CrashAfterCommit(usize),
    /// Time goes by.
    Wait(u64),
    /// Somebody cancels.
    Cancel,
    /// The line to the coordinator breaks.
    Disconnect,
    /// The line stands again.
    Reconnect,
    /// The coordinator asks once more.
    AskAgain,
    /// The exported file disappears.
    LoseFile,
    /// The coordinator ends its round.
    CloseRound,
}

/// The world around one round.
pub(super) struct Environment {
    pub(super) request: TrainRequest,
    pub(super) now: Timestamp,
    pub(super) journal: Vec<(Event, Timestamp)>,
    pub(super) round: Round,
    pub(super) actions: Vec<Action>,
    pub(super) sent: Vec<TrainReply>,
    waiting: Vec<Event>,
    armed: Option<Timestamp>,
    running: Option<Ticket>,
    file: bool,
    update_held: bool,
    connected: bool,
    closed: bool,
    cleaned: bool,
    fates: VecDeque<u8>,
}

impl Environment {
    /// Accepts a request; each fate decides one answer, and when none is left everything goes well.
    pub(super) fn accept(mode: Mode, fates: impl IntoIterator<Item = u8>) -> Self {
        let request = request(mode);
        let now = Timestamp::from_milliseconds(1_000_000);
        let (round, actions) = Round::start(&request, now);
        let mut environment = Self {
            journal: vec![(Event::Accepted { request: Box::new(request.clone()) }, now)],
            request,
            now,
            round,
            actions: Vec::new(),
            sent: Vec::new(),
            waiting: Vec::new(),
            armed: None,
            running: None,
            file: false,
            update_held: false,
            connected: true,
            closed: false,
            cleaned: false,
            fates: fates.into_iter().collect(),
        };
        environment.perform(actions);
        environment
    }

    /// Makes one move.
    pub(super) fn make(&mut self, step: Move) {
        match step {
            Move::Deliver(index) => {
                if let Some(event) = self.pick(index) {
                    self.tell(event);
                }
            }
            Move::Repeat(index) => {
                if !self.waiting.is_empty() {
                    let event = self.waiting[index % self.waiting.len()].clone();
                    self.tell(event);
                }
            }
            Move::Crash => self.restart(),
            Move::CrashAfterCommit(index) => {
                if let Some(event) = self.pick(index) {
                    self.commit(&event);
                    self.restart();
                }
            }
            Move::Wait(milliseconds) => self.wait(milliseconds),
            Move::Cancel => self.tell(Event::CancelRequested),
            Move::Disconnect => self.connected = false,
            Move::Reconnect => self.reconnect(),
            Move::AskAgain => self.tell(Event::RequestedAgain),
            Move::LoseFile => self.file = false,
            Move::CloseRound => self.closed = true,
        }
    }

    /// Lets everything go well until the reply is delivered.
    ///
    /// # Panics
    ///
    /// Where that takes more steps than a round can need.
    pub(super) fn settle(&mut self) {
        self.fates.clear();
        for _ in 0..200 {
            if self.round.is_delivered() {
                return;
            }
            if self.waiting.is_empty() {
                self.reconnect();
            } else {
                let event = self.waiting.remove(0);
                self.tell(event);
            }
        }
        panic!("the round never ends: {:?}, waiting {:?}", self.round, self.waiting);
    }

    /// Tells the round an event as its driver does: commit, handle, perform.
    pub(super) fn tell(&mut self, event: Event) {
        self.commit(&event);
        if let Event::Answered { ticket, .. } = &event
            && self.running == Some(*ticket)
        {
            self.running = None;
        }
        let (round, actions) = self.round.clone().handle(event, self.now);
        self.round = round;
        self.perform(actions);
    }

    /// Kills the process and starts it again on the same journal.
    pub(super) fn restart(&mut self) {
        self.waiting.clear();
        self.armed = None;
        self.running = None;
        self.cleaned = false;
        let (round, actions) =
            Round::restore(self.journal.clone(), self.now).expect("the journal starts well");
        self.round = round;
        self.perform(actions);
    }

    /// The replies in the journal.
    pub(super) fn replies(&self) -> Vec<&TrainReply> {
        let replies = self.journal.iter().filter_map(|(event, _)| match event {
            Event::Replied { reply } => Some(&**reply),
            _ => None,
        });
        replies.collect()
    }

    /// The code of the one reply.
    pub(super) fn code(&self) -> Code {
        let replies = self.replies();
        assert_eq!(replies.len(), 1, "exactly one reply record: {:?}", self.journal);
        replies[0].code
    }

    /// How often a phase was asked for.
    pub(super) fn count(&self, wanted: Phase) -> usize {
        let is =
            |action: &&Action| matches!(action, Action::Perform { phase, .. } if *phase == wanted);
        self.actions.iter().filter(is).count()
    }

    fn commit(&mut self, event: &Event) {
        if self.round.records(event) {
            if let Event::AttemptStarted { .. } = event {
                // The slot's answer was judged before the deadline, if only just.
                assert!(self.journal.len() < 20, "attempts are bounded");
            }
            self.journal.push((event.clone(), self.now));
        }
    }

    fn pick(&mut self, index: usize) -> Option<Event> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(index % self.waiting.len()))
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(Duration::from_millis(milliseconds));
        if self.armed.is_some_and(|at| self.now >= at) {
            self.armed = None;
            self.waiting.push(Event::DeadlinePassed);
        }
    }

    fn reconnect(&mut self) {
        self.connected = true;
        self.tell(Event::Connected);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.actions.push(action.clone());
            self.perform_one(action);
        }
    }

    fn perform_one(&mut self, action: Action) {
        match action {
            Action::Perform { ticket, phase } => {
                assert_eq!(self.running, None, "one step at a time");
                self.running = Some(ticket);
                let outcome = self.outcome(ticket, phase);
                self.answer(ticket, outcome);
            }
            Action::AwaitSlot { ticket } => self.answer(ticket, Outcome::SlotGranted),
            Action::RecordAttempt { attempt } => {
                self.waiting.push(Event::AttemptStarted { attempt });
            }
            Action::VerifyExport { ticket, update } => {
                assert_eq!(update, update_reference());
                let outcome = if self.file { Outcome::ExportIntact } else { Outcome::ExportLost };
                self.answer(ticket, outcome);
            }
            Action::AwaitRelease { ticket } => {
                let outcome = match self.fate() {
                    0 => Outcome::Failed { failure: Code::EgressDenied.into() },
                    _ => Outcome::Released { warnings: Vec::new() },
                };
                self.answer(ticket, outcome);
            }
            Action::AwaitCoordinator { ticket } => {
                self.connected = true;
                self.answer(ticket, Outcome::CoordinatorReachable);
            }
            Action::Stop { ticket } => {
                self.running = None;
                self.answer(ticket, Outcome::Stopped);
            }
            Action::ArmDeadline { at } => {
                self.armed = Some(at);
                self.wait(0);
            }
            Action::DisarmDeadline => self.armed = None,
            Action::RecordReply { verdict } => self.record_reply(verdict),
            Action::SendReply => self.send_reply(),
            Action::Clean => self.cleaned = true,
            Action::DiscardUpdate => self.file = false,
            Action::Note { .. } => {}
        }
    }

    fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        self.waiting.push(Event::Answered { ticket, outcome });
    }

    fn record_reply(&mut self, verdict: Verdict) {
        assert_eq!(self.running, None, "nothing runs when the round replies {:?}", verdict.code);
        if verdict.code.is_ok() && self.request.mode == Mode::Train {
            assert!(self.update_held, "success means that the coordinator holds the update");
            assert_eq!(verdict.update, Some(update_reference()));
        } else {
            assert_eq!(verdict.update, None);
        }
        let reply = Box::new(self.reply(&verdict));
        self.waiting.push(Event::Replied { reply });
    }

    fn send_reply(&mut self) {
        let [reply] = self.replies()[..] else {
            panic!("a reply is in the journal before it is sent")
        };
        let reply = reply.clone();
        self.sent.push(reply);
        if self.connected {
            self.waiting.push(if self.closed { Event::Closed } else { Event::Acknowledged });
        }
    }

    fn reply(&self, verdict: &Verdict) -> TrainReply {
        TrainReply {
            round_id: self.request.round_id,
            experiment_id: self.request.experiment_id,
            round: self.request.round,
            node_id: "north".parse().expect("is a name"),
            researcher_id: self.request.researcher_id.clone(),
            dataset_id: self.request.dataset_id,
            code: verdict.code,
            correlation_id: protocol::CorrelationId::from_uuid(self.request.round_id.uuid()),
            detail: verdict.detail.clone(),
            warnings: verdict.warnings.clone(),
            timing: Timing { rtime_training: self.now.milliseconds() as f64, ..Timing::default() },
            update: verdict.update.clone(),
            sample_count: 0,
            metrics_before: None,
            metrics_after: None,
            optimizer_args: serde_json::Map::new(),
            auxiliary_state: None,
            state_id: None,
        }
    }

    fn fate(&mut self) -> u8 {
        self.fates.pop_front().unwrap_or(u8::MAX)
    }

    fn outcome(&mut self, ticket: Ticket, phase: Phase) -> Outcome {
        let fate = self.fate();
        let own = failure_codes(phase);
        match fate {
            0..=15 if !own.is_empty() => {
                let code = own[usize::from(fate) % own.len()];
                return Outcome::Failed { failure: code.into() };
            }
            16..=18 if (Phase::Instantiate..=Phase::Export).contains(&phase) => {
                let code = limit_codes()[usize::from(fate) % limit_codes().len()];
                return Outcome::Failed { failure: code.into() };
            }
            19 => return Outcome::Failed { failure: Code::NodeInternal.into() },
            20 => return Outcome::Released { warnings: Vec::new() },
            21 => return Outcome::Failed { failure: Code::Ok.into() },
            _ => {}
        }
        self.success(ticket, phase, fate)
    }

    fn success(&mut self, _ticket: Ticket, phase: Phase, fate: u8) -> Outcome {
        match phase {
            Phase::Accept => Outcome::DatasetFound,
            Phase::Arguments => Outcome::ArgumentsParsed {
                before: if fate.is_multiple_of(2) {
                    Validation::Wanted
                } else {
                    Validation::Skipped
                },
                after: if fate.is_multiple_of(3) {
                    Validation::Wanted
                } else {
                    Validation::Skipped
                },
                warnings: Vec::new(),
            },
            Phase::Plan => Outcome::PlanFetched,
            Phase::Approval => Outcome::PlanApproved,
            Phase::Parameters => Outcome::ParametersFetched,
            Phase::Instantiate => Outcome::Instantiated,
            Phase::Initialise => Outcome::Initialised,
            Phase::Load => Outcome::ParametersLoaded,
            Phase::Data => Outcome::DataOpened {
                training_rows: u64::from(fate),
                validation_rows: 10,
                warnings: vec![protocol::Warning::DataRowsDropped],
            },
            Phase::ValidateBefore | Phase::ValidateAfter => {
                Outcome::Validated { warnings: vec![protocol::Warning::MetricFailed] }
            }
            Phase::Train => Outcome::Trained,
            Phase::Export => {
                self.file = true;
                Outcome::Exported { export: Box::new(export()) }
            }
            Phase::Egress if fate.is_multiple_of(8) => Outcome::EgressHeld,
            Phase::Egress => Outcome::EgressAllowed { warnings: Vec::new() },
            Phase::Upload => self.upload(fate),
            Phase::Reply | Phase::Clean => panic!("{phase} is not performed by this action"),
        }
    }

    fn upload(&mut self, fate: u8) -> Outcome {
        if !self.connected {
            return Outcome::CoordinatorUnreachable;
        }
        if fate < 80 {
            return Outcome::UploadRefused;
        }
        self.update_held = true;
        Outcome::Uploaded
    }
}

/// The file that every modelled export writes.
pub(super) fn update_reference() -> ArtifactReference {
    ArtifactReference::new(Digest::of(b"update"), 6)
}

fn export() -> Export {
    Export {
        update: update_reference(),
        declared: json!({}),
        sample_count: 100,
        metrics_before: None,
        metrics_after: None,
        optimizer_args: serde_json::Map::new(),
        timing: Timing::default(),
        warnings: vec![protocol::Warning::DataRowsDropped],
    }
}

/// A request with a minute of time.
pub(super) fn request(mode: Mode) -> TrainRequest {
    let plan = ArtifactReference::new(Digest::of(b"plan"), 4);
    let parameters = ArtifactReference::new(Digest::of(b"parameters"), 10);
    serde_json::from_value(json!({
        "round_id": "0197f3a0-0000-7000-8000-000000000001",
        "experiment_id": "0197f3a0-0000-7000-8000-000000000002",
        "round": 1,
        "researcher_id": "ada",
        "dataset_id": "0197f3a0-0000-7000-8000-000000000003",
        "mode": mode,
        "seed": 42,
        "runtime": "native",
        "time_left": 60_000,
        "plan": plan,
        "parameters": parameters,
    }))
    .expect("is a request")
}
