//! One attempt at an upload.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use protocol::ArtifactReference;

use super::client::{ArtifactClient, Broken, Connection, Error, Failure, judge};
use super::read_ahead::send;
use super::routes::{BeginUpload, UPLOAD_OFFSET, UploadState};

/// Brings a short file in one request.
pub(super) async fn attempt_at_once(
    client: &ArtifactClient,
    reference: &ArtifactReference,
    path: &Path,
) -> Result<(), Failure> {
    let digest = reference.digest;
    let local = |source| Failure::Final(Error::Local { digest, source });
    let broken = |source| Failure::Broken { source, moved: false };
    let (owned, size) = (path.to_owned(), reference.size);
    let reading = tokio::task::spawn_blocking(move || read(&owned, size));
    let bytes = reading.await.map_err(|error| local(error.into()))?.map_err(local)?;
    let put = || client.request("PUT", &reference.path(), Body::from(bytes.clone()));
    let (connection, response) = client.send_again(put).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(judge(&digest, response).await);
    }
    let rest = Limited::new(response.into_body(), MOST_STATE).collect();
    if matches!(tokio::time::timeout(client.settings().silence, rest).await, Ok(Ok(_))) {
        client.keep(connection);
    }
    client.tell(size, size);
    Ok(())
}

fn read(path: &Path, size: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    open(path, size)?.take(size).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Brings what is missing; `furthest` is how far the coordinator was when it was last asked.
pub(super) async fn attempt(
    client: &ArtifactClient,
    reference: &ArtifactReference,
    path: &Path,
    furthest: &mut u64,
) -> Result<(), Failure> {
    let broken = |source| Failure::Broken { source, moved: false };
    let mut connection = client.open().await.map_err(broken)?;
    let state = begin(client, &mut connection, reference).await?;
    if state.complete {
        client.tell(reference.size, reference.size);
        return Ok(());
    }
    // Bytes that left this machine prove nothing; only what the coordinator says it has does.
    let moved = state.offset > *furthest;
    *furthest = state.offset.max(*furthest);
    let appended = append(client, &mut connection, reference, path, &state).await;
    appended.map_err(|failure| match failure {
        Failure::Broken { source, .. } => Failure::Broken { source, moved },
        failure @ Failure::Final(_) => failure,
    })
}

async fn begin(
    client: &ArtifactClient,
    connection: &mut Connection,
    reference: &ArtifactReference,
) -> Result<UploadState, Failure> {
    let broken = |source| Failure::Broken { source, moved: false };
    let wanted = BeginUpload { digest: reference.digest, size: reference.size };
    let body = serde_json::to_vec(&wanted).expect("a struct of plain fields is JSON");
    let request = client.request("POST", "/uploads", Body::from(body));
    let response = connection.send(request).await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(judge(&reference.digest, response).await);
    }
    read_state(response, client).await.map_err(broken)
}

async fn read_state(
    response: Response<Incoming>,
    client: &ArtifactClient,
) -> Result<UploadState, Broken> {
    let reading = Limited::new(response.into_body(), MOST_STATE).collect();
    let body = tokio::time::timeout(client.settings().silence, reading).await??;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

async fn append(
    client: &ArtifactClient,
    connection: &mut Connection,
    reference: &ArtifactReference,
    path: &Path,
    state: &UploadState,
) -> Result<(), Failure> {
    let digest = reference.digest;
    let start = state.offset;
    let local = |source| Failure::Final(Error::Local { digest, source });
    let (owned, size) = (path.to_owned(), reference.size);
    let file = tokio::task::spawn_blocking(move || open(&owned, size));
    let file = file.await.map_err(|error| local(error.into()))?.map_err(local)?;
    let Some(missing) = reference.size.checked_sub(start) else {
        let source = "the coordinator has more bytes than the artifact".into();
        return Err(Failure::Broken { source, moved: false });
    };
    let sent = Arc::new(AtomicU64::new(start));
    let body = counted(send(file, start, missing), client, reference, &sent);
    let target = format!("/uploads/{}", state.id);
    let mut request = client.request("PATCH", &target, body);
    request.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(start));
    request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(missing));
    let sending = connection.send_long(request);
    let answer = within_silence(sending, client, &sent).await;
    let broken = |source| Failure::Broken { source, moved: false };
    let response = answer.map_err(broken)?;
    match response.status() {
        StatusCode::OK => Ok(()),
        status if status.is_success() => Err(broken("the coordinator took a part only".into())),
        _ => Err(judge(&digest, response).await),
    }
}

/// A file of another length cannot have the digest, and would break the request off in the middle.
fn open(path: &Path, size: u64) -> io::Result<File> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found == size {
        return Ok(file);
    }
    let words = format!("the file has {found} bytes, its reference says {size}");
    Err(io::Error::new(io::ErrorKind::InvalidData, words))
}

/// Counts what the connection takes of the body.
fn counted(
    body: Body,
    client: &ArtifactClient,
    reference: &ArtifactReference,
    sent: &Arc<AtomicU64>,
) -> Body {
    let (client, size, sent) = (client.clone(), reference.size, Arc::clone(sent));
    Body::new(body.map_frame(move |frame| {
        let count = frame.data_ref().map_or(0, Bytes::len) as u64;
        let done = sent.fetch_add(count, Ordering::Relaxed) + count;
        client.tell(done, size);
        frame
    }))
}

/// Waits for the answer as long as bytes still go out, and for one silence after the last.
async fn within_silence(
    sending: impl Future<Output = hyper::Result<Response<Incoming>>>,
    client: &ArtifactClient,
    sent: &AtomicU64,
) -> Result<Response<Incoming>, Broken> {
    let mut sending = std::pin::pin!(sending);
    loop {
        let before = sent.load(Ordering::Relaxed);
        match tokio::time::timeout(client.settings().silence, sending.as_mut()).await {
            Ok(answer) => return Ok(answer?),
            Err(elapsed) if sent.load(Ordering::Relaxed) == before => return Err(elapsed.into()),
            Err(_) => {}
        }
    }
}

/// Most bytes of the answer that says where an upload stands.
const MOST_STATE: usize = 4 << 10;
