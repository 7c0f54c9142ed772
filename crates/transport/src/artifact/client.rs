//! Fetching and bringing artifacts, going on where a transfer broke.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use protocol::{ArtifactReference, Digest};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio_util::task::AbortOnDropHandle;

use super::destination::{self, Destination, FileDestination};
use super::{AT_ONCE, CHUNK, allocator, download, upload};
use identity::Protocol;

use crate::caller::introduction;
use crate::dial::explain;
use crate::{Address, BackOff, Identity, reach};

/// Transfers artifacts from and to one coordinator.
///
/// Every transfer has an HTTP/1.1 connection to itself and cannot hold up anything else; one that a short transfer
/// leaves in order is kept for the next, for a few seconds.
#[derive(Clone)]
pub struct ArtifactClient {
    kept: Arc<Mutex<Option<Kept>>>,
    address: Address,
    identity: Identity,
    settings: Settings,
    progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

/// How a client keeps at a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Attempts in a row that bring no byte before the transfer is given up.
    pub attempts: u32,
    /// Bound of the first delay between two attempts.
    pub first_delay: Duration,
    /// Bound of the longest.
    pub longest_delay: Duration,
    /// Longest silence of the other side within a transfer.
    pub silence: Duration,
    /// Seeds the chance in the delays.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(5),
            silence: Duration::from_secs(30),
            seed: 0,
        }
    }
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are across.
    pub done: u64,
    /// Bytes in all.
    pub size: u64,
}

/// Why a transfer did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The coordinator answered and refuses: for good, or too often in a row.
    #[error("coordinator refuses artifact {digest}: {status}, {sentence}")]
    Refused {
        /// The artifact.
        digest: Digest,
        /// The HTTP status.
        status: StatusCode,
        /// The coordinator's words.
        sentence: String,
    },
    /// What arrived is not what was asked for.
    #[error("artifact {expected} arrived with digest {found}")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what arrived.
        found: Digest,
    },
    /// The coordinator's file has another length than the reference says.
    #[error("artifact {digest} is announced with {found} bytes, {declared} are declared")]
    SizeMismatch {
        /// The artifact.
        digest: Digest,
        /// The declared length.
        declared: u64,
        /// The announced length.
        found: u64,
    },
    /// The file here cannot be read or written.
    #[error("the file of artifact {digest} cannot be used")]
    Local {
        /// The artifact.
        digest: Digest,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The coordinator did not answer, or the connection broke too often.
    #[error("artifact {digest} did not get across, the coordinator is not reachable")]
    Unreachable {
        /// The artifact.
        digest: Digest,
        /// What the network said last.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Says whether the coordinator answered at all; if not, the transfer may wait for it.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl ArtifactClient {
    /// Makes a client; nothing is dialled yet.
    pub fn new(address: Address, identity: impl Into<Identity>, settings: Settings) -> Self {
        allocator::expect_chunks();
        let identity = identity.into();
        Self { kept: Arc::default(), address, identity, settings, progress: None }
    }

    /// Tells `progress` of every piece that is across. It is called from the transfer itself and
    /// must not block.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Fetches an artifact into the file at `path`, going on from what an earlier call left.
    ///
    /// The file appears under its name once size and digest are checked.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Unreachable`] after too many attempts without a byte; the part that
    /// arrived stays beside `path`.
    pub async fn download(&self, reference: &ArtifactReference, path: &Path) -> Result<(), Error> {
        let digest = reference.digest;
        let (path, opened) = (path.to_owned(), reference.clone());
        let destination =
            tokio::task::spawn_blocking(move || FileDestination::open(&path, &opened))
                .await
                .map_err(|error| Error::Local { digest, source: error.into() })?
                .map_err(|source| Error::Local { digest, source })?;
        self.download_into(reference, Box::new(destination)).await
    }

    /// Fetches an artifact into `destination`, going on from its offset.
    ///
    /// # Errors
    ///
    /// As [`ArtifactClient::download`].
    pub async fn download_into(
        &self,
        reference: &ArtifactReference,
        destination: Box<dyn Destination>,
    ) -> Result<(), Error> {
        let mut destination = Some(destination);
        let mut retry = self.retry();
        loop {
            let attempt = download::attempt(self, reference, &mut destination).await;
            retry.after(attempt, reference).await?;
            if retry.is_done {
                return Ok(());
            }
        }
    }

    /// Brings the file at `path`, going on from what an earlier call brought.
    ///
    /// Returns once the coordinator has checked the digest and keeps the file.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Refused`] when the coordinator will not have it and [`Error::Local`] for a
    /// file that does not have the length of the reference.
    pub async fn upload(&self, reference: &ArtifactReference, path: &Path) -> Result<(), Error> {
        let mut retry = self.retry();
        let mut furthest = 0;
        // What does not get across in one piece is brought piece by piece.
        let mut at_once = reference.size <= AT_ONCE;
        loop {
            let attempt = if std::mem::take(&mut at_once) {
                upload::attempt_at_once(self, reference, path).await
            } else {
                upload::attempt(self, reference, path, &mut furthest).await
            };
            retry.after(attempt, reference).await?;
            if retry.is_done {
                return Ok(());
            }
        }
    }

    /// Asks for an artifact's length, `None` when the coordinator does not have it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Refused`] or [`Error::Unreachable`].
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let reference = ArtifactReference::new(*digest, 0);
        let unreachable = |source| Error::Unreachable { digest: *digest, source };
        let mut connection = self.open().await.map_err(unreachable)?;
        let request = self.request("HEAD", &reference.path(), Body::empty());
        let response = connection.send(request).await.map_err(unreachable)?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(header_number(&response, header::CONTENT_LENGTH)),
            _ => Err(refused(digest, response).await),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn tell(&self, done: u64, size: u64) {
        if let Some(progress) = &self.progress {
            progress(Progress { done, size });
        }
    }

    pub(super) fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.authority());
        if let Identity::InsecureLoopback(caller) = &self.identity {
            let (name, value) = introduction(caller);
            request = request.header(name, value);
        }
        request.body(body).unwrap_or_else(|_| Request::new(Body::empty()))
    }

    /// Takes the connection that an earlier transfer has left, if it may still be in order.
    pub(super) fn take_kept(&self) -> Option<Connection> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let is_fresh = kept.since.elapsed() < LONGEST_REST && kept.connection.sender.is_ready();
        is_fresh.then_some(kept.connection)
    }

    /// Keeps a connection whose last answer has been read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        // The clock of the machine measures, and decides nothing that must be replayed.
        let kept = Kept { connection, since: Instant::now() };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    /// Sends a request that may be repeated, over the kept connection or, where that has ended meanwhile, a new one.
    pub(super) async fn send_again(
        &self,
        request: impl Fn() -> Request<Body>,
    ) -> Result<(Connection, Response<Incoming>), Broken> {
        if let Some(mut connection) = self.take_kept() {
            match connection.send(request()).await {
                Ok(response) => return Ok((connection, response)),
                Err(error) => tracing::debug!(%error, "a kept connection had ended"),
            }
        }
        let mut connection = self.open().await?;
        let response = connection.send(request()).await?;
        Ok((connection, response))
    }

    /// Opens a connection for one transfer.
    pub(super) async fn open(&self) -> Result<Connection, Broken> {
        let opening = async {
            let way = self.identity.way(&self.address, Protocol::Http1)?;
            let connected = reach::connect(&self.address, &way).await;
            let stream = connected.map_err(|error| explain(&self.address, error))?;
            let mut builder = http1::Builder::new();
            builder.max_buf_size(CHUNK);
            let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
            let driver = AbortOnDropHandle::new(tokio::spawn(async {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "an artifact's connection ended early");
                }
            }));
            Ok(Connection { sender, silence: self.settings.silence, _driver: driver })
        };
        tokio::time::timeout(self.settings.silence, opening).await?
    }

    fn retry(&self) -> Retry {
        let Settings { attempts, first_delay, longest_delay, seed, .. } = self.settings;
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let back_off = BackOff::new(first_delay, longest_delay, rng);
        Retry { left: attempts, attempts, back_off, is_done: false }
    }
}

