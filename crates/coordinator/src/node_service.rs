//! The nodes' side of the door: one stream for each connected node.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, StreamExt};
use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_server::NodeService;
use protocol::wire::{Error, MAXIMUM_DATASETS, parse, v1};
use protocol::{
    Code, CorrelationId, DatasetId, DatasetSummary, NodeId, RoundId, Scalar, TrainReply,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use transport::Caller;

use crate::door::{malformed, status, status_with};
use crate::message::{Arrival, Message, Progress, Unreadable};
use crate::owners_word::OwnersWord;
use crate::scalars::{Given, training_loss};
use crate::shared::{Shared, TakenScalar};

/// Serves the nodes' streams.
#[derive(Debug)]
pub(crate) struct Nodes {
    shared: Arc<Shared>,
    /// Owns the readers of all streams; whoever runs the coordinator awaits them.
    readers: TaskTracker,
    connections: AtomicU64,
}

impl Nodes {
    pub(crate) fn new(shared: Arc<Shared>, readers: TaskTracker) -> Self {
        Self { shared, readers, connections: AtomicU64::new(0) }
    }
}

/// What a node is sent.
type Commands = Pin<Box<dyn Stream<Item = Result<v1::CoordinatorMessage, Status>> + Send>>;

#[tonic::async_trait]
impl NodeService for Nodes {
    type AttendStream = Commands;

    async fn attend(
        &self,
        request: Request<Streaming<v1::NodeMessage>>,
    ) -> Result<Response<Commands>, Status> {
        let Some(Caller::Node(node)) = request.extensions().get::<Caller>().cloned() else {
            return Err(status_with(Code::PolicyDenied, "only a node attends"));
        };
        let (line, commands) = mpsc::channel(LINE_LENGTH);
        let cut = CancellationToken::new();
        let reader = Reader {
            shared: Arc::clone(&self.shared),
            node,
            connection: self.connections.fetch_add(1, Ordering::Relaxed),
            messages: request.into_inner(),
            line,
            cut: cut.clone(),
        };
        self.readers.spawn(reader.run());
        let commands = ReceiverStream::new(commands).map(Ok).take_until(cut.cancelled_owned());
        Ok(Response::new(Box::pin(commands)))
    }
}

/// Takes what one node says, until its line ends or is cut.
struct Reader {
    shared: Arc<Shared>,
    node: NodeId,
    connection: u64,
    messages: Streaming<v1::NodeMessage>,
    line: mpsc::Sender<v1::CoordinatorMessage>,
    cut: CancellationToken,
}

impl Reader {
    async fn run(mut self) {
        let shutdown = self.shared.shutdown.clone();
        let cut = self.cut.clone();
        // The queue must close with the connection, or the stream would never end.
        let _cutting = self.cut.clone().drop_guard();
        let node = self.node.clone();
        let connection = self.connection;
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = cut.cancelled() => {}
            ended = self.attend() => if let Err(status) = ended {
                tracing::info!(%node, status = status.message(), "a node's stream ends");
            },
        }
        // The director may have ended before; then nobody minds.
        let _told = shared.tell(Message::Left { node, connection }).await;
    }

    async fn attend(&mut self) -> Result<(), Status> {
        let silence = self.shared.config.silence();
        let first = tokio::time::timeout(silence, self.messages.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no greeting came"))??;
        let Some(FromNode::Greeting(greeting)) = first.and_then(|first| first.message) else {
            return self.refuse(Code::RequestInvalid, "the first message is a greeting").await;
        };
        if let Err(mismatch) = transport::wire_version::check(greeting.wire_version) {
            return self.refuse(Code::WireVersion, &mismatch.to_string()).await;
        }
        let (answer, answered) = oneshot::channel();
        let arrival = match self.arrival(greeting, answer) {
            Ok(arrival) => arrival,
            Err(error) => return self.refuse(Code::RequestInvalid, &error.to_string()).await,
        };
        if let Err(code) = self.shared.ask(Message::Attend(Box::new(arrival)), answered).await {
            return self.refuse(code, code.sentence()).await;
        }
        while let Some(message) = self.messages.message().await? {
            let Some(message) = message.message else { continue };
            self.take(message).await?;
        }
        Ok(())
    }

    fn arrival(
        &self,
        greeting: v1::Greeting,
        answer: oneshot::Sender<Result<(), Code>>,
    ) -> Result<Arrival, Error> {
        let node: NodeId = parse("greeting.node_id", &greeting.node_id)?;
        if node != self.node {
            return Err(Error::new("greeting.node_id", "is the caller's name"));
        }
        if greeting.software.len() > 128 {
            return Err(Error::new("greeting.software", "has at most 128 bytes"));
        }
        if greeting.open_rounds.len() > MOST_OPEN_ROUNDS {
            let rule = format!("has at most {MOST_OPEN_ROUNDS} entries");
            return Err(Error::new("greeting.open_rounds", rule));
        }
        let open = greeting.open_rounds.iter();
        Ok(Arrival {
            node,
            connection: self.connection,
            software: greeting.software,
            paused: greeting.paused,
            datasets: datasets(greeting.datasets)?,
            open_rounds: open
                .map(|round| parse("greeting.open_rounds", round))
                .collect::<Result<Vec<RoundId>, _>>()?,
            line: self.line.clone(),
            cut: self.cut.clone(),
            answer,
        })
    }

    async fn refuse(&mut self, code: Code, message: &str) -> Result<(), Status> {
        let refusal = v1::Refusal { code: code.to_string(), message: message.to_owned() };
        let refusal = v1::CoordinatorMessage { message: Some(ToNode::Refusal(refusal)) };
        // The line is new, so there is room; the node reads it, then hangs up or is cut.
        let _sent = self.line.try_send(refusal);
        let silence = self.shared.config.silence();
        let _hung_up = tokio::time::timeout(silence, self.messages.message()).await;
        Err(status_with(code, message))
    }

    async fn take(&self, message: FromNode) -> Result<(), Status> {
        let message = match message {
            FromNode::Scalars(scalars) => {
                self.take_scalars(scalars);
                return Ok(());
            }
            other => {
                let parsed = self.parse(other);
                parsed.map_err(|error| malformed(Code::RequestInvalid, &error))?
            }
        };
        self.shared.tell(message).await.map_err(status)
    }

    fn parse(&self, message: FromNode) -> Result<Message, Error> {
        let node = self.node.clone();
        Ok(match message {
            FromNode::DatasetsChanged(changed) => {
                Message::DatasetsChanged { node, datasets: datasets(changed.datasets)? }
            }
            FromNode::PlanAnswer(answer) => Message::PlanAnswered {
                node,
                experiment_id: parse("plan_answer.experiment_id", &answer.experiment_id)?,
                dataset_id: parse("plan_answer.dataset_id", &answer.dataset_id)?,
                plan: parse("plan_answer.plan_digest", &answer.plan_digest)?,
                word: OwnersWord {
                    code: parse("plan_answer.code", &answer.code)?,
                    status: match answer.status.as_str() {
                        "" => None,
                        text => Some(parse("plan_answer.status", text)?),
                    },
                    note: note("plan_answer.note", answer.note)?,
                },
            },
            FromNode::PlanDecision(decision) => Message::PlanDecided {
                node,
                plan: parse("plan_decision.plan_digest", &decision.plan_digest)?,
                word: OwnersWord::decision(
                    parse("plan_decision.code", &decision.code)?,
                    note("plan_decision.note", decision.note)?,
                ),
            },
            FromNode::RoundProgress(progress) => Message::Progress {
                node,
                round_id: parse("round_progress.round_id", &progress.round_id)?,
                progress: stage(&progress)?,
            },
            FromNode::TrainReply(mut reply) => {
                let update = std::mem::take(&mut reply.update_bytes);
                let readable = unreadable(&reply);
                match (TrainReply::try_from(reply), readable) {
                    (Ok(reply), _) => Message::Reply { node, reply: Box::new(reply), update },
                    (Err(error), Ok(reply)) => {
                        tracing::warn!(%node, round_id = %reply.round_id, %error, "a reply cannot be read");
                        Message::Unreadable { node, reply }
                    }
                    (Err(error), Err(_)) => return Err(error),
                }
            }
            FromNode::Availability(availability) => {
                Message::Availability { node, paused: availability.paused }
            }
            FromNode::Greeting(_) => {
                return Err(Error::new("greeting", "is the first message only"));
            }
            FromNode::Scalars(_) => {
                return Err(Error::new("scalars", "are taken elsewhere"));
            }
        })
    }

    /// Takes scalars of the node's open executions; those of others, those that cannot be read, and those for which
    /// there is no room, are dropped, and their gap shows in the sequence.
    fn take_scalars(&self, scalars: v1::Scalars) {
        let mut malformed = None;
        for scalar in scalars.scalars {
            let scalar = match Scalar::try_from(scalar) {
                Ok(scalar) => scalar,
                Err(error) => {
                    malformed = Some(error);
                    continue;
                }
            };
            let place = self.shared.board.open_execution(scalar.round_id);
            let Some((experiment_id, site, round)) = place else { continue };
            let too_many = scalar.sequence > MOST_SCALARS || scalar.attempt > MOST_ATTEMPTS;
            if site.node != self.node || too_many {
                continue;
            }
            if let Some(loss) = training_loss(&scalar) {
                self.shared.board.note_loss(experiment_id, scalar.round_id, loss);
            }
            let taken = Box::new(TakenScalar { experiment_id, site, round, scalar });
            if self.shared.scalars.try_send(Given::Scalar(taken)).is_err() {
                tracing::debug!(node = %self.node, "a scalar is dropped: too many at once");
            }
        }
        if let Some(error) = malformed {
            tracing::warn!(node = %self.node, %error, "scalars that cannot be read are dropped");
        }
    }
}

fn datasets(wire: Vec<v1::DatasetSummary>) -> Result<Vec<DatasetSummary>, Error> {
    if wire.len() > MAXIMUM_DATASETS {
        return Err(Error::new("datasets", format!("has at most {MAXIMUM_DATASETS} entries")));
    }
    let datasets: Vec<DatasetSummary> =
        wire.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    let mut names: Vec<_> = datasets.iter().map(|dataset| &dataset.name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::new("datasets", "have different names"));
    }
    Ok(datasets)
}

