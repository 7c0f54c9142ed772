//! The loop around one round: append the event, commit, handle, perform the actions.

mod bench;
mod refusal;
mod reply;
mod start;
mod stepping;
mod steps;
mod telling;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Code, Phase, Timestamp, TrainReply, TrainRequest};
use round::round::RestoreError;
use round::{Action, Event, Export, Outcome, Round, Ticket, Verdict};
use store::artifact::Pin;
use tokio::sync::mpsc;

use crate::dispatcher::restored_place;
use crate::grant::use_of;
use crate::notice::Notice;
use crate::registry::{grants, rounds};
use crate::round_log::{RoundLog, chain};
use crate::site::Site;
use crate::slots::Place;
use crate::stop_flag::StopFlag;

use bench::{Bench, Findings};
use stepping::{Broken, Stepping};
use steps::{Step, Stepped};

/// What a driver is told from outside.
#[derive(Debug)]
pub(crate) enum Message {
    /// Something has happened to the round.
    Told(Event),
    /// The coordinator does not want the result any more.
    Unwanted,
    /// The node shuts down: start nothing new, end what is nearly done.
    WindUp,
    /// The node's time is over: let go at once.
    Abandon,
}

/// Drives one round from its acceptance, or from its journal, to its delivery.
pub(crate) struct RoundDriver {
    site: Arc<Site>,
    request: Arc<TrainRequest>,
    round: Round,
    actions: Vec<Action>,
    inbox: mpsc::Receiver<Message>,
    events: VecDeque<Event>,
    stepping: Stepping,
    running: Option<Running>,
    stopping: Option<Ticket>,
    deadline: Option<Timestamp>,
    place: Arc<Place>,
    bench: Option<Box<Bench>>,
    findings: Findings,
    export: Option<Export>,
    update_pin: Option<Pin>,
    /// Keeps parameters that came with the request.
    parameters_pin: Option<Pin>,
    reply: Option<TrainReply>,
    /// A short update, which travels inside the reply.
    carried: Option<Vec<u8>>,
    log: RoundLog,
    mood: Mood,
}

/// A step that has been started and has not ended.
struct Running {
    ticket: Ticket,
    phase: Phase,
    stop: StopFlag,
    since: std::time::Instant,
}

/// Whether the round goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// It does.
    Working,
    /// It ends its step, if that is soon, and starts no attempt.
    WindingUp,
    /// It lets go; the next process goes on from the journal.
    Leaving,
}

