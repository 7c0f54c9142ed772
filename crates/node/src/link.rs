//! The node's one line to its coordinator: dialled, greeted, kept, dialled again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::wire::{self, v1};
use protocol::{
    ArtifactReference, Code, DatasetId, ExperimentId, ResearcherId, RoundId, TrainRequest,
    WIRE_VERSION,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use transport::{BackOff, Identity, dial};
use v1::coordinator_message::Message as FromCoordinator;
use v1::node_message::Message;
use v1::node_service_client::NodeServiceClient;

use crate::approval::{self, Question, Standing};
use crate::audit::{Action, Actor, Entry};
use crate::dispatcher::Command;
use crate::notice::Notice;
use crate::registry::plans::{self, KnownPlan, PlanMessage};
use crate::registry::{self, rounds};
use crate::round_log::chain;
use crate::site::Site;

/// Keeps the line until the shutdown.
pub(crate) struct Link {
    site: Arc<Site>,
    identity: Identity,
    commands: mpsc::Sender<Command>,
    shutdown: CancellationToken,
    /// Whether the last attempt ended because one side did not accept the other.
    is_refused: AtomicBool,
}

/// Why a line ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the coordinator ended the line")]
    Status(#[from] tonic::Status),
    #[error("the coordinator closed the line")]
    Closed,
    #[error("the coordinator did not answer the greeting")]
    Silent,
    #[error("the coordinator refuses the node: {code}")]
    Refused { code: Code },
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Version(#[from] transport::wire_version::Mismatch),
}

impl Error {
    /// Whether one side does not accept who the other is.
    fn is_of_identity(&self) -> bool {
        match self {
            Self::Dial(error) => matches!(error, dial::Error::Certificate { .. }),
            Self::Status(status) => {
                wire::refusal::code(status) == Some(Code::IdentityRefused)
                    || identity::peer::alert_within(status).is_some()
            }
            Self::Refused { code } => *code == Code::IdentityRefused,
            Self::Closed | Self::Silent | Self::Registry(_) | Self::Version(_) => false,
        }
    }
}

impl Link {
    pub(crate) fn new(
        site: Arc<Site>,
        identity: Identity,
        commands: mpsc::Sender<Command>,
        shutdown: CancellationToken,
    ) -> Self {
        Self { site, identity, commands, shutdown, is_refused: AtomicBool::new(false) }
    }

    /// Dials, serves the line, and dials again after a pause that grows; ends with the shutdown.
    pub(crate) async fn run(self) {
        let seed = uuid::Uuid::now_v7().as_u128();
        let rng =
            ChaCha8Rng::seed_from_u64(u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(0));
        let mut back_off = BackOff::new(FIRST_DELAY, LONGEST_DELAY, rng);
        while !self.shutdown.is_cancelled() {
            let ended = tokio::select! {
                () = self.shutdown.cancelled() => break,
                ended = self.serve(&mut back_off) => ended,
            };
            self.site.outbox.close();
            if let Err(error) = ended {
                self.report(&error).await;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = tokio::time::sleep(back_off.next_delay()) => {}
            }
        }
        self.site.outbox.close();
    }

    async fn report(&self, error: &Error) {
        tracing::warn!(error = chain(error), "the line to the coordinator is down");
        let is_refused = error.is_of_identity();
        // Dialled every few seconds, it would fill the log: the first refusal after a good line is recorded.
        if is_refused && !self.is_refused.swap(true, Ordering::Relaxed) {
            let entry = Entry::new(self.site.clock.now(), Actor::Node, Action::IdentityRefuse);
            let entry = entry.node(&self.site.config.name).result(Code::IdentityRefused);
            self.site.audit.account(entry).await;
        }
        if let Error::Refused { code } = error {
            self.site.notify(Notice::Refused { code: *code });
        }
    }

    /// One line, from dialling to its end.
    async fn serve(&self, back_off: &mut BackOff<ChaCha8Rng>) -> Result<(), Error> {
        let settings = transport::dial::Settings::default();
        let line = dial(&self.site.config.coordinator, &self.identity, settings).await?;
        let mut client = NodeServiceClient::new(line)
            .max_decoding_message_size(wire::MAXIMUM_MESSAGE)
            .max_encoding_message_size(wire::MAXIMUM_MESSAGE);
        let (sender, receiver) = mpsc::channel(OUTGOING);
        self.site.outbox.begin();
        let greeting = self.greeting().await?;
        send(&sender, Message::Greeting(greeting)).await?;
        let attending = client.attend(ReceiverStream::new(receiver));
        let mut incoming =
            timeout(SILENCE, attending).await.map_err(|_| Error::Silent)??.into_inner();
        let welcome = self.welcome(&mut incoming).await?;
        back_off.reset();
        self.is_refused.store(false, Ordering::Relaxed);
        self.site.outbox.open();
        self.site.notify(Notice::Connected);
        tracing::info!(coordinator = %self.site.config.coordinator, "connected");
        self.command(Command::Connected(welcome)).await;
        let ended = self.converse(&mut incoming, &sender).await;
        self.site.notify(Notice::Disconnected);
        ended
    }

    async fn greeting(&self) -> Result<v1::Greeting, Error> {
        let datasets = self.site.summaries().await?.into_iter().map(Into::into).collect();
        let state = |transaction: &store::Transaction<'_>| -> Result<_, registry::Error> {
            Ok((rounds::open(transaction)?, registry::is_paused(transaction)?))
        };
        let (open, paused) = self.site.database.read(state).await?;
        Ok(v1::Greeting {
            wire_version: WIRE_VERSION,
            node_id: self.site.config.name.to_string(),
            software: SOFTWARE.to_owned(),
            datasets,
            open_rounds: open.iter().map(ToString::to_string).collect(),
            paused,
        })
    }

    /// Waits for the answer to the greeting.
    async fn welcome(
        &self,
        incoming: &mut Streaming<v1::CoordinatorMessage>,
    ) -> Result<Welcome, Error> {
        let first = timeout(SILENCE, incoming.message()).await.map_err(|_| Error::Silent)??;
        match first.and_then(|message| message.message) {
            Some(FromCoordinator::Welcome(welcome)) => {
                transport::wire_version::check(welcome.wire_version)?;
                self.site.outbox.may_carry(welcome.largest_update_bytes);
                Ok(Welcome { closed: parse_rounds(&welcome.closed_rounds) })
            }
            Some(FromCoordinator::Refusal(refusal)) => {
                let code = refusal.code.parse().unwrap_or(Code::CoordinatorInternal);
                Err(Error::Refused { code })
            }
            _ => Err(Error::Closed),
        }
    }

    /// Carries messages both ways until the line ends.
    async fn converse(
        &self,
        incoming: &mut Streaming<v1::CoordinatorMessage>,
        sender: &mpsc::Sender<v1::NodeMessage>,
    ) -> Result<(), Error> {
        let mut answers = JoinSet::new();
        let outgoing = async {
            loop {
                let message = self.site.outbox.next().await;
                send(sender, message).await?;
            }
        };
        tokio::pin!(outgoing);
        loop {
            tokio::select! {
                ended = &mut outgoing => return ended,
                message = incoming.message() => match message? {
                    Some(message) => self.receive(message, &mut answers).await,
                    None => return Err(Error::Closed),
                },
                Some(_) = answers.join_next() => {}
            }
        }
    }

    async fn receive(&self, message: v1::CoordinatorMessage, answers: &mut JoinSet<()>) {
        match message.message {
            Some(FromCoordinator::TrainRequest(mut request)) => {
                let parameters = std::mem::take(&mut request.parameters_bytes);
                let echo = request.clone();
                match TrainRequest::try_from(request) {
                    Ok(request) => {
                        self.command(Command::Request(Box::new(request), parameters)).await;
                    }
                    Err(error) => self.refuse(&echo, &error),
                }
            }
            Some(FromCoordinator::CancelRound(cancel)) => {
                if let Ok(round) = cancel.round_id.parse() {
                    self.command(Command::Cancel(round)).await;
                }
            }
            Some(FromCoordinator::ReplyReceived(received)) => {
                let code = received.code.parse().unwrap_or(Code::Ok);
                if let Ok(round) = received.round_id.parse() {
                    self.command(Command::Received(round, code)).await;
                }
            }
            Some(FromCoordinator::AskApproval(ask)) => {
                if answers.len() < QUESTIONS {
                    answers.spawn(answer(Arc::clone(&self.site), ask));
                }
            }
            Some(FromCoordinator::Welcome(_) | FromCoordinator::Refusal(_)) | None => {
                tracing::warn!("the coordinator sent a message that has no place here");
            }
        }
    }

    /// Answers a request that does not parse; there is nothing to record it under.
    fn refuse(&self, request: &v1::TrainRequest, error: &wire::Error) {
        tracing::warn!(%error, "a request does not parse");
        let reply = v1::TrainReply {
            round_id: request.round_id.clone(),
            experiment_id: request.experiment_id.clone(),
            round: request.round,
            node_id: self.site.config.name.to_string(),
            researcher_id: request.researcher_id.clone(),
            dataset_id: request.dataset_id.clone(),
            success: false,
            code: Code::RequestInvalid.to_string(),
            message: Code::RequestInvalid.sentence().to_owned(),
            correlation_id: request.round_id.clone(),
            timing: Some(v1::Timing::default()),
            ..v1::TrainReply::default()
        };
        self.site.outbox.send(Message::TrainReply(reply));
    }

    async fn command(&self, command: Command) {
        // The dispatcher ends only with the node.
        drop(self.commands.send(command).await);
    }
}

/// What the coordinator said to the greeting.
#[derive(Debug)]
pub(crate) struct Welcome {
    /// Open rounds whose result is not wanted any more.
    pub(crate) closed: Vec<RoundId>,
}

/// Looks at a plan that an experiment wants to run here, and tells what the owner says of it.
async fn answer(site: Arc<Site>, ask: v1::AskApproval) {
    let parsed = match Asked::parse(&ask) {
        Ok(parsed) => parsed,
        Err(error) => {
            tracing::warn!(%error, "a question about a plan does not parse");
            site.outbox.send(Message::PlanAnswer(v1::PlanAnswer {
                experiment_id: ask.experiment_id,
                dataset_id: ask.dataset_id,
                plan_digest: ask.plan.map(|plan| plan.digest).unwrap_or_default(),
                code: Code::RequestInvalid.to_string(),
                status: String::new(),
                note: String::new(),
            }));
            return;
        }
    };
    let asker = (parsed.experiment_id, parsed.dataset_id);
    let question = parsed.question();
    // From here on a decision of the owner is told to this experiment, too.
    site.remember_question(asker, question.clone());
    let message = PlanMessage {
        researcher: question.researcher.clone(),
        dataset: question.dataset,
        text: ask.message.chars().take(LONGEST_MESSAGE).collect(),
        at: site.clock.now(),
    };
    let code = approval::ask(&site, parsed.into_plan(&site, &ask.experiment_name), &question).await;
    if !message.text.is_empty() {
        let plan = question.plan;
        let heard =
            site.database.write(move |transaction| plans::hear(transaction, &plan, message));
        if let Err(error) = heard.await {
            let error: registry::Error = error;
            tracing::error!(error = chain(&error), "a message about a plan cannot be kept");
        }
    }
    let found = Standing { code, ..approval::standing(&site, &question) };
    approval::tell(&site, asker, &question.plan, found, &site.note_about(&question.plan));
    // An owner who decided while the answer was made was told of before it, and the answer would stand.
    let now = approval::standing(&site, &question);
    if now.code != code && matches!(now.code, Code::Ok | Code::PlanRejected | Code::PlanRevoked) {
        approval::tell(&site, asker, &question.plan, now, &site.note_about(&question.plan));
    }
}

/// A parsed [`v1::AskApproval`].
struct Asked {
    experiment_id: ExperimentId,
    dataset_id: DatasetId,
    researcher_id: ResearcherId,
    plan: ArtifactReference,
    runtime: protocol::RuntimeKind,
}

impl Asked {
    fn parse(ask: &v1::AskApproval) -> Result<Self, wire::Error> {
        let plan = ask.plan.clone().ok_or_else(|| wire::Error::new("plan", "is required"))?;
        Ok(Self {
            experiment_id: wire::parse("experiment_id", &ask.experiment_id)?,
            dataset_id: wire::parse("dataset_id", &ask.dataset_id)?,
            researcher_id: wire::parse("researcher_id", &ask.researcher_id)?,
            plan: plan.try_into()?,
            runtime: wire::parse("runtime", &ask.runtime)?,
        })
    }

    fn question(&self) -> Question {
        Question {
            plan: self.plan.digest,
            researcher: self.researcher_id.clone(),
            dataset: self.dataset_id,
            round: None,
        }
    }

    fn into_plan(self, site: &Site, experiment_name: &str) -> KnownPlan {
        KnownPlan {
            researcher_id: Some(self.researcher_id),
            experiment_id: Some(self.experiment_id),
            experiment_name: experiment_name.chars().take(LONGEST_NAME).collect(),
            ..KnownPlan::seen(self.plan, self.runtime, site.clock.now())
        }
    }
}

async fn send(sender: &mpsc::Sender<v1::NodeMessage>, message: Message) -> Result<(), Error> {
    let message = v1::NodeMessage { message: Some(message) };
    sender.send(message).await.map_err(|_| Error::Closed)
}

fn parse_rounds(texts: &[String]) -> Vec<RoundId> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// What this program calls itself.
pub(crate) const SOFTWARE: &str = concat!("wardround/", env!("CARGO_PKG_VERSION"));

/// The first pause before dialling again, at most.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// How long the coordinator may take to answer the greeting.
const SILENCE: Duration = Duration::from_secs(10);
/// Messages handed to the line and not yet on it; more wait in the outbox.
const OUTGOING: usize = 16;
/// Questions about plans that are looked into at once; the coordinator asks again at the next line.
const QUESTIONS: usize = 64;
/// Characters of a message to the owner that are kept.
const LONGEST_MESSAGE: usize = 2_000;
/// Characters of an experiment's name that are kept.
const LONGEST_NAME: usize = 200;
