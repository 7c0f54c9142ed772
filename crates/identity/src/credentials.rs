//! A member's keys and certificate, in a folder of their own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use protocol::{Digest, Timestamp};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::certificate::{self, Certified};
use crate::file;
use crate::fingerprint::Fingerprint;
use crate::key::{self, PublicKey, SecretKey};
use crate::member::Member;
use crate::request::{self, Occasion, Request};
use crate::time::Time;
use crate::tls::{self, Protocol, Shown};
use crate::token::Token;

/// What a member shows the coordinator, and knows it by.
///
/// The folder holds `identity.key` (the identity, which never changes), `tls.pem` (the key of TLS with its
/// certificate and the authority's) and `coordinator` (its address). All of it is for this user only; no secret key
/// ever travels.
pub struct Credentials {
    folder: PathBuf,
    identity: SecretKey,
    authority: CertificateDer<'static>,
    coordinator: String,
    certified: RwLock<Certified>,
    shown: Arc<Shown>,
    time: Time,
}

/// A request for a certificate that has not been answered yet. The same folder asks with the same keys again, so that
/// an answer that was lost can be asked for once more.
pub struct Application {
    folder: PathBuf,
    identity: SecretKey,
    tls: SecretKey,
    member: Member,
    authority: Digest,
    occasion: Occasion,
    coordinator: String,
}

/// Why credentials cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder has none.
    #[error("folder {} holds no credentials", path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has some already.
    #[error("folder {} holds the credentials of {member} already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
        /// Whose they are.
        member: Member,
    },
    /// A file is not what it should be.
    #[error("file {} is damaged: {finding}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        finding: &'static str,
    },
    /// What the coordinator answered is not the certificate that was asked for.
    #[error("the certificate that the coordinator sent is not fit: {0}")]
    NotAsked(&'static str),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] file::Error),
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// TLS refuses them.
    #[error("the credentials cannot be used for TLS")]
    Tls(#[from] rustls::Error),
}

impl Application {
    /// Prepares to join with a token: makes an identity and a key of TLS in `folder`, or takes those that are there.
    /// A member may join anew in its own folder, and keeps its identity.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Exists`] for a folder of another member and [`Error::Key`] or [`Error::File`] for one that
    /// cannot be used.
    pub fn begin(folder: &Path, token: &Token) -> Result<Self, Error> {
        if let Ok(certificates) = Certificates::read(&folder.join(TLS))
            && certificates.certified.member != token.member
        {
            let member = certificates.certified.member;
            if member != token.member {
                return Err(Error::Exists { path: folder.to_owned(), member });
            }
        }
        file::make_private(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            identity: SecretKey::keep(&folder.join(IDENTITY))?,
            tls: SecretKey::keep(&folder.join(NEXT))?,
            member: token.member.clone(),
            authority: token.authority,
            occasion: Occasion::Enrolment(token.secret),
            coordinator: token.address.clone(),
        })
    }

    /// What is to be sent.
    pub fn request(&self) -> Request {
        let (identity, tls) = (self.identity.public(), self.tls.public());
        let bound = (&self.authority, &self.occasion);
        let message = request::message(&self.member, &identity, &tls, bound);
        let signature = self.identity.sign(&message);
        Request { member: self.member.clone(), identity, tls, signature }
    }

    /// The identity as the coordinator's operator sees it, too.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.public().fingerprint()
    }

    /// How TLS dials the coordinator that the token names, before there is a certificate.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Tls`] where TLS cannot be set up.
    pub fn client_config(&self, protocol: Protocol, time: Time) -> Result<ClientConfig, Error> {
        Ok(tls::stranger(self.authority, (time, protocol))?)
    }

    /// Keeps the chain that answers the request: the member's certificate, then the authority's.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotAsked`] for a chain of another key, member, identity or authority.
    pub fn install(self, chain: Vec<Vec<u8>>) -> Result<(), Error> {
        let Self { folder, identity, tls, member, authority, coordinator, .. } = self;
        let certificates = Certificates::of(tls, chain)?;
        if certificates.certified.member != member {
            return Err(Error::NotAsked("it is another member's"));
        }
        if certificates.certified.identity != identity.public() {
            return Err(Error::NotAsked("it is bound to another identity"));
        }
        if certificate::key_digest(&certificates.authority) != Some(authority) {
            return Err(Error::NotAsked("it was issued by another authority"));
        }
        file::write_private(&folder.join(COORDINATOR), format!("{coordinator}\n").as_bytes())?;
        certificates.write(&folder.join(TLS))?;
        Ok(file::remove(&folder.join(NEXT))?)
    }
}

impl Credentials {
    /// Opens the credentials in `folder`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Absent`] for a folder whose member has not joined.
    pub fn open(folder: &Path, time: Time) -> Result<Self, Error> {
        if !Self::exist(folder) {
            return Err(Error::Absent { path: folder.to_owned() });
        }
        let identity = SecretKey::load(&folder.join(IDENTITY))?;
        let certificates = Certificates::read(&folder.join(TLS))?;
        if certificates.certified.identity != identity.public() {
            let finding = "its certificate is bound to another identity";
            return Err(Error::Damaged { path: folder.join(TLS), finding });
        }
        let coordinator = file::read_private(&folder.join(COORDINATOR))?.trim_end().to_owned();
        let shown = Arc::new(Shown::new(certificates.for_tls()?));
        let Certificates { authority, certified, .. } = certificates;
        let (folder, certified) = (folder.to_owned(), RwLock::new(certified));
        Ok(Self { folder, identity, authority, coordinator, certified, shown, time })
    }