/// What the line must not end for: the node would send the same reply again, for ever.
fn unreadable(reply: &v1::TrainReply) -> Result<Unreadable, Error> {
    let nil = uuid::Uuid::nil();
    Ok(Unreadable {
        round_id: parse("round_id", &reply.round_id)?,
        dataset_id: reply.dataset_id.parse().unwrap_or_else(|_| DatasetId::from_uuid(nil)),
        correlation_id: reply
            .correlation_id
            .parse()
            .unwrap_or_else(|_| CorrelationId::from_uuid(nil)),
    })
}

/// What an owner tells researchers, if it is short enough to be kept.
fn note(field: &'static str, note: String) -> Result<String, Error> {
    match note.len() <= LONGEST_NOTE {
        true => Ok(note),
        false => Err(Error::new(field, format!("has at most {LONGEST_NOTE} bytes"))),
    }
}

fn stage(progress: &v1::RoundProgress) -> Result<Progress, Error> {
    match progress.stage.as_str() {
        "accepted" => Ok(Progress::Accepted { queued_before: progress.queued_before }),
        "started" => Ok(Progress::Started),
        "held" => Ok(Progress::Held),
        "released" => Ok(Progress::Released),
        _ => Err(Error::new("round_progress.stage", "is accepted, started, held or released")),
    }
}

/// Commands that may wait for a node that is slow to read; with more, its line is cut and all is sent again.
const LINE_LENGTH: usize = 4096;
/// Bytes of what an owner tells researchers; nodes send 2,000 characters at most.
const LONGEST_NOTE: usize = 8_000;
const MOST_OPEN_ROUNDS: usize = 10_000;
/// A round that tells more than this is not a round; policies stop at a thousand.
const MOST_SCALARS: u64 = 100_000;
/// A node that begins a round more often than this has a defect.
const MOST_ATTEMPTS: u32 = 100;
