//! The coordinator's own small authority.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{Digest, Timestamp};
use rcgen::Issuer;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;

use crate::certificate::{self, Certified};
use crate::file;
use crate::key::{self, Issuing, SecretKey};
use crate::receipt::{self, Receipt};
use crate::request::{self, Occasion, Request};
use crate::time::Time;
use crate::tls::{self, Shown};

/// Issues the certificates of one federation. Its key lies in the coordinator's folder, for the coordinator's user
/// only.
pub struct Authority {
    key: SecretKey,
    certificate: CertificateDer<'static>,
    names: Vec<String>,
    member_life: Duration,
    time: Time,
    shown: Arc<Shown>,
    shown_until: Mutex<Timestamp>,
}

/// A certificate that was issued, with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The member's certificate, then the authority's, each in DER.
    pub chain: Vec<Vec<u8>>,
    /// What the member's says.
    pub certified: Certified,
}

/// Why an authority cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder has no authority.
    #[error("folder {} holds no authority", path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has an authority already.
    #[error("folder {} holds an authority already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The authority's certificate is not that of its key.
    #[error("certificate {} is not that of the authority's key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// A request is not to be trusted.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// TLS refuses what was made.
    #[error("the certificates cannot be used for TLS")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// Makes an authority in `folder`, with a key of its own.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Exists`] where there is one: another would make every member a stranger.
    pub fn create(folder: &Path, now: Timestamp) -> Result<(), Error> {
        if Self::exists(folder) {
            return Err(Error::Exists { path: folder.to_owned() });
        }
        file::make_private(folder)?;
        let key = SecretKey::keep(&folder.join(KEY))?;
        let issuing = Issuing::new(&key);
        let parameters = certificate::of_authority(&key.public(), now)?;
        let certificate = parameters.self_signed(&issuing).map_err(certificate::unwritable)?;
        // The certificate comes last: with it, the authority is whole.
        file::write_private(&folder.join(CERTIFICATE), certificate.pem().as_bytes())?;
        Ok(())
    }

    /// Whether there is an authority in `folder`.
    pub fn exists(folder: &Path) -> bool {
        folder.join(CERTIFICATE).exists()
    }

    /// Opens the authority in `folder`, and issues the coordinator a certificate for `names`: host names and
    /// addresses.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Absent`] where there is none, and what is wrong with one.
    pub fn open(folder: &Path, names: Vec<String>, time: Time) -> Result<Self, Error> {
        if !Self::exists(folder) {
            return Err(Error::Absent { path: folder.to_owned() });
        }
        let key = SecretKey::load(&folder.join(KEY))?;
        let path = folder.join(CERTIFICATE);
        let text = file::read_private(&path)?;
        let certificate = pem::parse(text).ok().filter(|block| block.tag() == "CERTIFICATE");
        let certificate = certificate.map(|block| CertificateDer::from(block.into_contents()));
        let digest = Digest::of(&key.public().subject_public_key_info());
        let is_own = |found: &CertificateDer<'_>| certificate::key_digest(found) == Some(digest);
        let certificate = certificate.filter(is_own).ok_or(Error::Damaged { path })?;
        let (shown, until) = own(&key, &certificate, &names, time.now())?;
        let (shown, shown_until) = (Arc::new(Shown::new(shown)), Mutex::new(until));
        let member_life = Duration::from_secs(certificate::MEMBER_DAYS * 24 * 60 * 60);
        Ok(Self { key, certificate, names, member_life, time, shown, shown_until })
    }

    /// Issues members certificates that are good for so long, in whole seconds, in place of 60 days.
    #[must_use]
    pub fn with_member_life(self, member_life: Duration) -> Self {
        Self { member_life, ..self }
    }

    /// The SHA-256 of the authority's public key, which tokens name it by.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.key.public().subject_public_key_info())
    }

    /// The names that the coordinator's certificate is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The time that certificates are checked by.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// Issues the certificate that a checked request asks for.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Certificate`] where the machine has no randomness or no time.
    pub fn issue(&self, request: &Request) -> Result<Issued, Error> {
        let bound = (&request.member, &request.identity);
        let term = (self.time.now(), self.member_life);
        let parameters = certificate::of_member(&request.tls, bound, term)?;
        let certificate = sign(&self.key, &request.tls, &parameters)?;
        let certified = Certified::read(&certificate)?;
        let chain = vec![certificate.to_vec(), self.certificate.to_vec()];
        Ok(Issued { chain, certified })
    }

    /// Signs the head of a node's audit log.
    pub fn countersign(&self, head: receipt::Head) -> Receipt {
        Receipt::sign(head, self.time.now(), &self.key)
    }

    /// Checks a request that came from outside.
    ///
    /// # Errors
    ///
    /// Returns the rule that it breaks.
    pub fn check(
        &self,
        member: crate::Member,
        parts: [&[u8]; 3],
        occasion: &Occasion,
    ) -> Result<Request, request::Error> {
        Request::verify(member, parts, &self.fingerprint(), occasion)
    }

    /// How TLS serves the coordinator.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Tls`] for an authority whose certificate TLS does not take.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let shown = Arc::clone(&self.shown);
        Ok(Arc::new(tls::server(&self.certificate, shown, self.time.clone())?))
    }

    /// Renews the coordinator's own certificate once two thirds of its life have passed; says whether it did.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Certificate`] where the machine has no randomness or no time; the present one stays.
    pub fn renew_own(&self) -> Result<bool, Error> {
        let now = self.time.now();
        let mut until = self.shown_until.lock().unwrap_or_else(PoisonError::into_inner);
        if now.until(*until) > RENEW_BEFORE {
            return Ok(false);
        }
        let (shown, next) = own(&self.key, &self.certificate, &self.names, now)?;
        self.shown.replace(shown);
        *until = next;
        Ok(true)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Authority({})", self.fingerprint().short())
    }
}

/// Makes the coordinator a key of a few weeks, which is nowhere but in memory.
fn own(
    authority: &SecretKey,
    certificate: &CertificateDer<'static>,
    names: &[String],
    now: Timestamp,
) -> Result<(rustls::sign::CertifiedKey, Timestamp), Error> {
    let key =
        SecretKey::draw().map_err(|error| certificate::Error::Unwritable(error.to_string()))?;
    let public = key.public();
    let parameters = certificate::of_coordinator(&public, names, now)?;
    let own = sign(authority, &public, &parameters)?;
    let expires = parameters.not_after.unix_timestamp();
    let expires = u64::try_from(expires).unwrap_or(0).saturating_mul(1000);
    let shown = tls::certified(&key, vec![own, certificate.clone()])?;
    Ok((shown, Timestamp::from_milliseconds(expires)))
}

fn sign(
    authority: &SecretKey,
    key: &key::PublicKey,
    parameters: &rcgen::CertificateParams,
) -> Result<CertificateDer<'static>, Error> {
    let issuing = Issuing::new(authority);
    // The issuer's name is made of its key, so it need not be read from its certificate.
    let of_authority =
        certificate::of_authority(&authority.public(), Timestamp::from_milliseconds(0))?;
    let issuer = Issuer::new(of_authority, issuing);
    let signed = parameters.signed_by(key, &issuer).map_err(certificate::unwritable)?;
    Ok(signed.der().clone())
}

const KEY: &str = "authority.key";
const CERTIFICATE: &str = "authority.pem";

/// A third of the life of the coordinator's own certificate.
const RENEW_BEFORE: std::time::Duration = std::time::Duration::from_secs(10 * 24 * 60 * 60);
