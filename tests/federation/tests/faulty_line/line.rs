//! A line between nodes and their coordinator that loses, repeats and reorders what it carries, by a seed.
//!
//! It stands where the coordinator's port would be. A control stream is taken apart into its messages; each may be
//! said twice, change places with the next one, or be lost together with the connection, as TCP loses what was on
//! its way. Files pass as bytes and are cut now and then. No message is altered: that is the fuzz targets' work.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::wire::v1;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::wire::v1::node_service_server::{NodeService, NodeServiceServer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use transport::server::{Server, Settings, one_port};
use transport::{Address, Caller, Security, dial};

/// The line; dropping it cuts everything.
pub(crate) struct FaultyLine {
    shared: Arc<Shared>,
    url: String,
    _runtime: Runtime,
}

/// What was done to messages so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    pub(crate) reordered: u32,
    pub(crate) cut: u32,
}

/// What every connection shares.
struct Shared {
    coordinator: Address,
    /// 0 while nothing goes wrong.
    seed: AtomicU64,
    /// Each connection has a stream of its own.
    connections: AtomicU64,
    counts: Counts,
    /// Losses and cuts that are left: a line that always breaks carries nothing.
    breaks_left: Mutex<u32>,
}

#[derive(Default)]
struct Counts {
    lost: AtomicU32,
    repeated: AtomicU32,
    reordered: AtomicU32,
    cut: AtomicU32,
}

impl FaultyLine {
    /// Stands before a coordinator; nothing goes wrong until [`spoil`](Self::spoil).
    pub(crate) fn before(coordinator: &str) -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        let coordinator: Address = coordinator.parse().expect("is an address");
        let shared = Arc::new(Shared {
            coordinator,
            seed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            counts: Counts::default(),
            breaks_left: Mutex::default(),
        });
        let port = runtime.block_on(serve(Arc::clone(&shared)));
        Self { shared, url: format!("http://127.0.0.1:{port}"), _runtime: runtime }
    }

    /// Where nodes reach the coordinator over it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on things go wrong as this seed says, with so many breaks at most.
    pub(crate) fn spoil(&self, seed: u64, breaks: u32) {
        *self.shared.breaks_left.lock().expect("nobody panics with it") = breaks;
        self.shared.seed.store(seed, Ordering::SeqCst);
    }

    /// What was done so far.
    pub(crate) fn faults(&self) -> Faults {
        let Counts { lost, repeated, reordered, cut } = &self.shared.counts;
        let read = |count: &AtomicU32| count.load(Ordering::SeqCst);
        Faults {
            lost: read(lost),
            repeated: read(repeated),
            reordered: read(reordered),
            cut: read(cut),
        }
    }
}

impl Shared {
    /// Whether a line may break here, which costs one of its breaks.
    fn breaks(&self) -> bool {
        let mut left = self.breaks_left.lock().expect("nobody panics with it");
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }

    /// The fates of what one connection carries in one direction.
    fn fates(self: &Arc<Self>) -> Fates {
        let seed = self.seed.load(Ordering::SeqCst);
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(connection);
        Fates { generator, shared: Arc::clone(self) }
    }
}

/// Serves the port; control streams go to the relay, everything else to the coordinator as it is.
async fn serve(shared: Arc<Shared>) -> u16 {
    let relay = Relay { shared: Arc::clone(&shared) };
    let service =
        NodeServiceServer::new(relay).max_decoding_message_size(protocol::wire::MAXIMUM_MESSAGE);
    let local = "127.0.0.1:0".parse().expect("is an address");
    let inner = Server::bind(local, Security::InsecureLoopback, Settings::default())
        .await
        .expect("a port is free");
    let control = inner.socket_address();
    tokio::spawn(
        inner.serve(one_port(Routes::new(service), axum::Router::new()), std::future::pending()),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            // Whoever was cut dials again.
            tokio::spawn(async move { drop(carry(stream, control, &shared).await) });
        }
    });
    port
}

async fn carry(
    mut stream: TcpStream,
    control: std::net::SocketAddr,
    shared: &Arc<Shared>,
) -> std::io::Result<()> {
    let mut first = [0; 3];
    let known = stream.peek(&mut first).await?;
    if &first[..known] == b"PRI" {
        let mut inner = TcpStream::connect(control).await?;
        copy_bidirectional(&mut stream, &mut inner).await?;
        return Ok(());
    }
    let coordinator = (shared.coordinator.host(), shared.coordinator.port());
    let mut outer = TcpStream::connect(coordinator).await?;
    let mut fates = shared.fates();
    let (mut reading, mut writing) = stream.split();
    let (mut answers, mut requests) = outer.split();
    tokio::select! {
        asked = tokio::io::copy(&mut reading, &mut requests) => asked.map(drop),
        answered = carry_answers(&mut answers, &mut writing, &mut fates) => answered,
    }
}

