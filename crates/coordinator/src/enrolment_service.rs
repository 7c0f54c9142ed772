//! The door at which members are made.

use std::net::SocketAddr;
use std::sync::Arc;

use identity::request::Occasion;
use identity::token::Secret;
use identity::{Authority, Certified};
use protocol::Code;
use protocol::wire::v1;
use protocol::wire::v1::enrolment_service_server::EnrolmentService;
use tonic::{Request, Response, Status};
use transport::server::PeerAddress;

use crate::door::{status, status_with};
use crate::membership::{Membership, Refusal};

/// Gives certificates.
#[derive(Debug)]
pub(crate) struct Enrolments {
    authority: Arc<Authority>,
    membership: Arc<Membership>,
}

impl Enrolments {
    pub(crate) fn new(authority: Arc<Authority>, membership: Arc<Membership>) -> Self {
        Self { authority, membership }
    }

    async fn enrol(&self, request: v1::EnrolRequest) -> Result<Vec<Vec<u8>>, Refusal> {
        let malformed = |what: &dyn std::fmt::Display| Refusal::Malformed(what.to_string());
        let secret = Secret::try_from(&request.secret[..]).map_err(|error| malformed(&error))?;
        let member = request.member.parse().map_err(|error| malformed(&error as &NotMember))?;
        // Strangers without a token make nobody check or write signatures.
        self.membership.expects(&secret, &member)?;
        let parts = [&request.identity_key[..], &request.tls_key, &request.signature];
        let checked = self.authority.check(member, parts, &Occasion::Enrolment(secret))?;
        self.membership.enrol(&self.authority, &secret, checked).await
    }

    async fn renew(
        &self,
        certified: &Certified,
        request: v1::RenewRequest,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let occasion = Occasion::Renewal(certified.digest);
        let identity = certified.identity.as_bytes();
        let parts = [&identity[..], &request.tls_key, &request.signature];
        let checked = self.authority.check(certified.member.clone(), parts, &occasion)?;
        self.membership.renew(&self.authority, checked).await
    }

    /// Tells a stranger one thing only; the log has the reason.
    fn refuse(&self, address: SocketAddr, refusal: &Refusal) -> Status {
        if refusal.is_own() {
            tracing::error!(error = %refusal, "a certificate cannot be given");
            return status(Code::CoordinatorInternal);
        }
        self.membership.failed(address.ip());
        self.membership.roll().note(address, refusal);
        status(Code::IdentityRefused)
    }
}

type NotMember = identity::member::NotMember;

#[tonic::async_trait]
impl EnrolmentService for Enrolments {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let address = address(&request)?;
        if !self.membership.may_try(address.ip()) {
            return Err(status(Code::CoordinatorBusy));
        }
        let request = request.into_inner();
        transport::wire_version::check(request.wire_version)
            .map_err(|mismatch| status_with(Code::WireVersion, &mismatch.to_string()))?;
        let answered = Self::enrol(self, request).await;
        let certificates = answered.map_err(|refusal| self.refuse(address, &refusal))?;
        Ok(Response::new(v1::EnrolResponse { certificates }))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let address = address(&request)?;
        let certified = request.extensions().get::<Arc<Certified>>().cloned();
        let certified = certified.ok_or_else(|| status(Code::IdentityRefused))?;
        let answered = Self::renew(self, &certified, request.into_inner()).await;
        let certificates = answered.map_err(|refusal| self.refuse(address, &refusal))?;
        Ok(Response::new(v1::RenewResponse { certificates }))
    }
}

fn address<T>(request: &Request<T>) -> Result<SocketAddr, Status> {
    let address = request.extensions().get::<PeerAddress>();
    address.map(|PeerAddress(address)| *address).ok_or_else(|| status(Code::IdentityRefused))
}

/// Most bytes of a request: five short fields.
pub(crate) const LONGEST_REQUEST: usize = 4 << 10;
