//! One attempt at a download.

use std::cmp::Ordering;

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use protocol::ArtifactReference;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::client::{ArtifactClient, Broken, Error, Failure, header_number, judge, local};
use super::destination::{self, Destination};
use super::{AT_ONCE, CHUNKS_WAITING};

/// Fetches what is missing; `destination` is empty only while this runs.
pub(super) async fn attempt(
    client: &ArtifactClient,
    reference: &ArtifactReference,
    destination: &mut Option<Box<dyn Destination>>,
) -> Result<(), Failure> {
    let mut taken = destination.take().expect("every attempt gives the destination back");
    let start = taken.offset();
    let mut broken = None;
    if start == 0 && reference.size <= AT_ONCE {
        return at_once(client, reference, taken, destination).await;
    }
    if start < reference.size {
        match ask(client, reference, start).await {
            Ok((response, is_whole)) => {
                let writing = write(taken, is_whole, client, reference);
                let (chunks, written) = writing;
                broken = receive(response, &chunks, client).await.err();
                drop(chunks);
                let (back, result) = written.await.map_err(|error| {
                    let source = std::io::Error::from(error);
                    Failure::Final(Error::Local { digest: reference.digest, source })
                })?;
                taken = back;
                if let Err(error) = result {
                    *destination = Some(taken);
                    return Err(Failure::Final(error));
                }
            }
            Err(failure) => {
                *destination = Some(taken);
                return Err(failure);
            }
        }
    }
    let offset = taken.offset();
    if offset < reference.size {
        *destination = Some(taken);
        let source = broken.unwrap_or_else(|| "the answer ended early".into());
        return Err(Failure::Broken { source, moved: offset > start });
    }
    finish(taken, reference, start, destination).await
}

/// Fetches a short file whole; what does not arrive whole is forgotten.
async fn at_once(
    client: &ArtifactClient,
    reference: &ArtifactReference,
    mut taken: Box<dyn Destination>,
    destination: &mut Option<Box<dyn Destination>>,
) -> Result<(), Failure> {
    match fetch_at_once(client, reference).await {
        Ok(bytes) => {
            client.tell(reference.size, reference.size);
            let digest = reference.digest;
            let writing = spawn_blocking(move || {
                let written = taken.append(&bytes).and_then(|()| taken.complete());
                (taken, written)
            });
            let (taken, written) = writing
                .await
                .map_err(|error| Failure::Final(Error::Local { digest, source: error.into() }))?;
            *destination = Some(taken);
            written.map_err(|error| Failure::Final(local(&digest, error)))
        }
        Err(failure) => {
            *destination = Some(taken);
            Err(failure)
        }
    }
}

async fn fetch_at_once(
    client: &ArtifactClient,
    reference: &ArtifactReference,
) -> Result<Bytes, Failure> {
    let broken = |source| Failure::Broken { source, moved: false };
    let get = || client.request("GET", &reference.path(), Body::empty());
    let (connection, response) = client.send_again(get).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(judge(&reference.digest, response).await);
    }
    check_announcement(&response, reference, reference.size)?;
    let limit = usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
    let reading = Limited::new(response.into_body(), limit).collect();
    let arrived = tokio::time::timeout(client.settings().silence, reading).await;
    let bytes = arrived.map_err(|error| broken(error.into()))?.map_err(broken)?.to_bytes();
    client.keep(connection);
    let found = bytes.len() as u64;
    match found.cmp(&reference.size) {
        Ordering::Equal => Ok(bytes),
        Ordering::Less => Err(broken("the answer ended early".into())),
        Ordering::Greater => Err(Failure::Final(Error::SizeMismatch {
            digest: reference.digest,
            declared: reference.size,
            found,
        })),
    }
}

/// Asks for the bytes from `start` on; says whether the answer begins at the beginning instead.
async fn ask(
    client: &ArtifactClient,
    reference: &ArtifactReference,
    start: u64,
) -> Result<(Answer, bool), Failure> {
    let broken = |source| Failure::Broken { source, moved: false };
    let mut connection = client.open().await.map_err(broken)?;
    let mut request = client.request("GET", &reference.path(), Body::empty());
    if start > 0 {
        let range = format!("bytes={start}-").parse().expect("digits are fit for a header");
        request.headers_mut().insert(header::RANGE, range);
    }
    let response = connection.send(request).await.map_err(broken)?;
    let is_whole = match response.status() {
        StatusCode::OK => true,
        StatusCode::PARTIAL_CONTENT => false,
        _ => return Err(judge(&reference.digest, response).await),
    };
    let expected = if is_whole { reference.size } else { reference.size - start };
    check_announcement(&response, reference, expected)?;
    Ok((Answer { response, _connection: connection }, is_whole))
}

