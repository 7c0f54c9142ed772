//! A member's identity: an Ed25519 key, secret where the member lives and public everywhere else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use protocol::Digest;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::file;
use crate::fingerprint::Fingerprint;

/// A secret key. It is made on the machine that uses it, and never leaves.
pub(crate) struct SecretKey(SigningKey);

/// The key that signatures are checked with, written `ed25519:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY]);

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text or some bytes are not a public key.
    #[error("a public key is \"ed25519:\" and 64 lower-case hexadecimal digits of a point")]
    NotKey,
    /// The file of a secret key holds something else.
    #[error("{} holds no key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written, or others may read it.
    #[error(transparent)]
    File(#[from] file::Error),
}

impl SecretKey {
    /// Draws a key.
    pub(crate) fn draw() -> io::Result<Self> {
        let mut secret = [0; SECRET_KEY];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Reads the key at `path`, or draws one and writes it where there is none.
    pub(crate) fn keep(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            let key = Self::draw().map_err(|source| file::Error::unusable(path, source))?;
            file::write_private(path, key.to_pem().as_bytes())?;
        }
        Self::load(path)
    }

    /// Reads a key that nobody else may read.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let text = file::read_private(path)?;
        let key = pem::parse(text).ok().and_then(|block| Self::from_block(&block));
        key.ok_or_else(|| Error::Damaged { path: path.to_owned() })
    }

    pub(crate) fn from_block(block: &pem::Pem) -> Option<Self> {
        let secret = block.contents().strip_prefix(PKCS8)?.try_into().ok()?;
        (block.tag() == PEM_TAG).then(|| Self(SigningKey::from_bytes(secret)))
    }

    pub(crate) fn to_pem(&self) -> String {
        pem::encode_config(
            &pem::Pem::new(PEM_TAG, self.pkcs8()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        )
    }

    /// The key as TLS takes it.
    pub(crate) fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8()).into()
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(message).to_bytes()
    }

    /// The encoding of RFC 8410, section 7, which for this kind of key is a prefix and the secret.
    fn pkcs8(&self) -> Vec<u8> {
        [PKCS8, self.0.as_bytes()].concat()
    }
}

impl PublicKey {
    /// Takes 32 bytes that are a key; those of small order, which any signature would fit, are none.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: &[u8; PUBLIC_KEY] = bytes.try_into().map_err(|_| Error::NotKey)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| Error::NotKey)?;
        if key.is_weak() { Err(Error::NotKey) } else { Ok(Self(*bytes)) }
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY] {
        &self.0
    }

    /// Whether a signature is this key's; one that another spelling would also pass is not.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        let key = VerifyingKey::from_bytes(&self.0).expect("a key that exists is a point");
        key.verify_strict(message, &signature).is_ok()
    }

    /// What people compare.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }

    /// The key's 64 hexadecimal digits.
    /// The SHA-256 of the key as a certificate holds it, by which tokens name an authority.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.subject_public_key_info())
    }

    pub(crate) fn hexadecimal(&self) -> String {
        Digest::from_bytes(self.0).hexadecimal()
    }

    pub(crate) fn from_hexadecimal(digits: &str) -> Result<Self, Error> {
        // A digest has the same digits behind another prefix.
        let bytes: Digest = format!("sha256:{digits}").parse().map_err(|_| Error::NotKey)?;
        Self::from_bytes(bytes.as_bytes())
    }

    /// The `SubjectPublicKeyInfo` of RFC 8410, section 4.
    pub(crate) fn subject_public_key_info(&self) -> Vec<u8> {
        [SPKI, &self.0].concat()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}", self.hexadecimal())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_hexadecimal(text.strip_prefix(PREFIX).ok_or(Error::NotKey)?)
    }
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

/// A key that signs certificates.
pub(crate) struct Issuing<'key> {
    secret: &'key SecretKey,
    public: PublicKey,
}

impl<'key> Issuing<'key> {
    pub(crate) fn new(secret: &'key SecretKey) -> Self {
        Self { secret, public: secret.public() }
    }
}

impl rcgen::PublicKeyData for Issuing<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Issuing<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.secret.sign(message).to_vec())
    }
}

/// Bytes of a public key.
pub const PUBLIC_KEY: usize = 32;

/// Bytes of a signature.
pub const SIGNATURE: usize = 64;

const SECRET_KEY: usize = 32;
const PREFIX: &str = "ed25519:";
const PEM_TAG: &str = "PRIVATE KEY";

/// All of the encoded secret key but its last 32 bytes.
const PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// All of the encoded public key but its last 32 bytes.
const SPKI: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        let first = SecretKey::keep(&path).unwrap().public();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::keep(&path).unwrap().public(), first, "it stays the same");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = SecretKey::keep(&path).err().unwrap();
        assert!(exposed.to_string().contains("mode is 640"), "{exposed}");
    }

    #[test]
    fn a_file_that_holds_something_else_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        file::write_private(&path, b"not a key").unwrap();
        assert!(matches!(SecretKey::keep(&path), Err(Error::Damaged { .. })));
    }

    // RFC 8032, section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret: [u8; 32] = *b"\x4c\xcd\x08\x9b\x28\xff\x96\xda\x9d\xb6\xc3\x46\xec\x11\x4e\x0f\
            \x5b\x8a\x31\x9f\x35\xab\xa6\x24\xda\x8c\xf6\xed\x4f\xb8\xa6\xfb";
        let key = SecretKey(SigningKey::from_bytes(&secret));
        let public = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(key.public().to_string(), public);
        assert_eq!(public.parse::<PublicKey>().unwrap(), key.public());
        let signature = key.sign(&[0x72]);
        assert_eq!(signature[..8], [0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8]);
        assert!(key.public().has_signed(&[0x72], &signature));
        assert!(!key.public().has_signed(&[0x73], &signature));
        assert!(!key.public().has_signed(&[0x72], &signature[1..]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ed25519:", "ed25519:00", "sha256:3d4017c3", &"0".repeat(72)] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
        assert!(PublicKey::from_bytes(&[0; 32]).is_err(), "a point of small order");
        assert!(PublicKey::from_bytes(&[0; 31]).is_err());
    }
}
