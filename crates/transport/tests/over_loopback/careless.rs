//! Clients that an attacker would write: they take any server, and show what they like. And a server that is somebody
//! else's.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// Shows the key and the certificates of a file that holds them.
pub(crate) fn client(text: &str) -> ClientConfig {
    let mut blocks = pem::parse_many(text).unwrap().into_iter().map(pem::Pem::into_contents);
    let key = PrivatePkcs8KeyDer::from(blocks.next().unwrap());
    let chain = blocks.map(CertificateDer::from).collect();
    showing(chain, key.into())
}

/// Shows a certificate that its own key has signed, and that has a member's name.
pub(crate) fn self_signed(role: &str, name: &str) -> ClientConfig {
    let key = Key::from_seed(&[5; 32]);
    let mut parameters = rcgen::CertificateParams::default();
    let identity = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let uri = format!("wardround://{role}/{name}/{identity}");
    parameters.subject_alt_names.push(rcgen::SanType::URI(uri.as_str().try_into().unwrap()));
    parameters.serial_number = Some(rcgen::SerialNumber::from_slice(&[1]));
    let certificate = parameters.self_signed(&key).unwrap();
    let secret = PrivatePkcs8KeyDer::from(key.pkcs8());
    showing(vec![certificate.der().clone()], secret.into())
}

/// A server that shows an authority's own certificate as its own, as some products that open TLS do.
pub(crate) fn interceptor(issuer: &str) -> rustls::ServerConfig {
    let key = Key::from_seed(&[6; 32]);
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, issuer);
    parameters.serial_number = Some(rcgen::SerialNumber::from_slice(&[1]));
    let certificate = parameters.self_signed(&key).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let secret = PrivatePkcs8KeyDer::from(key.pkcs8());
    let chain = vec![certificate.der().clone()];
    builder.with_no_client_auth().with_single_cert(chain, secret.into()).unwrap()
}

fn showing(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let verifier = Arc::new(AnyServer(provider));
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    builder.with_client_auth_cert(chain, key).unwrap()
}

#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// An Ed25519 key that signs its own certificate.
struct Key {
    secret: ed25519_dalek::SigningKey,
    public: [u8; 32],
}

impl Key {
    fn from_seed(seed: &[u8; 32]) -> Self {
        let secret = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = secret.verifying_key().to_bytes();
        Self { secret, public }
    }

    fn pkcs8(&self) -> Vec<u8> {
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        [&head[..], self.secret.as_bytes()].concat()
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        use ed25519_dalek::Signer as _;
        Ok(self.secret.sign(message).to_bytes().to_vec())
    }
}
