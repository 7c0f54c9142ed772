//! Becoming a member, and staying one: the calls that give certificates.

use std::path::Path;
use std::sync::Arc;

use identity::{Application, Credentials, Protocol, Time, Token, credentials};
use protocol::wire::v1;
use protocol::wire::v1::enrolment_service_client::EnrolmentServiceClient;

use crate::address::{self, Address};
use crate::dial::{self, Settings};
use crate::reach::Way;

/// Why somebody did not become, or stay, a member.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token's address is none.
    #[error(transparent)]
    Address(#[from] address::Error),
    /// The coordinator cannot be reached, or what answers is not the coordinator that the token names.
    #[error(transparent)]
    Dial(#[from] dial::Error),
    /// The coordinator refuses.
    #[error("the coordinator refuses: {}", .0.message())]
    Refused(Box<tonic::Status>),
    /// The keys or the certificate cannot be used.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
}

impl Error {
    /// What can be done about it, where something can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Dial(error) => error.hint(),
            Self::Refused(_) => Some(
                "a token is good once and for a time: ask the coordinator's operator for a new one",
            ),
            Self::Credentials(credentials::Error::Exists { .. }) => {
                Some("who has joined already needs no token; name another folder for somebody else")
            }
            Self::Address(_) | Self::Credentials(_) => None,
        }
    }

    /// Why the coordinator refuses, where it does and says so.
    pub fn code(&self) -> Option<protocol::Code> {
        match self {
            Self::Refused(status) => protocol::wire::refusal::code(status),
            Self::Address(_) | Self::Dial(_) | Self::Credentials(_) => None,
        }
    }
}

/// Joins with a token: makes keys in `folder`, asks for a certificate and keeps it.
///
/// Where an earlier attempt ended before its answer came, the same token goes on with the same keys.
///
/// # Errors
///
/// Returns [`Error::Dial`] when what answers is not of the token's authority, before the secret is sent, and
/// [`Error::Refused`] when the coordinator does not take the token.
pub async fn enrol(
    folder: &Path,
    token: &Token,
    time: Time,
    settings: Settings,
) -> Result<Credentials, Error> {
    let address: Address = token.address.parse()?;
    let application = Application::begin(folder, token)?;
    let config = application.client_config(Protocol::Http2, time.clone())?;
    let channel = dial::open(&address, Way::Tls(Arc::new(config)), settings).await?;
    let request = application.request();
    let request = v1::EnrolRequest {
        wire_version: protocol::WIRE_VERSION,
        secret: token.secret.as_bytes().to_vec(),
        member: request.member.to_string(),
        identity_key: request.identity.as_bytes().to_vec(),
        tls_key: request.tls.as_bytes().to_vec(),
        signature: request.signature.to_vec(),
    };
    let answer = EnrolmentServiceClient::new(channel).enrol(request).await;
    let answer = answer.map_err(|status| Error::Refused(Box::new(status)))?.into_inner();
    application.install(answer.certificates)?;
    Ok(Credentials::open(folder, time)?)
}

/// Renews a member's certificate; lines that are dialled later show the new one.
///
/// # Errors
///
/// Returns [`Error::Refused`] when the coordinator does not know the member any more. The present certificate stays.
pub async fn renew(
    credentials: &Arc<Credentials>,
    address: &Address,
    settings: Settings,
) -> Result<(), Error> {
    let renewal = credentials.renewal()?;
    let line = dial::dial(address, Arc::clone(credentials), settings).await?;
    let request = renewal.request();
    let request = v1::RenewRequest {
        tls_key: request.tls.as_bytes().to_vec(),
        signature: request.signature.to_vec(),
    };
    let answer = EnrolmentServiceClient::new(line).renew(request).await;
    let answer = answer.map_err(|status| Error::Refused(Box::new(status)))?.into_inner();
    credentials.install(renewal, answer.certificates)?;
    Ok(())
}

/// The one path that a coordinator answers without a certificate.
pub const ENROL_PATH: &str = "/wardround.v1.EnrolmentService/Enrol";