/// An answer and the connection that it arrives on.
struct Answer {
    response: Response<Incoming>,
    _connection: super::client::Connection,
}

fn check_announcement(
    response: &Response<Incoming>,
    reference: &ArtifactReference,
    expected: u64,
) -> Result<(), Failure> {
    let found = header_number(response, header::CONTENT_LENGTH);
    if found.is_none_or(|found| found == expected) {
        return Ok(());
    }
    let found = reference.size - expected + found.unwrap_or(0);
    let (digest, declared) = (reference.digest, reference.size);
    Err(Failure::Final(Error::SizeMismatch { digest, declared, found }))
}

async fn receive(
    answer: Answer,
    chunks: &mpsc::Sender<Bytes>,
    client: &ArtifactClient,
) -> Result<(), Broken> {
    let Answer { response, _connection } = answer;
    let mut body = response.into_body();
    let silence = client.settings().silence;
    while let Some(frame) = tokio::time::timeout(silence, body.frame()).await? {
        let Ok(bytes) = frame?.into_data() else { continue };
        if chunks.send(bytes).await.is_err() {
            // The writer has stopped and says why.
            return Ok(());
        }
    }
    Ok(())
}

type Written = (Box<dyn Destination>, Result<(), Error>);

/// Writes and hashes on a thread of its own, a few chunks behind the network.
fn write(
    mut destination: Box<dyn Destination>,
    from_start: bool,
    client: &ArtifactClient,
    reference: &ArtifactReference,
) -> (mpsc::Sender<Bytes>, tokio::task::JoinHandle<Written>) {
    let (chunks, mut arriving) = mpsc::channel::<Bytes>(CHUNKS_WAITING);
    let (client, reference) = (client.clone(), reference.clone());
    let writing = spawn_blocking(move || {
        let result = (|| {
            if from_start && destination.offset() > 0 {
                destination.restart().map_err(|error| local(&reference.digest, error))?;
            }
            while let Some(bytes) = arriving.blocking_recv() {
                take(&mut *destination, &bytes, &reference)?;
                client.tell(destination.offset(), reference.size);
            }
            Ok(())
        })();
        (destination, result)
    });
    (chunks, writing)
}

fn take(
    destination: &mut dyn Destination,
    bytes: &[u8],
    reference: &ArtifactReference,
) -> Result<(), Error> {
    let digest = reference.digest;
    let found = destination.offset() + bytes.len() as u64;
    if found > reference.size {
        return Err(Error::SizeMismatch { digest, declared: reference.size, found });
    }
    destination.append(bytes).map_err(|error| local(&digest, error))
}

async fn finish(
    mut taken: Box<dyn Destination>,
    reference: &ArtifactReference,
    start: u64,
    destination: &mut Option<Box<dyn Destination>>,
) -> Result<(), Failure> {
    let completing = spawn_blocking(move || {
        let completed = taken.complete();
        // What an earlier download left may be what is wrong: the next attempt starts afresh.
        let result = match completed {
            Err(destination::Error::DigestMismatch { .. }) if start > 0 => {
                taken.restart().map(|()| Completion::StartAfresh)
            }
            completed => completed.map(|()| Completion::Done),
        };
        (taken, result)
    });
    let digest = reference.digest;
    let (taken, result) = completing
        .await
        .map_err(|error| Failure::Final(Error::Local { digest, source: error.into() }))?;
    *destination = Some(taken);
    match result {
        Ok(Completion::Done) => Ok(()),
        Ok(Completion::StartAfresh) => {
            let source = "what an earlier download left was damaged".into();
            Err(Failure::Broken { source, moved: true })
        }
        Err(error) => Err(Failure::Final(local(&digest, error))),
    }
}

enum Completion {
    Done,
    StartAfresh,
}
