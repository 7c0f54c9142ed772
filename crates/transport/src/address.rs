//! Where a coordinator is reached.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A host and a port, written `https://host:port`; `http://host:port` for plain loopback.
///
/// Without a scheme it is `http` for this machine and `https` for every other. An address of another machine that
/// asks for `http` does not parse.
///
/// # Examples
///
/// ```
/// use transport::Address;
///
/// let address: Address = "ward.example:7400".parse()?;
/// assert_eq!(address.to_string(), "https://ward.example:7400");
/// assert!("http://ward.example:7400".parse::<Address>().is_err());
/// # Ok::<(), transport::address::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

/// Why a text is not an address that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has another form.
    #[error("address \"{text}\" is not of the form https://host:port")]
    Malformed {
        /// The text.
        text: String,
    },
    /// The address asks for encryption, which needs an identity.
    #[error("address \"{text}\" asks for https, which needs an identity")]
    Encrypted {
        /// The text.
        text: String,
    },
    /// The address is another machine's, or open to other machines.
    #[error(
        "address \"{address}\" is not loopback: without encryption only this machine is served"
    )]
    NotLoopback {
        /// The address.
        address: String,
    },
}

impl Address {
    /// Returns the host: a name or an IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Says whether connections to it are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Returns the same place, reached by encrypted connections only.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { scheme: Scheme::Https, ..self }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `host:port`, as in a `Host` header.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(formatter, "{scheme}://{}", self.authority())
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed { text: text.to_owned() };
        let (scheme, authority) = match text.split_once("://") {
            Some(("https", authority)) => (Some(Scheme::Https), authority),
            Some(("http", authority)) => (Some(Scheme::Http), authority),
            Some(_) => return Err(malformed()),
            None => (None, text),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':').ok_or_else(malformed)?;
        let port = port.parse().map_err(|_| malformed())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(host) if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => host,
            None if is_host(host) => host,
            _ => return Err(malformed()),
        };
        let is_loopback = match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            // Whatever this name resolves to is checked again when it is dialled.
            Err(_) => host == "localhost",
        };
        let scheme = match (scheme, is_loopback) {
            (Some(Scheme::Http), false) => {
                return Err(Error::NotLoopback { address: text.to_owned() });
            }
            (Some(Scheme::Https), _) | (None, false) => Scheme::Https,
            (Some(Scheme::Http) | None, true) => Scheme::Http,
        };
        Ok(Self { scheme, host: host.to_owned(), port })
    }
}

impl From<SocketAddr> for Address {
    /// Returns how this machine reaches an address that is listened on, by encrypted connections.
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self { scheme: Scheme::Https, host: ip.to_string(), port: address.port() }
    }
}

impl From<LoopbackAddress> for Address {
    fn from(address: LoopbackAddress) -> Self {
        Self { scheme: Scheme::Http, host: address.0.ip().to_string(), port: address.0.port() }
    }
}

/// A socket address that no other machine can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackAddress(SocketAddr);

impl LoopbackAddress {
    /// Returns the socket address.
    pub fn socket(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<SocketAddr> for LoopbackAddress {
    type Error = Error;

    fn try_from(address: SocketAddr) -> Result<Self, Error> {
        if address.ip().is_loopback() {
            Ok(Self(address))
        } else {
            Err(Error::NotLoopback { address: address.to_string() })
        }
    }
}

fn is_host(host: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !host.is_empty() && host.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_parses_with_and_without_its_scheme() {
        for (text, shown) in [
            ("http://127.0.0.1:7400", "http://127.0.0.1:7400"),
            ("127.8.9.1:1", "http://127.8.9.1:1"),
            ("localhost:65535", "http://localhost:65535"),
            ("http://[::1]:7400/", "http://[::1]:7400"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn every_other_machine_is_refused_in_words_without_encryption() {
        for text in ["http://10.0.0.1:7400", "http://0.0.0.0:1", "http://ward.example:7400"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(error, Error::NotLoopback { .. }), "{text}: {error:?}");
            assert!(error.to_string().contains("is not loopback"), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "http://", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "[::1:1", "a b:1"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{text}: {error:?}");
        }
        assert!(matches!("ftp://localhost:1".parse::<Address>(), Err(Error::Malformed { .. })));
    }

    #[test]
    fn another_machine_is_reached_by_encrypted_connections() {
        for (text, shown) in [
            ("ward.example:7400", "https://ward.example:7400"),
            ("https://localhost:1", "https://localhost:1"),
            ("10.0.0.1:1/", "https://10.0.0.1:1"),
        ] {
            let address = text.parse::<Address>().unwrap();
            assert!(address.is_encrypted(), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        let listening = Address::from(SocketAddr::from(([0, 0, 0, 0], 7400)));
        assert_eq!(listening.to_string(), "https://127.0.0.1:7400");
    }

    #[test]
    fn a_socket_address_open_to_others_is_no_loopback_address() {
        assert!(LoopbackAddress::try_from(SocketAddr::from(([0, 0, 0, 0], 1))).is_err());
        assert!(LoopbackAddress::try_from(SocketAddr::from(([127, 0, 0, 1], 1))).is_ok());
    }
}
