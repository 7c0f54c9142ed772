//! Who is calling.
//!
//! Until certificates say it, a caller says its own name in a header; nothing but loopback is
//! served, so the name is a convenience and not a proof. What reads [`Caller`] does not change
//! when the name comes from a certificate.

use std::fmt;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use protocol::{NodeId, ResearcherId};
use tonic::service::Interceptor;

/// A process that calls a coordinator, by its role and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    /// A hospital's node, written `node:<name>`.
    Node(NodeId),
    /// A researcher, written `researcher:<name>`.
    Researcher(ResearcherId),
}

/// The text of a caller does not name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a caller is \"node:\" or \"researcher:\" and a name")]
pub struct NotCaller;

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(formatter, "node:{name}"),
            Self::Researcher(name) => write!(formatter, "researcher:{name}"),
        }
    }
}

impl FromStr for Caller {
    type Err = NotCaller;

    fn from_str(text: &str) -> Result<Self, NotCaller> {
        match text.split_once(':') {
            Some(("node", name)) => name.parse().map(Self::Node).map_err(|_| NotCaller),
            Some(("researcher", name)) => name.parse().map(Self::Researcher).map_err(|_| NotCaller),
            _ => Err(NotCaller),
        }
    }
}

/// Introduces the caller on every gRPC request of a line.
#[derive(Clone, Debug)]
pub struct Introduction {
    header: tonic::metadata::AsciiMetadataValue,
}

impl Introduction {
    /// Introduces `caller`.
    pub fn of(caller: &Caller) -> Self {
        let text = caller.to_string();
        let header = text.parse().expect("a name has no character that a header refuses");
        Self { header }
    }
}

impl Interceptor for Introduction {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        request.metadata_mut().insert(HEADER, self.header.clone());
        Ok(request)
    }
}

/// Returns the header that introduces `caller` on an HTTP request.
pub fn introduction(caller: &Caller) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(&caller.to_string())
        .expect("a name has no character that a header refuses");
    (HeaderName::from_static(HEADER), value)
}

/// Refuses a request without a caller before its body is read; puts the [`Caller`] of every other
/// into its extensions.
pub async fn require_caller(mut request: Request, next: Next) -> Response {
    let Some(caller) = read(request.headers()) else {
        return refusal(request.headers());
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Says whether a request expects its answer as a gRPC status.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn read(headers: &HeaderMap) -> Option<Caller> {
    let mut values = headers.get_all(HEADER).iter();
    let caller = values.next()?.to_str().ok()?.parse().ok()?;
    // Two names are no name.
    if values.next().is_some() { None } else { Some(caller) }
}

fn refusal(headers: &HeaderMap) -> Response {
    if is_grpc(headers) {
        return tonic::Status::unauthenticated(REFUSAL).into_http();
    }
    let mut response = Response::new(Body::from(REFUSAL));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

const HEADER: &str = "wardround-caller";

const REFUSAL: &str = "the request does not say who is calling";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_written_and_read_back() {
        for text in ["node:north", "researcher:ada"] {
            assert_eq!(text.parse::<Caller>().unwrap().to_string(), text);
        }
        for text in ["", "north", "node:", "admin:root", "node:a b", "node:a:b"] {
            assert_eq!(text.parse::<Caller>(), Err(NotCaller), "{text}");
        }
    }

    #[test]
    fn two_names_are_no_name() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static("node:north"));
        assert!(read(&headers).is_some());
        headers.append(HEADER, HeaderValue::from_static("node:south"));
        assert_eq!(read(&headers), None);
    }
}
