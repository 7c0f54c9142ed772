//! The coordinator's side of artifacts over HTTP.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, head, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use protocol::{ArtifactReference, Digest};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::range::{self, Selection};
use super::read_ahead::send;
use super::shelf::{Access, ArtifactShelf, Begun, OpenArtifact, ShelfError, Upload};
use super::{AT_ONCE, CHUNKS_WAITING, allocator};
use crate::Caller;

/// Makes the routes over `shelf`.
///
/// They expect a [`Caller`] in every request's extensions, which
/// [`require_caller`](crate::caller::require_caller) puts there; without one they refuse.
/// An upload that brings no byte for `silence` is let go; what arrived stays.
pub fn routes(shelf: Arc<dyn ArtifactShelf>, silence: Duration) -> Router {
    allocator::expect_chunks();
    let state = Served { shelf, silence };
    Router::new()
        .route("/artifacts/{digest}", get(download).put(put))
        .route("/uploads", post(begin))
        .route("/uploads/{id}", head(offset).patch(append))
        .with_state(state)
}

/// The body of `POST /uploads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginUpload {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// The answer to `POST /uploads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadState {
    /// Empty when the file is complete.
    pub(super) id: String,
    pub(super) offset: u64,
    pub(super) complete: bool,
}

/// Where an upload stands, in both directions.
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// The length an upload will have.
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

#[derive(Clone)]
struct Served {
    shelf: Arc<dyn ArtifactShelf>,
    silence: Duration,
}

/// Why a request is refused: a status and a sentence that is fit for every caller.
struct Refusal {
    status: StatusCode,
    sentence: String,
    offset: Option<u64>,
}

async fn download(
    State(served): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let digest: Digest = digest.parse().map_err(Refusal::malformed)?;
    let shelf = Arc::clone(&served.shelf);
    let artifact = blocking(move || {
        if shelf.allows(&caller, &Access::Read(digest))? {
            Loaded::from(shelf.open(&digest)?)
        } else {
            Err(Refusal::forbidden())
        }
    })
    .await?;
    let etag = format!("\"{digest}\"");
    let mut response = if range::is_known(&headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        content(artifact, &method, &headers, &etag)
    };
    let etag = HeaderValue::from_str(&etag).expect("a digest has no character a header refuses");
    response.headers_mut().insert(ETAG, etag);
    Ok(response)
}

async fn put(
    State(served): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let digest: Digest = digest.parse().map_err(Refusal::malformed)?;
    let limit = usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
    let reading = Limited::new(body, limit).collect();
    let arrived = tokio::time::timeout(served.silence, reading)
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the file does not arrive"))?;
    let bytes = arrived.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => ShelfError::TooLong.into(),
        None => Refusal::malformed(error),
    })?;
    let bytes = bytes.to_bytes();
    blocking(move || {
        let reference = ArtifactReference::new(digest, bytes.len() as u64);
        if !served.shelf.allows(&caller, &Access::Write(reference.clone()))? {
            return Err(Refusal::forbidden());
        }
        Ok(served.shelf.put(&caller, &reference, &bytes)?)
    })
    .await?;
    Ok(StatusCode::OK)
}

