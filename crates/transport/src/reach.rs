//! One connection to a coordinator: found by name, opened, encrypted.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::address::{Address, LoopbackAddress};
use crate::proxy::Proxy;

/// An open connection.
pub(crate) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// How a connection is secured.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Not at all, within this machine.
    PlainLoopback,
    /// By TLS.
    Tls(Arc<ClientConfig>),
}

/// Opens a connection and, where it is to be, encrypts it.
pub(crate) async fn connect(address: &Address, way: &Way) -> io::Result<Stream> {
    match way {
        Way::PlainLoopback => Ok(Either::Left(connect_loopback(address).await?)),
        Way::Tls(config) => {
            let name = ServerName::try_from(address.host().to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = connect_anywhere(address).await?;
            let connector = TlsConnector::from(Arc::clone(config));
            Ok(Either::Right(connector.connect(name, stream).await?))
        }
    }
}

async fn connect_loopback(address: &Address) -> io::Result<TcpStream> {
    let mut last = nothing_found();
    for found in lookup_host((address.host(), address.port())).await? {
        let loopback = LoopbackAddress::try_from(found)
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        match TcpStream::connect(loopback.socket()).await {
            Ok(stream) => return prepared(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Opens a connection that will be encrypted before anything is said on it; through a proxy where the environment
/// names one.
async fn connect_anywhere(address: &Address) -> io::Result<TcpStream> {
    if let Some(proxy) = Proxy::from_environment(address.host(), address.port()) {
        return proxy.tunnel(address.host(), address.port()).await.map_err(io::Error::other);
    }
    let mut last = nothing_found();
    for found in lookup_host((address.host(), address.port())).await? {
        match TcpStream::connect(found).await {
            Ok(stream) => return prepared(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn nothing_found() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}
