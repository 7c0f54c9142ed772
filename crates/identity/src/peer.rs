//! What can be wrong with the certificate that the other side shows.

use std::sync::Arc;

use protocol::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError, OtherError};

use crate::certificate;

/// Why a coordinator's certificate is not believed.
///
/// It is what a TLS connection fails with: [`Error::within`] finds it in what the connection says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Somebody else issued it: another coordinator, or something on the way that opens encrypted connections.
    #[error("the certificate was issued by \"{issuer}\" and not by this federation's authority")]
    WrongAuthority {
        /// Who issued it, in its own words.
        issuer: String,
    },
    /// It is too old, or this machine's clock is fast.
    #[error("the certificate has expired")]
    Expired {
        /// When it expired.
        at: Option<Timestamp>,
    },
    /// It is not good yet, or this machine's clock is slow.
    #[error("the certificate is not valid yet")]
    NotYetValid {
        /// When it begins to be.
        from: Option<Timestamp>,
    },
    /// It is for other names.
    #[error("the certificate is for {} and not for \"{dialled}\"", certified.join(", "))]
    WrongName {
        /// The name that was dialled.
        dialled: String,
        /// The names that it is for.
        certified: Vec<String>,
    },
    /// Anything else.
    #[error("the certificate is not accepted: {0}")]
    Unfit(String),
}

impl Error {
    /// Finds what is wrong with a certificate among what a connection failed with.
    pub fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let tls = find_tls(error)?;
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = tls
        else {
            return None;
        };
        other.downcast_ref::<Self>().cloned()
    }

    /// Says in these words what rustls found.
    pub(crate) fn of(
        error: rustls::Error,
        presented: &CertificateDer<'_>,
        dialled: &str,
    ) -> rustls::Error {
        let rustls::Error::InvalidCertificate(found) = error else { return error };
        let found = match found {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Self::WrongAuthority { issuer: certificate::issuer(presented) }
            }
            CertificateError::Expired => Self::Expired { at: None },
            CertificateError::ExpiredContext { not_after, .. } => {
                Self::Expired { at: Some(timestamp(not_after)) }
            }
            CertificateError::NotValidYet => Self::NotYetValid { from: None },
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::NotYetValid { from: Some(timestamp(not_before)) }
            }
            CertificateError::NotValidForName => {
                Self::WrongName { dialled: dialled.to_owned(), certified: Vec::new() }
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::WrongName { dialled: dialled.to_owned(), certified: presented }
            }
            // An authority's certificate in the place of a coordinator's: no federation has that, what intercepts does.
            CertificateError::Other(other) if format!("{other:?}").contains(NO_LEAF) => {
                Self::WrongAuthority { issuer: certificate::issuer(presented) }
            }
            other => Self::Unfit(other.to_string()),
        };
        found.into()
    }
}

impl From<Error> for rustls::Error {
    fn from(error: Error) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    }
}

/// Why the coordinator ended a connection with a message of TLS, where it said so.
///
/// A certificate of one's own that is refused shows here, after the handshake has seemed to succeed.
pub fn alert_within(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::AlertReceived(alert)) = find_tls(error) {
        return Some(format!("{alert:?}"));
    }
    // HTTP/2 keeps of an error no more than its text.
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if let Some((_, alert)) = text.split_once(ALERT) {
            return Some(alert.chars().take_while(char::is_ascii_alphanumeric).collect());
        }
        next = error.source();
    }
    None
}

/// Whether what answered speaks TLS of another version or kind than every coordinator does.
pub fn is_other_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    match find_tls(error) {
        Some(rustls::Error::PeerIncompatible(_)) => true,
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity
        ),
        _ => false,
    }
}

/// Whether what answered does not speak TLS.
pub fn is_not_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(find_tls(error), Some(rustls::Error::InvalidMessage(_)))
}

fn find_tls<'error>(
    error: &'error (dyn std::error::Error + 'static),
) -> Option<&'error rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // What an input-output error holds is not its source, but itself.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// What webpki says of an authority's certificate that a server shows as its own.
const NO_LEAF: &str = "CaUsedAsEndEntity";

/// What rustls says of an alert, before its name.
const ALERT: &str = "received fatal alert: ";

fn timestamp(at: UnixTime) -> Timestamp {
    Timestamp::from_milliseconds(at.as_secs().saturating_mul(1000))
}
