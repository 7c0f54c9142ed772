//! One connection: which protocol it speaks, then its requests.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use identity::{Certified, Time};
use protocol::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::crowd::Place;
use super::security::{Peer, Refused, Tls};
use super::{PeerAddress, Settings};
use crate::artifact::CHUNK;

/// Whose connection it is.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) address: SocketAddr,
    pub(super) peer: Peer,
}

/// What ends a connection early.
type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Serves a connection that is not encrypted until it ends, or until the server closes and its open requests are done.
pub(super) async fn serve_plain(
    stream: TcpStream,
    guest: Guest,
    router: Router,
    settings: Settings,
    closed: watch::Receiver<bool>,
) -> Ended {
    stream.set_nodelay(true)?;
    serve(stream, guest, router, settings, closed).await
}

/// Encrypts a connection, then serves it as [`serve_plain`] does: no longer than its peer is a member, than its
/// certificate is good, and, where it shows none of a member, than it takes to enrol.
pub(super) async fn serve_encrypted(
    stream: TcpStream,
    ((address, place), tls): ((SocketAddr, &mut Place), Tls),
    router: Router,
    settings: Settings,
    mut closed: watch::Receiver<bool>,
) -> Ended {
    stream.set_nodelay(true)?;
    let accepting = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(settings.handshake_timeout, accepting) => accepted?,
        _ = closed.wait_for(|closed| *closed) => return Ok(()),
    };
    let stream = accepted.inspect_err(|error| {
        tls.roster.refused(address, &Refused::Handshake(error.to_string()));
    })?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let Some(certificate) = shown else {
        let guest = Guest { address, peer: Peer::Stranger(tls) };
        let serving = serve(stream, guest, router, settings, closed);
        return tokio::time::timeout(settings.stranger_timeout, serving).await?;
    };
    let certified = Arc::new(Certified::read(certificate)?);
    if !tls.roster.admits(&certified) {
        // Each request is refused, in words that whoever was put out understands.
        let guest = Guest { address, peer: Peer::Certified(tls, certified) };
        let serving = serve(stream, guest, router, settings, closed);
        return tokio::time::timeout(settings.stranger_timeout, serving).await?;
    }
    place.recognise();
    let presence = tls.connections.enter(&certified.member);
    let expiring = expire(tls.time.clone(), certified.expires_at);
    let guest = Guest { address, peer: Peer::Certified(tls, certified) };
    tokio::select! {
        ended = serve(stream, guest, router, settings, closed) => ended,
        () = presence.closed() => Err("its member was put out".into()),
        () = expiring => Err("its certificate has expired".into()),
    }
}

/// Waits until a certificate has expired by a clock that may be set meanwhile.
async fn expire(time: Time, at: Timestamp) {
    loop {
        let left = time.now().until(at);
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    guest: Guest,
    router: Router,
    settings: Settings,
    mut closed: watch::Receiver<bool>,
) -> Ended {
    let stream = tokio::select! {
        opened = open(stream, settings) => opened?,
        _ = closed.wait_for(|closed| *closed) => return Ok(()),
    };
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let (router, guest) = (router.clone(), guest.clone());
        let is_short = header_bytes(&request) <= u64::from(settings.header_bytes);
        async move {
            if !is_short {
                return Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response());
            }
            request.extensions_mut().insert(PeerAddress(guest.address));
            request.extensions_mut().insert(guest.peer);
            router.oneshot(request.map(Body::new)).await
        }
    });
    let builder = builder(&settings);
    let mut serving =
        std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        ended = serving.as_mut() => return ended,
        _ = closed.wait_for(|closed| *closed) => serving.as_mut().graceful_shutdown(),
    }
    serving.await
}

/// HTTP/1 has one bound for headers and body together, which is far above what headers need.
fn header_bytes(request: &Request<Incoming>) -> u64 {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    (path + headers) as u64
}

fn builder(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(CHUNK)
        .max_headers(MOST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.keep_alive_interval)
        .keep_alive_timeout(settings.keep_alive_timeout)
        .max_concurrent_streams(settings.concurrent_calls)
        .max_header_list_size(settings.header_bytes);
    builder
}

/// Reads until it is clear which protocol the peer speaks: hyper would wait for that without end.
async fn open<S: AsyncRead + Unpin>(mut stream: S, settings: Settings) -> io::Result<Stream<S>> {
    let mut preface = Vec::with_capacity(PREFACE.len());
    let reading = async {
        while preface.len() < PREFACE.len() && PREFACE.starts_with(&preface) {
            let missing = (PREFACE.len() - preface.len()) as u64;
            if (&mut stream).take(missing).read_buf(&mut preface).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        Ok(())
    };
    tokio::time::timeout(settings.handshake_timeout, reading).await??;
    Ok(Stream { preface, read: 0, stream, stall_timeout: settings.stall_timeout, stalled: None })
}

/// A stream whose first bytes were read already, and on which a peer may not stop taking bytes.
struct Stream<S> {
    preface: Vec<u8>,
    read: usize,
    stream: S,
    stall_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Stream<S> {
    fn watch_stall<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let timeout = self.stall_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.preface[self.read..];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_stall(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch_stall(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What a peer that speaks HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest time between two looks at the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Most headers of an HTTP/1 request.
const MOST_HEADERS: usize = 64;
