//! A running server with a store, and clients for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::{ArtifactReference, Digest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use store::SystemClock;
use store::artifact::{ArtifactStore, Settings as StoreSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use transport::artifact::client::Settings as ClientSettings;
use transport::server::{Settings, one_port};
use transport::{Address, ArtifactClient, Caller, Security, Server};

use crate::echo::Echo;
use crate::store_shelf::StoreShelf;

pub(crate) struct Ward {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) shelf: Arc<StoreShelf>,
    pub(crate) socket: SocketAddr,
    pub(crate) address: Address,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Ward {
    pub(crate) async fn open() -> Self {
        Self::open_with(Settings::default(), StoreSettings::default(), DEADLINE).await
    }

    pub(crate) async fn open_with(
        settings: Settings,
        store: StoreSettings,
        silence: Duration,
    ) -> Self {
        Self::open_secured(Security::InsecureLoopback, settings, (store, silence)).await
    }

    pub(crate) async fn open_secured(
        security: Security,
        settings: Settings,
        (store, silence): (StoreSettings, Duration),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifacts");
        let store = ArtifactStore::open(&path, store, Arc::new(SystemClock)).unwrap();
        let shelf = Arc::new(StoreShelf { store, forbidden: Default::default() });
        let server =
            Server::bind("127.0.0.1:0".parse().unwrap(), security, settings).await.unwrap();
        let (socket, address) = (server.socket_address(), server.address());
        let services = tonic::service::Routes::new(Echo);
        let routes = transport::artifact::routes(Arc::clone(&shelf) as _, silence);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(one_port(services, routes), async {
            drop(stopped.await);
        }));
        Self { folder, shelf, socket, address, stop: Some(stop), serving }
    }

    pub(crate) fn client(&self) -> ArtifactClient {
        client_for(self.address.clone())
    }

    /// Puts bytes on the shelf and returns what refers to them.
    pub(crate) fn keep(&self, bytes: &[u8]) -> ArtifactReference {
        let reference = reference(bytes);
        let durability = store::Durability::Process;
        self.shelf.store.ingest(&mut &bytes[..], &reference, durability).unwrap();
        reference
    }

    pub(crate) fn kept(&self, reference: &ArtifactReference) -> Vec<u8> {
        std::fs::read(self.shelf.store.open_verified(&reference.digest).unwrap().path).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn stopped(self) {
        within(self.serving).await.unwrap();
    }

    /// Sends raw bytes on a connection of its own and returns all that comes back until it closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.socket).await.unwrap();
        // A server that refuses early may close while we still send.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(within(stream.read_to_end(&mut answer)).await);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends one HTTP/1.1 request as the node "north", with more header lines.
    pub(crate) async fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nwardround-caller: node:north\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        self.raw(request.as_bytes()).await
    }
}

pub(crate) fn client_for(address: Address) -> ArtifactClient {
    ArtifactClient::new(address, node("north"), quick())
}

pub(crate) fn quick() -> ClientSettings {
    ClientSettings {
        attempts: 4,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(5),
        ..ClientSettings::default()
    }
}

pub(crate) fn node(name: &str) -> Caller {
    format!("node:{name}").parse().unwrap()
}

pub(crate) fn reference(bytes: &[u8]) -> ArtifactReference {
    ArtifactReference::new(Digest::of(bytes), bytes.len() as u64)
}

pub(crate) fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

pub(crate) fn exists_nothing_beside(path: &Path) -> bool {
    let partial = format!("{}.partial", path.display());
    !Path::new(&partial).exists()
}

pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {answer:?}"))
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        (found == name).then_some(value)
    })
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("the deadline of the test has passed")
}

/// Longest any wait of a test may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
