//! Reaching a coordinator through the web proxy of a hospital's network.
//!
//! The proxy is asked by `CONNECT` (RFC 9110, section 9.3.6) for a tunnel, and TLS is spoken with the coordinator
//! through it: the proxy sees a name, a port and encrypted bytes.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A web proxy, with what it is told of who asks.
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

/// Why a proxy makes no tunnel. No text holds what the proxy is told of who asks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not a proxy of a kind that can be asked.
    #[error(
        "proxy {proxy} is not of the form http://host:port, which is the only kind that can be asked"
    )]
    Kind {
        /// The proxy.
        proxy: String,
    },
    /// Nobody answers.
    #[error("proxy {proxy} is not reachable")]
    Unreachable {
        /// The proxy.
        proxy: String,
        /// What the network said.
        source: io::Error,
    },
    /// It answers, but not as a proxy does.
    #[error("proxy {proxy} does not answer as a web proxy")]
    NotProxy {
        /// The proxy.
        proxy: String,
        /// What was wrong with its answer.
        source: Option<hyper::Error>,
    },
    /// It wants to know who asks.
    #[error("proxy {proxy} asks for a name and a password")]
    WantsPassword {
        /// The proxy.
        proxy: String,
    },
    /// It does not let anybody through to the coordinator.
    #[error("proxy {proxy} answers {status} to a tunnel to {coordinator}")]
    Refused {
        /// The proxy.
        proxy: String,
        /// Host and port of the coordinator.
        coordinator: String,
        /// The answer's status.
        status: StatusCode,
    },
    /// It takes too long.
    #[error("proxy {proxy} made no tunnel within {} s", DEADLINE.as_secs())]
    Silent {
        /// The proxy.
        proxy: String,
    },
}

impl Error {
    /// What whoever looks after the machine can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "set HTTPS_PROXY to http://host:port",
            Self::Unreachable { .. } | Self::NotProxy { .. } => {
                "correct HTTPS_PROXY, or name the coordinator in NO_PROXY where it is reached directly"
            }
            Self::WantsPassword { .. } => "set HTTPS_PROXY to http://name:password@host:port",
            Self::Refused { .. } => {
                "ask whoever runs the proxy to allow CONNECT to this name and port"
            }
            Self::Silent { .. } => "ask whoever runs the proxy whether it reaches the coordinator",
        }
    }
}

impl Proxy {
    /// The proxy that the environment names for a coordinator: `HTTPS_PROXY`, or `ALL_PROXY`, except for what
    /// `NO_PROXY` lists, each in capitals or not; never for this machine itself.
    pub fn from_environment(host: &str, port: u16) -> Option<Self> {
        Self::among(&Matcher::from_env(), host, port)
    }

    fn among(matcher: &Matcher, host: &str, port: u16) -> Option<Self> {
        if is_this_machine(host) {
            return None;
        }
        let uri: Uri = format!("https://{}", authority(host, port)).parse().ok()?;
        let found = matcher.intercept(&uri)?;
        Some(Self { uri: found.uri().clone(), authorization: found.basic_auth().cloned() })
    }

    /// Asks for a tunnel to a host and a port, in bounded time.
    ///
    /// # Errors
    ///
    /// Says at which step it ended.
    pub async fn tunnel(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let silent = |_| Error::Silent { proxy: self.to_string() };
        timeout(DEADLINE, self.ask(host, port)).await.map_err(silent)?
    }

    async fn ask(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let proxy = self.to_string();
        let (own_host, own_port) = self.address()?;
        let unreachable = |source| Error::Unreachable { proxy: proxy.clone(), source };
        let stream = TcpStream::connect((own_host, own_port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let not_proxy = |source| Error::NotProxy { proxy: proxy.clone(), source };
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEADER_BYTES)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| not_proxy(Some(error)))?;
        let coordinator = authority(host, port);
        // It ends with the exchange, or when this future is dropped and nobody holds the tunnel.
        let exchange = tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(self.request(&coordinator)).await;
        let answer = answer.map_err(|error| not_proxy(Some(error)))?;
        match answer.status() {
            status if status.is_success() => {}
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(Error::WantsPassword { proxy });
            }
            status => return Err(Error::Refused { proxy, coordinator, status }),
        }
        let tunnel = hyper::upgrade::on(answer).await.map_err(|error| not_proxy(Some(error)))?;
        drop(exchange);
        let parts = tunnel.downcast::<TokioIo<TcpStream>>().expect("this is what was upgraded");
        // TLS begins with the client: whoever speaks before is no tunnel.
        if parts.read_buf.is_empty() { Ok(parts.io.into_inner()) } else { Err(not_proxy(None)) }
    }

    fn address(&self) -> Result<(&str, u16), Error> {
        match (self.uri.scheme_str(), self.uri.host()) {
            (Some("http"), Some(host)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                Ok((host, self.uri.port_u16().unwrap_or(USUAL_PORT)))
            }
            _ => Err(Error::Kind { proxy: self.to_string() }),
        }
    }

    fn request(&self, coordinator: &str) -> Request<Empty<Bytes>> {
        let mut request = Request::connect(coordinator).header(http::header::HOST, coordinator);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        request.body(Empty::new()).expect("a host and a port are an authority")
    }
}

