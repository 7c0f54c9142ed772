//! Reaching a coordinator.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::address::{self, Address, LoopbackAddress};
use crate::caller::{Caller, Introduction};

/// A gRPC channel on which every request says who is calling; generated clients take it as it is.
pub type Line = InterceptedService<Channel, Introduction>;

/// How a line is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest wait for the connection.
    pub connect_timeout: Duration,
    /// Silence after which the other side is asked whether it is there.
    pub keep_alive_interval: Duration,
    /// Longest wait for its answer; then the line is down.
    pub keep_alive_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(1),
            keep_alive_timeout: Duration::from_secs(3),
        }
    }
}

/// Why a coordinator cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address resolves to something that may not be dialled.
    #[error(transparent)]
    Address(#[from] address::Error),
    /// Nobody answers.
    #[error("coordinator {address} is not reachable")]
    Unreachable {
        /// The address.
        address: String,
        /// What the network said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Opens a line to the coordinator at `address`.
///
/// # Errors
///
/// Returns [`Error::Unreachable`] when nobody accepts within the connect timeout.
pub async fn dial(address: &Address, caller: &Caller, settings: Settings) -> Result<Line, Error> {
    let unreachable = |source: tonic::transport::Error| Error::Unreachable {
        address: address.to_string(),
        source: source.into(),
    };
    let endpoint = Endpoint::from_shared(address.to_string())
        .map_err(unreachable)?
        .connect_timeout(settings.connect_timeout)
        .http2_keep_alive_interval(settings.keep_alive_interval)
        .keep_alive_timeout(settings.keep_alive_timeout)
        .keep_alive_while_idle(true);
    let connector = Connector { address: address.clone() };
    let channel = endpoint.connect_with_connector(connector).await.map_err(unreachable)?;
    Ok(InterceptedService::new(channel, Introduction::of(caller)))
}

/// Opens the TCP connection; what encrypts it, or asks a proxy for it, will stand here.
pub(crate) async fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for found in lookup_host((address.host(), address.port())).await? {
        let loopback = LoopbackAddress::try_from(found)
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        match TcpStream::connect(loopback.socket()).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Opens tonic's connections by our own [`connect`].
#[derive(Clone, Debug)]
struct Connector {
    address: Address,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let address = self.address.clone();
        Box::pin(async move { connect(&address).await.map(TokioIo::new) })
    }
}
