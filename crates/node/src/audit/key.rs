//! The node's signing key, and the public key that others check its records with.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::{SECRET_KEY_LENGTH, Signature, Signer as _, SigningKey, VerifyingKey};

/// A node's secret key. It is made where the node lives, and never leaves.
pub(crate) struct Key(SigningKey);

/// The key that a node's records are checked with, written `ed25519:` and 64 hexadecimal digits.
///
/// # Examples
///
/// ```
/// use node::audit::PublicKey;
///
/// let text = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), node::audit::key::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text is not a public key.
    #[error("a public key is \"ed25519:\" and 64 lower-case hexadecimal digits of a point")]
    NotAKey,
    /// The file of the secret key holds something else.
    #[error("{} is no key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the secret key.
    #[error("{} can be read by others: its mode is {mode:o} and must be 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl Key {
    /// Draws a key and writes it, for this user only; nothing where there is one.
    ///
    /// The file comes to be whole or not at all.
    pub(crate) fn create(path: &Path) -> Result<(), Error> {
        if path.exists() { Ok(()) } else { Self::draw(path).map(drop) }
    }

    /// Draws a key and writes it, for this user only, in place of what lies there.
    ///
    /// The file comes to be whole or not at all.
    pub(super) fn draw(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { path: path.to_owned(), source };
        let mut secret = [0; SECRET_KEY_LENGTH];
        getrandom::fill(&mut secret).map_err(|error| unusable(io::Error::other(error)))?;
        let key = SigningKey::from_bytes(&secret);
        let temporary = path.with_extension("temporary");
        let written = write_private(&temporary, key.as_bytes())
            .and_then(|()| fs::rename(&temporary, path))
            .and_then(|()| synchronise_parent(path));
        written.map_err(|source| {
            // The first error is the one to report.
            drop(fs::remove_file(&temporary));
            unusable(source)
        })?;
        Ok(Self(key))
    }

    /// Reads a key that nobody else may read.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unusable)?;
        let mode = file.metadata().map_err(unusable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Vec::with_capacity(SECRET_KEY_LENGTH + 1);
        file.take(SECRET_KEY_LENGTH as u64 + 1).read_to_end(&mut bytes).map_err(unusable)?;
        let secret: &[u8; SECRET_KEY_LENGTH] =
            bytes.as_slice().try_into().map_err(|_| Error::Damaged { path: path.to_owned() })?;
        Ok(Self(SigningKey::from_bytes(secret)))
    }

    #[cfg(test)]
    pub(crate) fn of_bytes(secret: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(message).to_bytes()
    }
}

impl Error {
    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Unusable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the key may be there all the same, and only this program is kept from it.
    pub(super) fn is_in_the_way(&self) -> bool {
        match self {
            Self::Exposed { .. } => true,
            Self::Unusable { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::NotAKey | Self::Damaged { .. } => false,
        }
    }
}

impl PublicKey {
    /// Takes 32 bytes that are a key.
    pub(crate) fn from_bytes(bytes: &[u8; PUBLIC_KEY]) -> Result<Self, Error> {
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| Error::NotAKey)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; PUBLIC_KEY] {
        self.0.as_bytes()
    }

    /// Whether a signature is this key's; one that another spelling would also pass is not.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PREFIX)?;
        self.as_bytes().iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
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
        // A digest is written the same way, but for its prefix.
        let digits = text.strip_prefix(PREFIX).ok_or(Error::NotAKey)?;
        let bytes: protocol::Digest =
            format!("sha256:{digits}").parse().map_err(|_| Error::NotAKey)?;
        Self::from_bytes(bytes.as_bytes())
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that a dead process left may have another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Synchronises the list of names in which a file stands.
pub(super) fn synchronise_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Bytes of a public key.
pub(super) const PUBLIC_KEY: usize = 32;
/// Bytes of a signature.
pub(super) const SIGNATURE: usize = 64;
const PREFIX: &str = "ed25519:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Key::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let key = Key::load(&path).unwrap();
        Key::create(&path).unwrap();
        assert_eq!(Key::load(&path).unwrap().public(), key.public(), "it stays the same");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::load(&path), Err(Error::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn two_nodes_have_two_keys() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| {
            let path = folder.path().join(name);
            Key::create(&path).unwrap();
            Key::load(&path).unwrap().public()
        });
        assert_ne!(one, other);
    }

    // RFC 8032, section 7.1, test 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret: [u8; 32] = *b"\x4c\xcd\x08\x9b\x28\xff\x96\xda\x9d\xb6\xc3\x46\xec\x11\x4e\x0f\
            \x5b\x8a\x31\x9f\x35\xab\xa6\x24\xda\x8c\xf6\xed\x4f\xb8\xa6\xfb";
        let key = Key::of_bytes(&secret);
        let public = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(key.public().to_string(), public);
        let signature = key.sign(&[0x72]);
        let start = [0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8];
        assert_eq!(signature[..8], start);
        assert!(key.public().has_signed(&[0x72], &signature));
        assert!(!key.public().has_signed(&[0x73], &signature));
    }

    #[test]
    fn anything_but_the_one_spelling_of_a_key_is_refused() {
        for text in ["", "ed25519:", "ed25519:00", "sha256:3d4017c3", &"0".repeat(72)] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }
}
