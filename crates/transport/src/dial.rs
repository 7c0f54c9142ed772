//! Reaching a coordinator.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use identity::{Protocol, credentials, peer};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::address::{self, Address};
use crate::caller::Introduction;
use crate::dialler::Identity;
use crate::proxy;
use crate::reach::{self, Stream, Way};

/// A gRPC channel on which every request has a caller; generated clients take it as it is.
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
    /// The address resolves to something that may not be dialled, or not without an identity.
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
    /// Something answers that does not speak TLS: another program, or a coordinator that serves plain loopback.
    #[error("what answers at {address} does not speak TLS")]
    NotTls {
        /// The address.
        address: String,
    },
    /// Something answers that speaks TLS, but not the coordinator's: a product that opens connections on their way, or
    /// another program.
    #[error("what answers at {address} does not speak TLS 1.3, as every coordinator does")]
    OtherTls {
        /// The address.
        address: String,
    },
    /// The certificate that is shown there is not to be believed.
    #[error("what answers at {address} is not known to be the coordinator")]
    Certificate {
        /// The address.
        address: String,
        /// What is wrong with the certificate.
        source: peer::Error,
    },
    /// The proxy that the environment names makes no tunnel.
    #[error("coordinator {address} is not reachable")]
    Proxy {
        /// The address.
        address: String,
        /// What the proxy did.
        source: Box<proxy::Error>,
    },
    /// One's own keys or certificate cannot be used.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
}

impl Error {
    /// What whoever looks after the machine can do about it, where something can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Address(_) | Self::Unreachable { .. } | Self::Credentials(_) => None,
            Self::Proxy { source, .. } => Some(source.hint()),
            Self::NotTls { .. } => Some(
                "correct the port: another program answers there, or a coordinator that was started with \
                 --insecure-loopback",
            ),
            Self::OtherTls { .. } => Some(
                "TLS may be intercepted: ask your network's people to exempt the coordinator. Else correct the port: \
                 another program answers there",
            ),
            Self::Certificate { source, .. } => Some(match source {
                peer::Error::WrongAuthority { .. } => {
                    "if the issuer's name is your network's or a security product's, TLS is intercepted: ask your \
                     network's people to exempt the coordinator. Else this is another coordinator than the one that \
                     was joined"
                }
                peer::Error::Expired { .. } | peer::Error::NotYetValid { .. } => {
                    "compare this machine's clock with a good one; if it is right, tell the coordinator's operator"
                }
                peer::Error::WrongName { .. } => {
                    "dial it by a name of its certificate, or ask the coordinator's operator to add this one"
                }
                peer::Error::Unfit(_) => "tell the coordinator's operator",
            }),
        }
    }
}

/// Opens a line to the coordinator at `address`.
///
/// With credentials the connection is encrypted, whatever the address says; a bare caller dials plain loopback only.
///
/// # Errors
///
/// Returns [`Error::Unreachable`] when nobody accepts within the connect timeout, [`Error::NotTls`] and
/// [`Error::Certificate`] when what answers is not the coordinator of these credentials. That the coordinator does
/// not accept one's own certificate shows at the first call: [`peer::alert_within`] finds it in the status.
pub async fn dial(
    address: &Address,
    identity: impl Into<Identity>,
    settings: Settings,
) -> Result<Line, Error> {
    let identity = identity.into();
    let way = identity.way(address, Protocol::Http2)?;
    let channel = open(address, way, settings).await?;
    Ok(InterceptedService::new(channel, identity.introduction()))
}

/// Opens a channel on which nothing is said of the caller.
pub(crate) async fn open(
    address: &Address,
    way: Way,
    settings: Settings,
) -> Result<Channel, Error> {
    let unreachable = |source: Box<_>| Error::Unreachable { address: address.to_string(), source };
    let endpoint = Endpoint::from_shared(format!("http://{}", address.authority()))
        .map_err(|error| unreachable(error.into()))?
        .connect_timeout(settings.connect_timeout)
        .http2_keep_alive_interval(settings.keep_alive_interval)
        .keep_alive_timeout(settings.keep_alive_timeout)
        .keep_alive_while_idle(true);
    let failed = Arc::default();
    let connector = Connector { address: address.clone(), way, failed: Arc::clone(&failed) };
    let connected = endpoint.connect_with_connector(connector).await;
    connected.map_err(|error| {
        let own = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.map_or_else(|| unreachable(error.into()), |own| explain(address, own))
    })
}

/// Says what a connection failed with.
pub(crate) fn explain(address: &Address, error: io::Error) -> Error {
    let address = address.to_string();
    if let Some(source) = peer::Error::within(&error) {
        return Error::Certificate { address, source };
    }
    let error = match error.downcast::<proxy::Error>() {
        Ok(source) => return Error::Proxy { address, source: Box::new(source) },
        Err(error) => error,
    };
    if peer::is_not_tls(&error) {
        return Error::NotTls { address };
    }
    if peer::is_other_tls(&error) {
        return Error::OtherTls { address };
    }
    Error::Unreachable { address, source: error.into() }
}

/// Opens tonic's connections by our own [`reach::connect`].
#[derive(Clone, Debug)]
struct Connector {
    address: Address,
    way: Way,
    /// What the first connection failed with, which tonic would bury.
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let Self { address, way, failed } = self.clone();
        Box::pin(async move {
            let connected = reach::connect(&address, &way).await;
            connected.map(TokioIo::new).map_err(|error| {
                let kind = error.kind();
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                kind.into()
            })
        })
    }
}