impl RoundDriver {
    /// Drives a round that was just accepted.
    pub(crate) fn new(
        site: &Arc<Site>,
        request: TrainRequest,
        round: Round,
        actions: Vec<Action>,
        place: Place,
    ) -> (Self, mpsc::Sender<Message>) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let log = RoundLog::at(site.folder.round_log(request.round_id));
        let driver = Self {
            site: Arc::clone(site),
            request: Arc::new(request),
            round,
            actions,
            inbox,
            events: VecDeque::new(),
            stepping: Stepping::default(),
            running: None,
            stopping: None,
            deadline: None,
            place: Arc::new(place),
            bench: None,
            findings: Findings::default(),
            export: None,
            update_pin: None,
            parameters_pin: None,
            reply: None,
            carried: None,
            log,
            mood: Mood::Working,
        };
        (driver, sender)
    }

    /// Drives a round that an earlier process left open.
    pub(crate) fn restore(
        site: &Arc<Site>,
        records: Vec<(Event, Timestamp)>,
        now: Timestamp,
    ) -> Result<(Self, mpsc::Sender<Message>), RestoreError> {
        let (round, actions) = Round::restore(records.iter().cloned(), now)?;
        let Some((Event::Accepted { request }, _)) = records.first() else {
            return Err(RestoreError::NotAccepted);
        };
        let place = restored_place(site, &round);
        let (mut driver, sender) = Self::new(site, (**request).clone(), round, actions, place);
        for (event, _) in records {
            driver.remember(&event);
        }
        Ok((driver, sender))
    }

    /// Keeps the parameters that came with the request for as long as the round works.
    pub(crate) fn holding(mut self, parameters: Option<Pin>) -> Self {
        self.parameters_pin = parameters;
        self
    }

    /// Runs until the reply is delivered or the node ends.
    pub(crate) async fn run(mut self) {
        let actions = std::mem::take(&mut self.actions);
        self.perform(actions).await;
        while !self.round.is_delivered() && !self.is_leaving() {
            let Some(event) = self.next_event().await else { continue };
            self.take(event).await;
        }
        self.site.dismiss(self.request.round_id);
        self.leave().await;
    }

    /// Whether the round lets go, as it does while winding up once nothing is left that would end by itself.
    fn is_leaving(&self) -> bool {
        let is_idle = self.events.is_empty() && !self.is_busy();
        self.mood == Mood::Leaving || (self.mood == Mood::WindingUp && is_idle)
    }

    fn is_busy(&self) -> bool {
        self.running.as_ref().is_some_and(Running::is_work)
    }

    /// Appends the event where it must be, commits, handles it, and performs what follows.
    async fn take(&mut self, event: Event) {
        let now = self.site.clock.now();
        if self.round.records(&event) {
            self.commit(&event, now).await;
            if self.mood == Mood::Leaving {
                return;
            }
            self.remember(&event);
            self.announce(&event);
        }
        // The placeholder is never seen: handling an event does not fail.
        let (round, actions) = self.round.clone().handle(event, now);
        self.round = round;
        self.perform(actions).await;
    }

    /// Writes a record, again and again until it is on the disk: nothing may happen before it is.
    async fn commit(&mut self, event: &Event, now: Timestamp) {
        let id = self.request.round_id;
        loop {
            let (record, confinement) = (event.clone(), self.findings.confinement.clone());
            let carried = self.carried.clone().filter(|_| matches!(event, Event::Replied { .. }));
            let counted = self.counted(event);
            // That a reply was delivered may wait: until it is on the disk the reply is sent again at worst.
            let may_wait = matches!(event, Event::Acknowledged | Event::Closed);
            let write = move |transaction: &store::Transaction<'_>| {
                if let Some((grant, r#use)) = &counted {
                    grants::count(transaction, *grant, r#use, id)?;
                }
                if let Some(bytes) = &carried {
                    rounds::keep_update(transaction, id, bytes)?;
                }
                rounds::record_confined(transaction, id, &record, confinement.as_ref(), now)
            };
            let written = match may_wait {
                true => self.site.database.write_in_company(write).await,
                false => self.site.database.write(write).await,
            };
            match written {
                Ok(()) => return,
                Err(error) => tracing::error!(round = %id, error = chain(&error), "not recorded"),
            }
            match tokio::time::timeout(COMMIT_PAUSE, self.inbox.recv()).await {
                Ok(Some(Message::Abandon) | None) => {
                    self.mood = Mood::Leaving;
                    return;
                }
                Ok(Some(Message::Told(told))) => self.events.push_back(told),
                Ok(Some(Message::Unwanted)) => self.events.push_back(Event::CancelRequested),
                Ok(Some(Message::WindUp)) => self.mood = Mood::WindingUp,
                Err(_) => {}
            }
        }
    }

    /// The grant under which the round counts from this record on, where its rounds are not bounded: those that are
    /// were counted before the plan was opened.
    fn counted(&self, event: &Event) -> Option<(u64, protocol::Digest)> {
        let is_result = matches!(
            event,
            Event::Replied { .. } | Event::Answered { outcome: Outcome::Exported { .. }, .. }
        );
        let grant = self.findings.grant.filter(|_| is_result)?;
        Some((grant, use_of(&self.request)))
    }

    /// Waits for the next event; nothing where something else happened.
    async fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let due = self.deadline.map(|at| self.site.clock.wait_until(at));
        let deadline = async {
            match due {
                Some(due) => due.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = self.inbox.recv() => self.hear(message.unwrap_or(Message::Abandon)),
            ended = self.stepping.end() => self.ended(ended),
            () = deadline => {
                self.deadline = None;
                Some(Event::DeadlinePassed)
            }
        }
    }

    fn hear(&mut self, message: Message) -> Option<Event> {
        match message {
            Message::Told(event) => {
                let is_held = matches!(self.round, Round::AwaitingRelease(_));
                if is_held && matches!(event, Event::Connected | Event::RequestedAgain) {
                    // Without a line it was not heard.
                    self.progress("held");
                }
                Some(event)
            }
            Message::Unwanted => Some(match self.round {
                Round::AwaitingAcknowledgement(_) => Event::Closed,
                _ => Event::CancelRequested,
            }),
            Message::WindUp => {
                // What only waits needs no time.
                self.mood = if self.is_busy() { Mood::WindingUp } else { Mood::Leaving };
                None
            }
            Message::Abandon => {
                self.mood = Mood::Leaving;
                None
            }
        }
    }

    /// Turns the end of a step into its outcome.
    fn ended(&mut self, ended: Result<Stepped, Broken>) -> Option<Event> {
        let running = self.running.take()?;
        let mut event = match ended {
            Ok(stepped) => {
                self.bench = stepped.bench;
                self.findings = stepped.findings;
                Event::Answered { ticket: running.ticket, outcome: stepped.outcome }
            }
            Err(error) => {
                if error == Broken::Defect {
                    tracing::error!(round = %self.request.round_id, "a step ended by a defect");
                    self.write_log(running.phase, "the step ended by a defect");
                }
                let failure = Code::NodeInternal.into();
                Event::Answered { ticket: running.ticket, outcome: Outcome::Failed { failure } }
            }
        };
        // How long an owner thinks is nobody's business.
        if !matches!(event, Event::Answered { outcome: Outcome::Released { .. }, .. }) {
            self.findings.time(running.phase, running.since.elapsed());
        }
        if let Some(ticket) = self.stopping.take() {
            event = Event::Answered { ticket, outcome: Outcome::Stopped };
        }
        Some(event)
    }

    /// Keeps what a record says beyond the round's own state.
    fn remember(&mut self, event: &Event) {
        match event {
            Event::Answered { outcome: Outcome::Exported { export }, .. } => {
                self.update_pin = Some(self.site.carrier.store().pin(&export.update.digest));
                if let Some(bench) = &mut self.bench {
                    bench.update_pin = None;
                }
                self.export = Some((**export).clone());
            }
            Event::AttemptStarted { .. } => {
                self.export = None;
                self.update_pin = None;
                self.findings = Findings::default();
            }
            Event::Replied { reply } => self.reply = Some((**reply).clone()),
            Event::Accepted { .. }
            | Event::Answered { .. }
            | Event::CancelRequested
            | Event::ApprovalRevoked
            | Event::DeadlinePassed
            | Event::Connected
            | Event::RequestedAgain
            | Event::Acknowledged
            | Event::Closed => {}
        }
    }

    async fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.perform_one(action).await;
        }
    }

    async fn perform_one(&mut self, action: Action) {
        match action {
            Action::Perform { ticket, phase } => {
                pause_at(&self.site, self.request.round_id, phase).await;
                self.start(ticket, phase, Step::Phase(phase));
            }
            Action::AwaitSlot { ticket } => self.start(ticket, Phase::Accept, Step::Slot),
            Action::RecordAttempt { attempt } => {
                if self.mood == Mood::Working {
                    self.events.push_back(Event::AttemptStarted { attempt });
                } else {
                    self.mood = Mood::Leaving;
                }
            }
            Action::VerifyExport { ticket, update } => {
                self.start(ticket, Phase::Export, Step::VerifyExport(update));
            }
            Action::AwaitRelease { ticket } => {
                self.progress("held");
                // The plan is done; what it used goes while the owner thinks.
                self.bench = None;
                self.start(ticket, Phase::Upload, Step::Release);
            }
            Action::AwaitCoordinator { ticket } => {
                self.start(ticket, Phase::Upload, Step::Coordinator);
            }
            Action::Stop { ticket } => self.stop(ticket),
            Action::ArmDeadline { at } => self.deadline = Some(at),
            Action::DisarmDeadline => self.deadline = None,
            Action::RecordReply { verdict } => {
                // Where it cannot be recorded now it is later: nothing runs, and nothing but a code leaves.
                if let Some(entry) = self.refusal(&verdict) {
                    self.site.audit.account(entry).await;
                }
                self.record_reply(&verdict);
            }
            Action::SendReply => {
                pause_at(&self.site, self.request.round_id, Phase::Reply).await;
                self.send_reply();
            }
            Action::Clean => {
                pause_at(&self.site, self.request.round_id, Phase::Clean).await;
                self.clean().await;
            }
            Action::DiscardUpdate => self.discard_update().await,
            Action::Note { note } => self.note(note),
        }
    }

    fn start(&mut self, ticket: Ticket, phase: Phase, step: Step) {
        let stop = StopFlag::default();
        let bench = self.bench.take().unwrap_or_default();
        let work = steps::Work {
            site: Arc::clone(&self.site),
            request: Arc::clone(&self.request),
            place: Arc::clone(&self.place),
            ticket,
            stop: stop.clone(),
            log: self.log.clone(),
            export: self.export.clone(),
            findings: self.findings.clone(),
        };
        self.stepping.start(steps::perform(work, step, bench));
        // The clock of the machine measures, and decides nothing.
        let since = std::time::Instant::now();
        self.running = Some(Running { ticket, phase, stop, since });
    }

    /// Ends what runs; the answer comes when it has ended.
    fn stop(&mut self, ticket: Ticket) {
        let Some(running) = &self.running else {
            let outcome = Outcome::Stopped;
            return self.events.push_back(Event::Answered { ticket, outcome });
        };
        running.stop.raise();
        if !running.is_thread() {
            self.stepping.abort();
        }
        self.stopping = Some(ticket);
    }

    fn record_reply(&mut self, verdict: &Verdict) {
        let carried = self.bench.as_mut().and_then(|bench| bench.carried.take());
        self.carried = carried.filter(|_| verdict.code.is_ok());
        let reply = reply::write(
            &self.request,
            &self.site.config.name,
            verdict,
            self.export.as_ref(),
            &self.findings,
        );
        self.events.push_back(Event::Replied { reply: Box::new(reply) });
    }

    async fn clean(&mut self) {
        self.bench = None;
        self.parameters_pin = None;
        self.place.leave();
        let scratch = self.site.folder.round_scratch(self.request.round_id);
        // Most rounds need none, and to look costs less than to ask a thread.
        if !scratch.exists() {
            return;
        }
        if let Err(error) = tokio::fs::remove_dir_all(&scratch).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a round's scratch folder cannot be deleted");
            self.write_log(Phase::Clean, &chain(&error));
        }
    }

    async fn discard_update(&mut self) {
        self.update_pin = None;
        // What was delivered is the owner's to look at for as long as they say; the sweep deletes it.
        let is_delivered = matches!(self.round, Round::Delivered(_));
        if is_delivered && self.site.config.retention.keep_updates_days > 0 {
            return;
        }
        let Some(digest) = self.export.as_ref().map(|export| export.update.digest) else { return };
        let store = self.site.carrier.store().clone();
        let deleted = crate::carrier::blocking(move || store.delete(&digest)).await;
        if let Err(error) = deleted {
            tracing::debug!(%error, "an update stays");
        }
    }

    /// Lets go of everything that runs.
    async fn leave(&mut self) {
        if let Some(running) = &self.running {
            running.stop.raise();
        }
        self.stepping = Stepping::default();
        self.bench = None;
        // Whoever asks from now on is answered from the journal; who has asked, from here.
        self.inbox.close();
        while let Some(message) = self.inbox.recv().await {
            if matches!(message, Message::Told(Event::RequestedAgain)) {
                self.send_reply();
            }
        }
    }
}

impl Running {
    /// Whether the step does something, rather than wait for somebody.
    fn is_work(&self) -> bool {
        self.phase > Phase::Accept && self.phase != Phase::Upload
    }

    /// Whether the step runs on a thread, which can be asked and not be killed.
    fn is_thread(&self) -> bool {
        (Phase::Instantiate..=Phase::Egress).contains(&self.phase)
    }
}

/// Stands still for ever where a test wants to end the process.
async fn pause_at(site: &Site, round_id: protocol::RoundId, phase: Phase) {
    if site.config.pause_at == Some(phase) {
        tracing::warn!(round = %round_id, %phase, "standing still, as configured");
        site.notify(Notice::Paused { round_id, phase });
        std::future::pending::<()>().await;
    }
}

/// Messages that may wait for a driver that commits.
const INBOX: usize = 64;
/// How long after a failed commit the next is tried.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);