/// What breaks a connection.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// How one attempt at a transfer ended early.
pub(super) enum Failure {
    /// No other attempt would end otherwise.
    Final(Error),
    /// The connection broke; `moved` says whether a byte got across before.
    Broken { source: Broken, moved: bool },
}

/// A connection between two transfers.
struct Kept {
    connection: Connection,
    since: Instant,
}

/// One connection; dropping it closes it.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    silence: Duration,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// Sends a request without a long body and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Broken> {
        let silence = self.silence;
        Ok(tokio::time::timeout(silence, self.send_long(request)).await??)
    }

    /// Sends a request whose body takes its own time.
    pub(super) async fn send_long(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

struct Retry {
    attempts: u32,
    left: u32,
    back_off: BackOff<ChaCha8Rng>,
    is_done: bool,
}

impl Retry {
    /// Judges an attempt: done, given up, or to be made again after a delay.
    async fn after(
        &mut self,
        attempt: Result<(), Failure>,
        reference: &ArtifactReference,
    ) -> Result<(), Error> {
        let (source, moved) = match attempt {
            Ok(()) => {
                self.is_done = true;
                return Ok(());
            }
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Broken { source, moved }) => (source, moved),
        };
        if moved {
            self.left = self.attempts;
            self.back_off.reset();
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Err(given_up(reference.digest, source));
        }
        tokio::time::sleep(self.back_off.next_delay()).await;
        Ok(())
    }
}

/// A coordinator that answered, if only to say "later", was reachable.
fn given_up(digest: Digest, source: Broken) -> Error {
    match source.downcast::<Error>() {
        Ok(answered) => *answered,
        Err(source) => Error::Unreachable { digest, source },
    }
}

/// Judges an answer that is no success: busy, too many and out of order may pass, the rest will not.
pub(super) async fn judge(digest: &Digest, response: Response<Incoming>) -> Failure {
    let may_pass = matches!(
        response.status(),
        StatusCode::CONFLICT
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
    );
    let error = refused(digest, response).await;
    if may_pass {
        Failure::Broken { source: Box::new(error), moved: false }
    } else {
        Failure::Final(error)
    }
}

async fn refused(digest: &Digest, response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_WORDS).collect();
    let words = match tokio::time::timeout(Duration::from_secs(1), body).await {
        Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        _ => String::new(),
    };
    Error::Refused { digest: *digest, status, sentence: words }
}

pub(super) fn header_number(
    response: &Response<Incoming>,
    name: header::HeaderName,
) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

pub(super) fn local(digest: &Digest, error: destination::Error) -> Error {
    match error {
        destination::Error::DigestMismatch { expected, found } => {
            Error::DigestMismatch { expected, found }
        }
        destination::Error::Io(source) => Error::Local { digest: *digest, source },
    }
}

/// How long a connection is kept for the next transfer: shorter than the coordinator waits for one.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Most bytes of a refusal's words that are read.
const MOST_WORDS: usize = 1 << 10;
