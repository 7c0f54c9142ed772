//! One port that serves gRPC and HTTP together.

mod connection;
mod crowd;
pub mod security;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;

use self::crowd::{Crowd, Place};
use self::security::{Peer, Security};
use crate::address::{self, Address, LoopbackAddress};
use crate::caller::{is_grpc, require_caller};

/// A bound port, not yet accepting.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    security: Security,
    settings: Settings,
}

/// What a server allows its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most connections at once from one address; a further one is closed as it comes.
    pub connections_per_address: usize,
    /// Most connections at once.
    pub connections: usize,
    /// Most connections at once from one address that have shown no member's certificate, or not yet; a further one is
    /// closed as it comes, before it is encrypted.
    pub strangers_per_address: usize,
    /// Most of them at once.
    pub strangers: usize,
    /// Longest time until a new connection is encrypted, and then until it has said which protocol it speaks.
    pub handshake_timeout: Duration,
    /// Longest life of a connection whose peer has shown no member's certificate: long enough to enrol.
    pub stranger_timeout: Duration,
    /// Longest time until a request's headers are complete, and of silence between two requests.
    pub header_timeout: Duration,
    /// Longest time in which a caller takes none of the bytes it is sent.
    pub stall_timeout: Duration,
    /// Most bytes of a request's headers.
    pub header_bytes: u32,
    /// Most gRPC calls at once on one connection.
    pub concurrent_calls: u32,
    /// Silence after which a gRPC caller is asked whether it is there.
    pub keep_alive_interval: Duration,
    /// Longest wait for its answer; then the line is down.
    pub keep_alive_timeout: Duration,
    /// Longest time that open requests have to end after the shutdown began.
    pub shutdown_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections_per_address: 256,
            connections: 1024,
            strangers_per_address: 64,
            strangers: 256,
            handshake_timeout: Duration::from_secs(10),
            stranger_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            header_bytes: 16 << 10,
            concurrent_calls: 256,
            keep_alive_interval: Duration::from_secs(1),
            keep_alive_timeout: Duration::from_secs(3),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address may not be listened on.
    #[error(transparent)]
    Address(#[from] address::Error),
    /// The address is taken, or the system refuses it.
    #[error("address {address} cannot be listened on")]
    Unusable {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The address a connection comes from; in the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Most bytes of one gRPC message; what is larger travels as an artifact.
///
/// A generated service takes it by `max_decoding_message_size`.
pub const MESSAGE_LIMIT: usize = 4 << 20;

impl Server {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Address`] for an address that other machines can reach, unless connections are encrypted.
    pub async fn bind(
        address: SocketAddr,
        security: Security,
        settings: Settings,
    ) -> Result<Self, Error> {
        if matches!(security, Security::InsecureLoopback) {
            LoopbackAddress::try_from(address)?;
        }
        let unusable = |source| Error::Unusable { address, source };
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        Ok(Self { listener, address, security, settings })
    }

    /// Returns the address that is bound, with its real port.
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address to dial from this machine.
    pub fn address(&self) -> Address {
        match (&self.security, LoopbackAddress::try_from(self.address)) {
            (Security::InsecureLoopback, Ok(address)) => address.into(),
            (Security::InsecureLoopback, Err(_)) | (Security::Tls(_), _) => self.address.into(),
        }
    }

    /// Serves `router` until `shutdown` ends, then gives open requests their grace and returns.
    ///
    /// [`one_port`] makes the router. A streaming call that should not be cut ends by itself when
    /// the shutdown begins.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()> + Send) {
        let (closing, closed) = watch::channel(false);
        let crowd = Arc::new(Crowd::default());
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let Some(place) = crowd.enter(peer.ip(), &self.settings) else {
                            tracing::warn!(%peer, "too many connections");
                            continue;
                        };
                        let way = (self.security.clone(), self.settings);
                        let from = (peer, place);
                        connections.spawn(serve_one(stream, from, router.clone(), way, closed.clone()));
                    }
                    Err(error) => rest_after(&error).await,
                }
            }
        }
        drop(self.listener);
        closing.send_replace(true);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.settings.shutdown_grace, ended).await.is_err() {
            connections.shutdown().await;
        }
    }
}

/// Joins gRPC services and HTTP routes into what [`Server::serve`] takes; each request of either
/// kind must have a caller.
pub fn one_port(services: Routes, routes: Router) -> Router {
    services
        .into_axum_router()
        .merge(routes)
        .fallback(nothing_here)
        .layer(axum::middleware::from_fn(require_caller))
}

/// tonic's own answer is a gRPC status to every caller, which reads as a success over plain HTTP.
async fn nothing_here(request: Request) -> Response {
    if is_grpc(request.headers()) {
        return tonic::Status::unimplemented("there is no such call").into_http();
    }
    StatusCode::NOT_FOUND.into_response()
}

async fn serve_one(
    stream: TcpStream,
    (peer, mut place): (SocketAddr, Place),
    router: Router,
    (security, settings): (Security, Settings),
    closed: watch::Receiver<bool>,
) {
    let served = match security {
        Security::InsecureLoopback => {
            place.recognise();
            let guest = connection::Guest { address: peer, peer: Peer::PlainLoopback };
            connection::serve_plain(stream, guest, router, settings, closed).await
        }
        Security::Tls(tls) => {
            let from = (peer, &mut place);
            connection::serve_encrypted(stream, (from, tls), router, settings, closed).await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Out of file descriptors, accepting fails at once and again: wait for some to be given back.
async fn rest_after(error: &io::Error) {
    tracing::warn!(%error, "a connection cannot be accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
