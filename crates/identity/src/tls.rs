//! TLS as both sides speak it: version 1.3, and nothing of an earlier connection is taken up again.

use std::sync::{Arc, PoisonError, RwLock};

use protocol::Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme, version,
};

use crate::certificate;
use crate::key::SecretKey;
use crate::peer;
use crate::time::Time;

/// What is spoken once a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, for calls.
    Http2,
    /// HTTP/1.1, for files.
    Http1,
}

impl Protocol {
    fn name(self) -> Vec<u8> {
        match self {
            Self::Http2 => b"h2".to_vec(),
            Self::Http1 => b"http/1.1".to_vec(),
        }
    }
}

/// The algorithms; key agreement prefers X25519 joined with ML-KEM-768, because traffic that is stored today can be
/// read by whoever has a quantum computer later.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A key and its certificates as a connection takes them; what follows takes the next ones.
#[derive(Debug)]
pub(crate) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    pub(crate) fn new(shown: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(shown)))
    }

    /// Shows another key from the next connection on.
    pub(crate) fn replace(&self, shown: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }

    fn present(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.present())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.present())
    }
}

/// Joins a secret key and its chain.
pub(crate) fn certified(
    key: &SecretKey,
    chain: Vec<CertificateDer<'static>>,
) -> Result<CertifiedKey, rustls::Error> {
    let key = provider().key_provider.load_private_key(key.for_tls())?;
    let joined = CertifiedKey::new(chain, key);
    joined.keys_match()?;
    Ok(joined)
}

/// How the coordinator serves: whoever shows a certificate must have one of the authority; nobody must show one.
pub(crate) fn server(
    authority: &CertificateDer<'static>,
    shown: Arc<Shown>,
    time: Time,
) -> Result<ServerConfig, rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(time));
    let mut config = builder
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![Protocol::Http2.name(), Protocol::Http1.name()];
    // A connection that is taken up again would bring a certificate that nobody has looked at since.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// How a member dials the coordinator of its authority.
pub(crate) fn member(
    authority: &CertificateDer<'static>,
    shown: Arc<Shown>,
    (time, protocol): (Time, Protocol),
) -> Result<ClientConfig, rustls::Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority)?, provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let verifier = Arc::new(Explaining(verifier));
    let config = client(verifier, time)?.with_client_cert_resolver(shown);
    Ok(finish(config, protocol))
}

/// How whoever has a token, and no certificate yet, dials the coordinator that it names.
pub(crate) fn stranger(
    authority: Digest,
    (time, protocol): (Time, Protocol),
) -> Result<ClientConfig, rustls::Error> {
    let config = client(Arc::new(Pinning { authority }), time)?.with_no_client_auth();
    Ok(finish(config, protocol))
}

fn client(
    verifier: Arc<dyn ServerCertVerifier>,
    time: Time,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, rustls::Error> {
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(time));
    let builder = builder.with_protocol_versions(&[&version::TLS13])?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

fn finish(mut config: ClientConfig, protocol: Protocol) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.name()];
    config
}

fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

/// Checks a chain up to one authority, and says in words that a program can tell apart what is wrong with it.
#[derive(Debug)]
struct Explaining(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0
            .verify_server_cert(presented, intermediates, name, stapled, now)
            .map_err(|error| peer::Error::of(error, presented, &name.to_str()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Checks a chain up to the authority whose key has a known digest, which the server shows itself.
#[derive(Debug)]
struct Pinning {
    authority: Digest,
}

impl ServerCertVerifier for Pinning {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_pinned =
            |shown: &&CertificateDer<'_>| certificate::key_digest(shown) == Some(self.authority);
        let Some(authority) = intermediates.iter().find(is_pinned) else {
            return Err(
                peer::Error::WrongAuthority { issuer: certificate::issuer(presented) }.into()
            );
        };
        let roots = roots(&authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Explaining(verifier).verify_server_cert(presented, &[], name, stapled, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