/// Kind, host and port, without a name and a password.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or("http");
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(formatter, "{scheme}://{authority}")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({self})")
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Longest time until the tunnel stands.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most bytes of the head of the proxy's answer.
const HEADER_BYTES: usize = 16 << 10;
/// The port of a proxy that is named without one.
const USUAL_PORT: u16 = 80;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn named(proxy: &str, exceptions: &str, host: &str) -> Option<Proxy> {
        let matcher = Matcher::builder().https(proxy.to_owned()).no(exceptions.to_owned()).build();
        Proxy::among(&matcher, host, 7400)
    }

    #[test]
    fn a_proxy_is_for_other_machines_that_are_not_excepted() {
        let proxy = "http://proxy.example:3128";
        assert_eq!(named(proxy, "", "ward.example").unwrap().to_string(), proxy);
        assert_eq!(named(proxy, "", "2001:db8::1").unwrap().to_string(), proxy);
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "::1"] {
            assert!(named(proxy, "", host).is_none(), "{host}");
        }
        assert!(named(proxy, "example", "ward.example").is_none());
        assert!(named("", "", "ward.example").is_none());
    }

    #[test]
    fn what_a_proxy_is_told_of_who_asks_is_in_no_text() {
        let proxy = named("http://ward:geheim@proxy.example:3128", "", "ward.example").unwrap();
        let texts =
            [proxy.to_string(), format!("{proxy:?}"), format!("{:?}", proxy.request("a:1"))];
        for text in texts {
            assert!(!text.contains("geheim") && !text.contains("d2FyZDpnZWhlaW0="), "{text}");
        }
        assert!(proxy.authorization.is_some());
    }

    /// A proxy that gives one answer, whatever is asked; gives what was asked of it.
    async fn scripted(answer: &'static str) -> (Proxy, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://ward:geheim@{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut said = [0; 5];
            if stream.read_exact(&mut said).await.is_ok() {
                stream.write_all(&said).await.unwrap();
            }
            String::from_utf8(asked).unwrap()
        });
        (named(&uri, "", "ward.example").unwrap(), serving)
    }

    #[tokio::test]
    async fn a_tunnel_carries_what_is_said_through_it() {
        let (proxy, serving) = scripted("HTTP/1.1 200 Connection established\r\n\r\n").await;
        let mut tunnel = proxy.tunnel("ward.example", 7400).await.unwrap();
        tunnel.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        tunnel.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"hello");
        let asked = serving.await.unwrap().to_lowercase();
        assert!(asked.starts_with("connect ward.example:7400 http/1.1\r\n"), "{asked}");
        assert!(asked.contains("host: ward.example:7400\r\n"), "{asked}");
        assert!(asked.contains("proxy-authorization: basic d2fyzdpnzwhlaw0=\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn each_refusal_says_what_the_proxy_wants() {
        for (answer, expected) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
                "asks for a name and a password",
            ),
            (
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
                "answers 403 Forbidden to a tunnel to ward.example:7400",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "does not answer as a web proxy"),
            ("HTTP/1.1 200 OK\r\n\r\nWelcome", "does not answer as a web proxy"),
        ] {
            let (proxy, serving) = scripted(answer).await;
            let error = proxy.tunnel("ward.example", 7400).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{answer}: {error}");
            assert!(!error.hint().is_empty());
            serving.abort();
        }
    }

    #[tokio::test]
    async fn other_kinds_of_proxies_and_absent_ones_are_named() {
        let error = named("socks5://proxy.example:1080", "", "ward.example").unwrap();
        let error = error.tunnel("ward.example", 7400).await.unwrap_err();
        assert!(matches!(error, Error::Kind { .. }), "{error}");
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let proxy = named(&format!("http://{free}"), "", "ward.example").unwrap();
        let error = proxy.tunnel("ward.example", 7400).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    }
}
