//! How plans, parameters and updates get to and from the node.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::{ArtifactReference, Digest};
use store::Durability;
use store::artifact::{self, Artifact, ArtifactStore, Begun, Partial, Pin};
use tokio::sync::Mutex;
use transport::ArtifactClient;
use transport::artifact::client;
use transport::artifact::destination::{self, Destination};

/// Moves artifacts between the node's store and the other side.
#[derive(Clone)]
pub(crate) struct Carrier {
    store: ArtifactStore,
    way: Way,
    underway: Arc<Mutex<HashMap<Digest, Arc<Mutex<()>>>>>,
}

/// Where artifacts come from and go to.
#[derive(Clone)]
pub(crate) enum Way {
    /// A coordinator.
    Coordinator(ArtifactClient),
    /// Nowhere: everything needed is in the store already, and the update is put into this folder.
    Local(PathBuf),
}

/// Why an artifact did not get across.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The other side answered and did not give or take it.
    #[error("artifact {digest} was refused")]
    Refused { digest: Digest, source: client::Error },
    /// Nobody answered; it may get across later.
    #[error("the coordinator cannot be reached for artifact {digest}")]
    Unreachable { digest: Digest, source: client::Error },
    /// It is not what its name says.
    #[error("artifact {digest} is not what its digest says")]
    Mismatch { digest: Digest, source: client::Error },
    /// It is not in the store, and there is nobody to ask.
    #[error("artifact {digest} is not among the local files")]
    Absent { digest: Digest },
    /// The node's own store or disk failed.
    #[error("the node's artifacts cannot be used")]
    Store(#[source] artifact::Error),
    /// The node's own disk failed.
    #[error("the file of artifact {digest} cannot be used")]
    Local { digest: Digest, source: client::Error },
    /// A file could not be put where the results go.
    #[error("the update cannot be written")]
    Output(#[source] std::io::Error),
}

/// A verified file of the store, kept from eviction while this lives.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    _pin: Pin,
}

impl Carrier {
    pub(crate) fn new(store: ArtifactStore, way: Way) -> Self {
        Self { store, way, underway: Arc::default() }
    }

    /// Whether files come from this machine and go to it, without a coordinator.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.way, Way::Local(_))
    }

    /// The node's store.
    pub(crate) fn store(&self) -> &ArtifactStore {
        &self.store
    }

    /// Brings an artifact into the store, going on where an earlier transfer broke, and verifies it.
    pub(crate) async fn fetch(&self, reference: &ArtifactReference) -> Result<Fetched, Error> {
        let pin = self.store.pin(&reference.digest);
        // What is here and known needs no turn and no thread.
        if let Some(known) = self.store.open_known(&reference.digest).map_err(Error::Store)?
            && known.size == reference.size
        {
            return Ok(Fetched { path: known.path, _pin: pin });
        }
        let turn = self.turn(reference.digest).await;
        let _turn = turn.lock().await;
        let destination = {
            let (store, reference) = (self.store.clone(), reference.clone());
            blocking(move || begin(&store, &reference)).await?
        };
        if let Some(destination) = destination {
            let Way::Coordinator(client) = &self.way else {
                return Err(Error::Absent { digest: reference.digest });
            };
            client
                .download_into(reference, Box::new(destination))
                .await
                .map_err(|error| Error::of(reference.digest, error))?;
        }
        let artifact = self.open(reference.digest).await?;
        Ok(Fetched { path: artifact.path, _pin: pin })
    }

    /// Takes an update to the other side, which confirms its digest.
    pub(crate) async fn deliver(&self, reference: &ArtifactReference) -> Result<(), Error> {
        let artifact = self.open(reference.digest).await?;
        match &self.way {
            Way::Coordinator(client) => client
                .upload(reference, &artifact.path)
                .await
                .map_err(|error| Error::of(reference.digest, error)),
            Way::Local(folder) => {
                let to = folder.join(format!("{}.safetensors", reference.digest.hexadecimal()));
                blocking(move || std::fs::copy(&artifact.path, &to).map(drop))
                    .await
                    .map_err(Error::Output)
            }
        }
    }

    /// Reads a short file of the store whole.
    pub(crate) fn read(&self, reference: &ArtifactReference) -> Result<Vec<u8>, Error> {
        let artifact = self.store.open_verified(&reference.digest).map_err(Error::Store)?;
        let mut bytes = Vec::with_capacity(usize::try_from(reference.size).unwrap_or(0));
        let read = artifact.file.take(reference.size).read_to_end(&mut bytes);
        read.map_err(|error| Error::Store(artifact::Error::Io(error)))?;
        Ok(bytes)
    }

    /// Opens a file of the store, hashing it first where that was not done yet.
    async fn open(&self, digest: Digest) -> Result<Artifact, Error> {
        if let Some(known) = self.store.open_known(&digest).map_err(Error::Store)? {
            return Ok(known);
        }
        let store = self.store.clone();
        blocking(move || store.open_verified(&digest)).await.map_err(Error::Store)
    }

    /// Two rounds that need the same file fetch it once.
    async fn turn(&self, digest: Digest) -> Arc<Mutex<()>> {
        let mut underway = self.underway.lock().await;
        underway.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(underway.entry(digest).or_default())
    }
}

impl Error {
    fn of(digest: Digest, source: client::Error) -> Self {
        match source {
            client::Error::Refused { .. } => Self::Refused { digest, source },
            client::Error::Unreachable { .. } => Self::Unreachable { digest, source },
            client::Error::DigestMismatch { .. } | client::Error::SizeMismatch { .. } => {
                Self::Mismatch { digest, source }
            }
            client::Error::Local { .. } => Self::Local { digest, source },
        }
    }
}

/// Runs what blocks on the disk where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("blocking work is never cancelled"),
        },
    }
}

/// A place for what is missing, or nothing where the whole file is here.
fn begin(
    store: &ArtifactStore,
    reference: &ArtifactReference,
) -> Result<Option<StoreDestination>, Error> {
    match store.begin(OWNER, reference, Durability::Process).map_err(Error::Store)? {
        Begun::Complete => Ok(None),
        Begun::Partial(partial) => Ok(Some(StoreDestination { partial: Some(partial) })),
    }
}

/// Lets a download go on in the store's partial file.
struct StoreDestination {
    partial: Option<Partial>,
}

impl StoreDestination {
    fn partial(&mut self) -> std::io::Result<&mut Partial> {
        self.partial.as_mut().ok_or_else(|| std::io::Error::other("the download is complete"))
    }
}

impl Destination for StoreDestination {
    fn offset(&self) -> u64 {
        self.partial.as_ref().map_or(0, Partial::offset)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), destination::Error> {
        self.partial()?.append(bytes).map_err(refusal)
    }

    fn restart(&mut self) -> Result<(), destination::Error> {
        self.partial()?.restart().map_err(refusal)
    }

    fn complete(&mut self) -> Result<(), destination::Error> {
        let Some(partial) = self.partial.take() else { return Ok(()) };
        partial.commit(Durability::Process).map_err(refusal)
    }
}

fn refusal(error: artifact::Error) -> destination::Error {
    match error {
        artifact::Error::DigestMismatch { expected, found } => {
            destination::Error::DigestMismatch { expected, found }
        }
        artifact::Error::Io(error) => destination::Error::Io(error),
        other => destination::Error::Io(std::io::Error::other(other)),
    }
}

/// Whose partial files these are.
const OWNER: &str = "node";