/// Carries what the coordinator answers; one connection has many answers, and any of them may break off.
async fn carry_answers(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    fates: &mut Fates,
) -> std::io::Result<()> {
    let mut part = vec![0; 64 << 10];
    loop {
        let arrived = from.read(&mut part).await?;
        if arrived == 0 {
            return to.shutdown().await;
        }
        if fates.cuts() {
            to.write_all(&part[..fates.less_than(arrived)]).await?;
            return to.shutdown().await;
        }
        to.write_all(&part[..arrived]).await?;
    }
}

/// What happens to one message.
enum Fate {
    Passes,
    IsRepeated,
    Waits,
    IsLost,
}

struct Fates {
    generator: ChaCha8Rng,
    shared: Arc<Shared>,
}

impl Fates {
    fn next(&mut self) -> Fate {
        if self.shared.seed.load(Ordering::SeqCst) == 0 {
            return Fate::Passes;
        }
        let counts = &self.shared.counts;
        match self.generator.next_u32() % 16 {
            0..3 => {
                counts.repeated.fetch_add(1, Ordering::SeqCst);
                Fate::IsRepeated
            }
            3..6 => Fate::Waits,
            6 if self.shared.breaks() => {
                counts.lost.fetch_add(1, Ordering::SeqCst);
                Fate::IsLost
            }
            _ => Fate::Passes,
        }
    }

    /// Whether an answer over HTTP breaks off here.
    fn cuts(&mut self) -> bool {
        let is_cut = self.shared.seed.load(Ordering::SeqCst) != 0
            && self.generator.next_u32().is_multiple_of(8)
            && self.shared.breaks();
        if is_cut {
            self.shared.counts.cut.fetch_add(1, Ordering::SeqCst);
        }
        is_cut
    }

    /// A number of bytes that is less than `bound`.
    fn less_than(&mut self, bound: usize) -> usize {
        let drawn = usize::try_from(self.generator.next_u32()).unwrap_or(0);
        drawn.checked_rem(bound).unwrap_or(0)
    }
}

struct Relay {
    shared: Arc<Shared>,
}

#[tonic::async_trait]
impl NodeService for Relay {
    type AttendStream = ReceiverStream<Result<v1::CoordinatorMessage, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::NodeMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let caller = request.extensions().get::<Caller>().cloned().expect("the door asks for it");
        let broken = |_| Status::unavailable("the coordinator is not there");
        let line =
            dial(&self.shared.coordinator, &caller, Default::default()).await.map_err(broken)?;
        let (up, outgoing) = mpsc::channel(64);
        let (down, incoming) = mpsc::channel(64);
        let cut = CancellationToken::new();
        let from_node = request.into_inner();
        let pump = Pump { fates: self.shared.fates(), cut: cut.clone() };
        tokio::spawn(pump.run(from_node, up, |message| message));
        // The coordinator answers once it is greeted, so the node's words must flow already.
        let mut calls =
            NodeServiceClient::new(line).max_decoding_message_size(protocol::wire::MAXIMUM_MESSAGE);
        let from_coordinator = calls.attend(ReceiverStream::new(outgoing)).await?.into_inner();
        let pump = Pump { fates: self.shared.fates(), cut };
        tokio::spawn(pump.run(from_coordinator, down, Ok));
        Ok(Response::new(ReceiverStream::new(incoming)))
    }
}

/// Carries one direction of one connection.
struct Pump {
    fates: Fates,
    cut: CancellationToken,
}

impl Pump {
    async fn run<M: Clone, T>(
        mut self,
        mut from: Streaming<M>,
        to: mpsc::Sender<T>,
        wrap: fn(M) -> T,
    ) {
        let cut = self.cut.clone();
        // One direction that ends takes the other with it.
        let _cutting = self.cut.clone().drop_guard();
        tokio::select! {
            () = cut.cancelled() => {}
            () = self.carry(&mut from, &to, wrap) => {}
        }
    }

    async fn carry<M: Clone, T>(
        &mut self,
        from: &mut Streaming<M>,
        to: &mpsc::Sender<T>,
        wrap: fn(M) -> T,
    ) {
        // Who does not greet first is not listened to.
        let Ok(Some(greeting)) = from.message().await else { return };
        if to.send(wrap(greeting)).await.is_err() {
            return;
        }
        let mut waiting: Option<M> = None;
        loop {
            let next = tokio::time::timeout(LONGEST_WAIT, from.message()).await;
            let mut said = Vec::new();
            match next {
                // Nothing came for it to change places with.
                Err(_) => said.extend(waiting.take()),
                Ok(Ok(Some(message))) => match self.fates.next() {
                    Fate::IsLost => return,
                    Fate::Waits if waiting.is_none() => waiting = Some(message),
                    Fate::IsRepeated => said.extend([message.clone(), message]),
                    Fate::Waits | Fate::Passes => said.push(message),
                },
                Ok(_) => return,
            }
            if !said.is_empty()
                && let Some(message) = waiting.take()
            {
                self.fates.shared.counts.reordered.fetch_add(1, Ordering::SeqCst);
                said.push(message);
            }
            for message in said {
                if to.send(wrap(message)).await.is_err() {
                    return;
                }
            }
        }
    }
}

const LONGEST_WAIT: Duration = Duration::from_millis(30);