async fn begin(
    State(served): State<Served>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, Refusal> {
    let reading = Limited::new(body, MOST_JSON).collect();
    let body = tokio::time::timeout(served.silence, reading)
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request does not arrive"))?
        .map_err(Refusal::malformed)?;
    let BeginUpload { digest, size } =
        serde_json::from_slice(&body.to_bytes()).map_err(Refusal::malformed)?;
    let reference = ArtifactReference::new(digest, size);
    let begun = blocking(move || {
        if served.shelf.allows(&caller, &Access::Write(reference.clone()))? {
            Ok(served.shelf.begin(&caller, &reference)?)
        } else {
            Err(Refusal::forbidden())
        }
    })
    .await?;
    let state = match begun {
        Begun::Complete => UploadState { id: String::new(), offset: size, complete: true },
        Begun::Partial { id, offset } => UploadState { id, offset, complete: false },
    };
    let mut response = json(&state);
    if !state.complete {
        *response.status_mut() = StatusCode::CREATED;
        let location = HeaderValue::from_str(&format!("/uploads/{}", state.id));
        response.headers_mut().extend(location.ok().map(|location| (LOCATION, location)));
    }
    Ok(response)
}

async fn offset(
    State(served): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let upload = blocking(move || take_up(&*served.shelf, &caller, &id)).await?;
    let mut response = StatusCode::OK.into_response();
    response.headers_mut().insert(UPLOAD_OFFSET, upload.offset().into());
    response.headers_mut().insert(UPLOAD_LENGTH, upload.reference().size.into());
    Ok(response)
}

async fn append(
    State(served): State<Served>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, Refusal> {
    let at = number(&headers, &UPLOAD_OFFSET)
        .ok_or_else(|| Refusal::malformed("the upload's offset is not stated"))?;
    let coming = number(&headers, &CONTENT_LENGTH).unwrap_or(0);
    let shelf = Arc::clone(&served.shelf);
    let upload = blocking(move || take_up(&*shelf, &caller, &id)).await?;
    if upload.offset() != at {
        return Err(Refusal::at_offset(upload.offset()));
    }
    let size = upload.reference().size;
    if coming > size - at {
        return Err(ShelfError::TooLong.into());
    }
    let (chunks, arriving) = mpsc::channel(CHUNKS_WAITING);
    let keeping = spawn_blocking(move || keep(upload, arriving));
    let arrived = receive(&mut body, &chunks, served.silence).await;
    if arrived.is_ok() && chunks.send(Chunk::End).await.is_err() {
        // The keeper has refused already and says why.
    }
    drop(chunks);
    let kept = keeping.await.map_err(|_| Refusal::unavailable())??;
    arrived?;
    let status = if kept == size { StatusCode::OK } else { StatusCode::NO_CONTENT };
    let mut response = status.into_response();
    response.headers_mut().insert(UPLOAD_OFFSET, kept.into());
    Ok(response)
}

/// What goes from the network to the disk.
enum Chunk {
    Bytes(Bytes),
    /// The request's body arrived whole; without it the connection broke.
    End,
}

async fn receive(
    body: &mut Body,
    chunks: &mpsc::Sender<Chunk>,
    silence: Duration,
) -> Result<(), Refusal> {
    let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "no more bytes arrive");
    while let Some(frame) = tokio::time::timeout(silence, body.frame()).await.map_err(|_| late())? {
        let Ok(bytes) = frame.map_err(Refusal::malformed)?.into_data() else { continue };
        if chunks.send(Chunk::Bytes(bytes)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Writes what arrives and, where that completes the file, commits it; returns the new offset.
fn keep(
    mut upload: Box<dyn Upload>,
    mut arriving: mpsc::Receiver<Chunk>,
) -> Result<u64, ShelfError> {
    while let Some(chunk) = arriving.blocking_recv() {
        match chunk {
            Chunk::Bytes(bytes) => upload.append(&bytes)?,
            Chunk::End => {
                let offset = upload.offset();
                if offset == upload.reference().size {
                    upload.commit()?;
                }
                return Ok(offset);
            }
        }
    }
    Ok(upload.offset())
}

/// An upload is the caller's own and is still allowed, or it is not here.
fn take_up(
    shelf: &dyn ArtifactShelf,
    caller: &Caller,
    id: &str,
) -> Result<Box<dyn Upload>, Refusal> {
    let upload = shelf.resume(caller, id)?;
    if shelf.allows(caller, &Access::Write(upload.reference()))? {
        Ok(upload)
    } else {
        Err(Refusal::forbidden())
    }
}

/// A file that is about to be served: short ones are read where they were opened.
enum Loaded {
    Short(Bytes),
    Long(OpenArtifact),
}

impl Loaded {
    fn from(artifact: OpenArtifact) -> Result<Self, Refusal> {
        let Some(length) = usize::try_from(artifact.size).ok().filter(|_| artifact.size <= AT_ONCE)
        else {
            return Ok(Self::Long(artifact));
        };
        let mut bytes = vec![0; length];
        artifact
            .file
            .read_exact_at(&mut bytes, 0)
            .map_err(|error| ShelfError::Unavailable(error.into()))?;
        Ok(Self::Short(bytes.into()))
    }

    fn size(&self) -> u64 {
        match self {
            Self::Short(bytes) => bytes.len() as u64,
            Self::Long(artifact) => artifact.size,
        }
    }

    /// A part that lies within the file.
    fn part(self, start: u64, length: u64) -> Body {
        match self {
            Self::Short(bytes) => {
                let place = |at| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Body::from(bytes.slice(place(start)..place(start + length)))
            }
            Self::Long(artifact) => send(artifact.file, start, length),
        }
    }
}

fn content(artifact: Loaded, method: &Method, headers: &HeaderMap, etag: &str) -> Response {
    let size = artifact.size();
    let (status, start, length) = match range::select(headers, size, etag) {
        Selection::Whole => (StatusCode::OK, 0, size),
        Selection::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Selection::Unsatisfiable => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            response.headers_mut().insert(CONTENT_RANGE, text(&format!("bytes */{size}")));
            return response;
        }
    };
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => artifact.part(start, length),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let last = start + length - 1;
        headers.insert(CONTENT_RANGE, text(&format!("bytes {start}-{last}/{size}")));
    }
    response
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(Refusal::unavailable()))
}

fn json(body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("a struct of plain fields is JSON");
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("digits and signs are fit for a header")
}

impl Refusal {
    fn new(status: StatusCode, sentence: impl ToString) -> Self {
        Self { status, sentence: sentence.to_string(), offset: None }
    }

    fn malformed(why: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "the caller has no open request for this artifact")
    }

    fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the coordinator cannot use its artifacts")
    }

    fn at_offset(offset: u64) -> Self {
        let sentence = "the upload stands at another offset";
        Self { offset: Some(offset), ..Self::new(StatusCode::CONFLICT, sentence) }
    }
}

impl From<ShelfError> for Refusal {
    fn from(error: ShelfError) -> Self {
        let status = match &error {
            ShelfError::Absent => StatusCode::NOT_FOUND,
            ShelfError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            ShelfError::DigestMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            ShelfError::Busy => StatusCode::CONFLICT,
            ShelfError::TooMany => StatusCode::TOO_MANY_REQUESTS,
            ShelfError::Full => StatusCode::INSUFFICIENT_STORAGE,
            ShelfError::Unavailable(cause) => {
                tracing::error!(%cause, "the artifacts cannot be used");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.sentence).into_response();
        if let Some(offset) = self.offset {
            response.headers_mut().insert(UPLOAD_OFFSET, offset.into());
        }
        response
    }
}

/// Most bytes of a request that begins an upload.
const MOST_JSON: usize = 4 << 10;