    /// Whether there are credentials in `folder`.
    pub fn exist(folder: &Path) -> bool {
        folder.join(TLS).exists()
    }

    /// Who the member is.
    pub fn member(&self) -> Member {
        self.certified().member
    }

    /// The member's identity.
    pub fn identity(&self) -> PublicKey {
        self.identity.public()
    }

    /// The address of the coordinator, as the token gave it.
    pub fn coordinator(&self) -> &str {
        &self.coordinator
    }

    /// The SHA-256 of the authority's public key.
    pub fn authority(&self) -> Digest {
        certificate::key_digest(&self.authority).expect("it was read when it was opened")
    }

    /// What the present certificate says.
    pub fn certified(&self) -> Certified {
        self.certified.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the present certificate expires.
    pub fn expires_at(&self) -> Timestamp {
        self.certified().expires_at
    }

    /// When two thirds of the certificate's life have passed, and it is to be renewed.
    pub fn renewal_due_at(&self) -> Timestamp {
        let Certified { valid_from, expires_at, .. } = self.certified();
        let life = valid_from.until(expires_at);
        valid_from.after(life * 2 / 3)
    }

    /// Whether the certificate is to be renewed.
    pub fn is_due_for_renewal(&self, now: Timestamp) -> bool {
        now >= self.renewal_due_at()
    }

    /// How TLS dials the coordinator; a connection made later shows the certificate of then.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Tls`] where TLS cannot be set up.
    pub fn client_config(&self, protocol: Protocol) -> Result<ClientConfig, Error> {
        let shown = Arc::clone(&self.shown);
        Ok(tls::member(&self.authority, shown, (self.time.clone(), protocol))?)
    }

    /// Prepares to renew the certificate: makes the next key of TLS, or takes the one that was made before.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Key`] or [`Error::File`] for a folder that cannot be used.
    pub fn renewal(&self) -> Result<Application, Error> {
        let Certified { member, digest, .. } = self.certified();
        let next = self.folder.join(NEXT);
        let present = Certificates::read(&self.folder.join(TLS))?.key.public();
        if next.exists() && SecretKey::load(&next)?.public() == present {
            // The last renewal ended before it had cleared away.
            file::remove(&next)?;
        }
        Ok(Application {
            folder: self.folder.clone(),
            identity: SecretKey::load(&self.folder.join(IDENTITY))?,
            tls: SecretKey::keep(&next)?,
            member,
            authority: self.authority(),
            occasion: Occasion::Renewal(digest),
            coordinator: self.coordinator.clone(),
        })
    }

    /// Keeps the chain that answers a renewal, and shows it from the next connection on.
    ///
    /// # Errors
    ///
    /// As [`Application::install`]; the present certificate then stays.
    pub fn install(&self, renewal: Application, chain: Vec<Vec<u8>>) -> Result<(), Error> {
        renewal.install(chain)?;
        let certificates = Certificates::read(&self.folder.join(TLS))?;
        self.shown.replace(certificates.for_tls()?);
        let mut certified = self.certified.write().unwrap_or_else(PoisonError::into_inner);
        *certified = certificates.certified;
        Ok(())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Credentials({})", self.member())
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Application({})", self.member)
    }
}

/// A key of TLS with its chain: one file, so that they are always of one piece.
struct Certificates {
    key: SecretKey,
    own: CertificateDer<'static>,
    authority: CertificateDer<'static>,
    certified: Certified,
}

impl Certificates {
    fn of(key: SecretKey, chain: Vec<Vec<u8>>) -> Result<Self, Error> {
        let [own, authority] = <[Vec<u8>; 2]>::try_from(chain)
            .map_err(|_| Error::NotAsked("it does not come with its authority's, and alone"))?
            .map(CertificateDer::from);
        let digest = Digest::of(&key.public().subject_public_key_info());
        if certificate::key_digest(&own) != Some(digest) {
            return Err(Error::NotAsked("it is for another key"));
        }
        let certified = Certified::read(&own)?;
        Ok(Self { key, own, authority, certified })
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let damaged = |finding| Error::Damaged { path: path.to_owned(), finding };
        let blocks = pem::parse_many(file::read_private(path)?);
        let blocks = blocks.map_err(|_| damaged("it is not in the PEM format"))?;
        let (key, chain) = blocks.split_first().ok_or_else(|| damaged("it is empty"))?;
        let key =
            SecretKey::from_block(key).ok_or_else(|| damaged("it does not begin with a key"))?;
        let chain = chain.iter().map(|block| block.contents().to_vec()).collect();
        Self::of(key, chain).map_err(|_| damaged("its certificates are not those of its key"))
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let form = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let mut text = self.key.to_pem();
        for certificate in [&self.own, &self.authority] {
            let block = pem::Pem::new("CERTIFICATE", certificate.to_vec());
            text.push_str(&pem::encode_config(&block, form));
        }
        Ok(file::write_private(path, text.as_bytes())?)
    }

    fn for_tls(&self) -> Result<rustls::sign::CertifiedKey, Error> {
        Ok(tls::certified(&self.key, vec![self.own.clone(), self.authority.clone()])?)
    }
}

const IDENTITY: &str = "identity.key";
const TLS: &str = "tls.pem";
const NEXT: &str = "next.key";
const COORDINATOR: &str = "coordinator";
