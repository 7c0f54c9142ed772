//! Who is calling.
//!
//! A certificate says it. Over plain loopback, where nobody has one, a caller says its own name in a header: that is a
//! convenience and not a proof, and it is never believed of a connection that is encrypted. What reads [`Caller`] does
//! not see the difference.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use identity::Certified;
pub use identity::Member as Caller;
use protocol::Code;
use tonic::service::Interceptor;

use crate::server::PeerAddress;
use crate::server::security::{Peer, Refused, Tls};

/// Introduces the caller on every gRPC request of a line that is not encrypted.
#[derive(Clone, Debug)]
pub struct Introduction {
    header: Option<tonic::metadata::AsciiMetadataValue>,
}

impl Introduction {
    /// Introduces `caller`.
    pub fn of(caller: &Caller) -> Self {
        let text = caller.to_string();
        let header = text.parse().expect("a name has no character that a header refuses");
        Self { header: Some(header) }
    }

    /// Leaves it to the connection's certificate.
    pub fn by_certificate() -> Self {
        Self { header: None }
    }
}

impl Interceptor for Introduction {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(header) = &self.header {
            request.metadata_mut().insert(HEADER, header.clone());
        }
        Ok(request)
    }
}

/// Returns the header that introduces `caller` on an HTTP request over plain loopback.
pub fn introduction(caller: &Caller) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(&caller.to_string())
        .expect("a name has no character that a header refuses");
    (HeaderName::from_static(HEADER), value)
}

/// Refuses a request without an identity before its body is read, but for the one path that makes identities; puts
/// the [`Caller`] of every other into its extensions, with the [`Certified`] that says so where there is one.
pub async fn require_caller(mut request: Request, next: Next) -> Response {
    match request.extensions().get::<Peer>().cloned() {
        Some(Peer::PlainLoopback) => match read(request.headers()) {
            Some(caller) => {
                request.extensions_mut().insert(caller);
            }
            None => return refusal(request.headers(), UNSAID),
        },
        Some(Peer::Stranger(tls)) if request.uri().path() == tls.open_path => {}
        Some(Peer::Stranger(tls)) => return refuse(&tls, &request, &Refused::NoCertificate),
        Some(Peer::Certified(tls, certified)) => {
            if let Err(refused) = admit(&tls, &certified) {
                return refuse(&tls, &request, &refused);
            }
            request.extensions_mut().insert(certified.member.clone());
            request.extensions_mut().insert(certified);
        }
        // Not one of our connections.
        None => return refusal(request.headers(), UNSAID),
    }
    next.run(request).await
}

fn admit(tls: &Tls, certified: &Arc<Certified>) -> Result<(), Refused> {
    if tls.time.now() >= certified.expires_at {
        return Err(Refused::Expired(certified.member.clone()));
    }
    if !tls.roster.admits(certified) {
        return Err(Refused::NotMember(certified.member.clone()));
    }
    Ok(())
}

fn refuse(tls: &Tls, request: &Request, refused: &Refused) -> Response {
    if let Some(PeerAddress(address)) = request.extensions().get() {
        tls.roster.refused(*address, refused);
    }
    refusal(request.headers(), Code::IdentityRefused.sentence())
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

fn refusal(headers: &HeaderMap, sentence: &'static str) -> Response {
    if is_grpc(headers) {
        let code = Code::IdentityRefused;
        return protocol::wire::refusal::status_with(code, sentence).into_http();
    }
    let mut response = Response::new(Body::from(sentence));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

const HEADER: &str = "wardround-caller";

const UNSAID: &str = "the request does not say who is calling";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_are_no_name() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static("node:north"));
        assert!(read(&headers).is_some());
        headers.append(HEADER, HeaderValue::from_static("node:south"));
        assert_eq!(read(&headers), None);
    }
}
