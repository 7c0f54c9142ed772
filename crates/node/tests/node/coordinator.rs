//! A coordinator of a few lines: the real service and the real artifact routes on loopback, steered by the test.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::wire::v1;
use protocol::{ArtifactReference, Code, Digest, RoundId, TrainReply, TrainRequest, WIRE_VERSION};
use store::artifact::{ArtifactStore, Begun as Start, Settings};
use store::{Durability, SystemClock};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use transport::artifact::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload, routes};
use transport::server::{Server, Settings as ServerSettings, one_port};
use transport::{Address, Caller, Security};
use v1::coordinator_message::Message as ToNode;
use v1::node_message::Message as FromNode;
use v1::node_service_server::{NodeService, NodeServiceServer};

/// The coordinator and what it has heard.
pub(crate) struct Coordinator {
    pub(crate) address: Address,
    desk: Arc<Desk>,
    heard: mpsc::UnboundedReceiver<FromNode>,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

/// What the service and the test share.
struct Desk {
    store: ArtifactStore,
    line: Mutex<Option<mpsc::Sender<Result<v1::CoordinatorMessage, Status>>>>,
    heard: mpsc::UnboundedSender<FromNode>,
    refused_uploads: AtomicU32,
    closed: Mutex<HashSet<String>>,
    acknowledges: AtomicBool,
    carries: AtomicBool,
    on_refusal: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Coordinator {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), tempfile::tempdir().unwrap()).await
    }

    async fn start_at(address: SocketAddr, folder: tempfile::TempDir) -> Self {
        let store =
            ArtifactStore::open(folder.path(), Settings::default(), Arc::new(SystemClock)).unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            store,
            line: Mutex::default(),
            heard: sender,
            refused_uploads: AtomicU32::new(0),
            closed: Mutex::default(),
            acknowledges: true.into(),
            carries: false.into(),
            on_refusal: Mutex::default(),
        });
        let settings =
            ServerSettings { shutdown_grace: Duration::from_millis(100), ..Default::default() };
        let server = Server::bind(address, Security::InsecureLoopback, settings).await.unwrap();
        let address = server.address();
        let service = NodeServiceServer::new(Service(Arc::clone(&desk)))
            .max_decoding_message_size(protocol::wire::MAXIMUM_MESSAGE);
        let shelf = Arc::new(Shelf(Arc::clone(&desk)));
        let router = one_port(Routes::new(service), routes(shelf, Duration::from_secs(10)));
        let shutdown = CancellationToken::new();
        let ended = shutdown.clone().cancelled_owned();
        let serving = tokio::spawn(server.serve(router, ended));
        Self { address, desk, heard, shutdown, serving, folder }
    }

    /// Goes away, keeping its artifacts and its port.
    pub(crate) async fn stop(self) -> Stopped {
        self.shutdown.cancel();
        self.desk.line.lock().unwrap().take();
        self.serving.await.unwrap();
        Stopped { address: self.address, folder: self.folder }
    }

    /// Offers a file.
    pub(crate) fn publish(&self, bytes: &[u8]) -> ArtifactReference {
        let reference = ArtifactReference::new(Digest::of(bytes), bytes.len() as u64);
        self.desk.store.ingest(&mut &*bytes, &reference, Durability::Process).unwrap();
        reference
    }

    /// The bytes of a file that a node has brought.
    pub(crate) fn fetched(&self, digest: &Digest) -> Vec<u8> {
        std::fs::read(self.desk.store.open_verified(digest).unwrap().path).unwrap()
    }

    /// Refuses the next uploads.
    pub(crate) fn refuse_uploads(&self, count: u32) {
        self.desk.refused_uploads.store(count, Ordering::SeqCst);
    }

    /// Does something while the next upload is refused.
    pub(crate) fn on_refusal(&self, act: impl FnOnce() + Send + 'static) {
        *self.desk.on_refusal.lock().unwrap() = Some(Box::new(act));
    }

    /// Says nothing to replies from now on, or acknowledges them again.
    pub(crate) fn acknowledge(&self, acknowledges: bool) {
        self.desk.acknowledges.store(acknowledges, Ordering::SeqCst);
    }

    /// Takes short updates inside replies, from the next line on.
    pub(crate) fn carry(&self) {
        self.desk.carries.store(true, Ordering::SeqCst);
    }

    /// Whether a node has brought a file.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.desk.store.size(digest).is_some()
    }

    /// Answers replies of this round with `round.closed`.
    pub(crate) fn close_round(&self, round: RoundId) {
        self.desk.closed.lock().unwrap().insert(round.to_string());
    }

    pub(crate) fn request(&self, request: &TrainRequest) {
        self.send(ToNode::TrainRequest(request.clone().into()));
    }

    pub(crate) fn cancel(&self, round: RoundId) {
        self.send(ToNode::CancelRound(v1::CancelRound { round_id: round.to_string() }));
    }

    pub(crate) fn send(&self, message: ToNode) {
        self.desk.send(message);
    }

    /// Waits for the next message that fits; others are passed over.
    pub(crate) async fn hear<T>(&mut self, mut fits: impl FnMut(FromNode) -> Option<T>) -> T {
        let hearing = async {
            loop {
                let message = self.heard.recv().await.expect("the service lives");
                if let Some(found) = fits(message) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("the node says it in time")
    }

    pub(crate) async fn greeting(&mut self) -> v1::Greeting {
        self.hear(|message| match message {
            FromNode::Greeting(greeting) => Some(greeting),
            _ => None,
        })
        .await
    }

    /// The next reply, as it came over the wire.
    pub(crate) async fn wire_reply(&mut self) -> v1::TrainReply {
        self.hear(|message| match message {
            FromNode::TrainReply(reply) => Some(reply),
            _ => None,
        })
        .await
    }

    /// The next reply to this request; those that are said again for others are passed over.
    pub(crate) async fn reply_to(&mut self, request: &TrainRequest) -> TrainReply {
        loop {
            let reply = self.reply().await;
            if reply.round_id == request.round_id {
                return reply;
            }
        }
    }

    pub(crate) async fn reply(&mut self) -> TrainReply {
        self.wire_reply().await.try_into().unwrap()
    }
}

/// A coordinator that has gone away.
pub(crate) struct Stopped {
    address: Address,
    folder: tempfile::TempDir,
}

impl Stopped {
    pub(crate) async fn start_again(self) -> Coordinator {
        let address = self.address.authority().parse().unwrap();
        Coordinator::start_at(address, self.folder).await
    }
}

impl Desk {
    fn send(&self, message: ToNode) {
        let line = self.line.lock().unwrap();
        let line = line.as_ref().expect("a node is connected");
        // A node that was killed meanwhile hears nothing; its next line brings everything again.
        drop(line.try_send(Ok(v1::CoordinatorMessage { message: Some(message) })));
    }

    fn take(&self, message: FromNode) {
        match &message {
            FromNode::Greeting(greeting) => self.send(ToNode::Welcome(v1::Welcome {
                wire_version: WIRE_VERSION,
                software: "test".to_owned(),
                wanted_rounds: greeting.open_rounds.clone(),
                closed_rounds: Vec::new(),
                largest_update_bytes: match self.carries.load(Ordering::SeqCst) {
                    true => protocol::wire::CARRIED_BYTES,
                    false => 0,
                },
            })),
            FromNode::TrainReply(reply) if self.acknowledges.load(Ordering::SeqCst) => {
                let is_closed = self.closed.lock().unwrap().contains(&reply.round_id);
                let code = if is_closed { Code::RoundClosed } else { Code::Ok };
                self.send(ToNode::ReplyReceived(v1::ReplyReceived {
                    round_id: reply.round_id.clone(),
                    code: code.to_string(),
                }));
            }
            _ => {}
        }
        self.heard.send(message).unwrap();
    }
}

struct Service(Arc<Desk>);

#[tonic::async_trait]
impl NodeService for Service {
    type AttendStream = ReceiverStream<Result<v1::CoordinatorMessage, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::NodeMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        assert!(matches!(request.extensions().get::<Caller>(), Some(Caller::Node(_))));
        let (sender, receiver) = mpsc::channel(256);
        *self.0.line.lock().unwrap() = Some(sender);
        let desk = Arc::clone(&self.0);
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                if let Some(message) = message.message {
                    desk.take(message);
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Shelf(Arc<Desk>);

impl ArtifactShelf for Shelf {
    fn allows(&self, _caller: &Caller, access: &Access) -> Result<bool, ShelfError> {
        let Access::Write(_) = access else { return Ok(true) };
        let left = &self.0.refused_uploads;
        let is_refused = left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1))
            .is_ok();
        if is_refused && let Some(act) = self.0.on_refusal.lock().unwrap().take() {
            act();
        }
        Ok(!is_refused)
    }

    fn open(&self, digest: &Digest) -> Result<OpenArtifact, ShelfError> {
        let artifact = self.0.store.open_verified(digest).map_err(|_| ShelfError::Absent)?;
        Ok(OpenArtifact { file: artifact.file, size: artifact.size })
    }

    fn begin(&self, caller: &Caller, reference: &ArtifactReference) -> Result<Begun, ShelfError> {
        let begun = self.0.store.begin(&caller.to_string(), reference, Durability::Process);
        Ok(match begun.map_err(|_| ShelfError::Full)? {
            Start::Complete => Begun::Complete,
            Start::Partial(partial) => {
                Begun::Partial { id: partial.id().to_string(), offset: partial.offset() }
            }
        })
    }

    fn resume(&self, _caller: &Caller, id: &str) -> Result<Box<dyn Upload>, ShelfError> {
        let id = id.parse().map_err(|_| ShelfError::Absent)?;
        let partial = self.0.store.resume(&id).map_err(|_| ShelfError::Absent)?;
        Ok(Box::new(Arriving(partial)))
    }
}

struct Arriving(store::artifact::Partial);

impl Upload for Arriving {
    fn reference(&self) -> ArtifactReference {
        let id = self.0.id();
        ArtifactReference::new(id.digest(), id.size())
    }

    fn offset(&self) -> u64 {
        self.0.offset()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ShelfError> {
        self.0.append(bytes).map_err(|_| ShelfError::TooLong)
    }

    fn commit(self: Box<Self>) -> Result<(), ShelfError> {
        self.0.commit(Durability::Process).map_err(|_| ShelfError::DigestMismatch)
    }
}

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);
