//! The node's signature under a grant.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::NodeId;

use super::Grant;
use crate::audit::PublicKey;
use crate::audit::key::{self, Key};
use crate::folder::Folder;

/// Signs grants with the node's key, and knows its own signature.
///
/// The key also signs the audit log; what is signed begins with another word here, so that neither passes for the other.
#[derive(Clone)]
pub(crate) struct Seal(Arc<Inner>);

struct Inner {
    node: NodeId,
    file: PathBuf,
    keys: RwLock<Keys>,
}

/// The keys whose signatures count.
#[derive(Default)]
struct Keys {
    /// The node's, once it was asked for.
    own: Option<Arc<Key>>,
    /// The one before it, while readers may still see what that one has signed.
    before: Option<PublicKey>,
}

/// Why a grant cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the node's key cannot be used")]
pub struct Error(#[from] key::Error);

impl Seal {
    pub(crate) fn new(folder: &Folder, node: &NodeId) -> Self {
        let keys = RwLock::default();
        Self(Arc::new(Inner { node: node.clone(), file: folder.audit_key(), keys }))
    }

    /// The text of a grant and the signature under it.
    pub(crate) fn sign(&self, grant: &Grant) -> Result<(String, Vec<u8>), Error> {
        let text = grant.text();
        let signature = self.key()?.sign(&self.message(&text)).to_vec();
        Ok((text, signature))
    }

    /// Whether a text was signed by this node, as the grant of this number.
    pub(crate) fn holds(&self, number: u64, text: &str, signature: &[u8]) -> Option<Grant> {
        let grant: Grant = serde_json::from_str(text).ok()?;
        let (signature, message) = (signature.try_into().ok()?, self.message(text));
        let own = self.key().map(|key| key.public()).ok();
        let known = [own, self.before()];
        let is_whole = known.iter().flatten().any(|key| key.has_signed(&message, signature));
        (is_whole && grant.number == number).then_some(grant)
    }

    /// The signature of another key under what one of these keys has signed; none where it needs none, or nobody of them
    /// has signed it.
    pub(crate) fn renewed(
        &self,
        (text, signature): (&str, &[u8]),
        before: &[PublicKey],
        key: &Key,
    ) -> Option<Vec<u8>> {
        let (signature, message) = (signature.try_into().ok()?, self.message(text));
        let is_renewed = key.public().has_signed(&message, signature);
        let is_whole = before.iter().any(|before| before.has_signed(&message, signature));
        (is_whole && !is_renewed).then(|| key.sign(&message).to_vec())
    }

    /// Signs with another key from now on, and believes the one before it until [`Seal::forget_before`].
    pub(crate) fn replace(&self, key: Key, before: PublicKey) {
        self.write(|keys| *keys = Keys { own: Some(Arc::new(key)), before: Some(before) });
    }

    /// The key before, where it is still believed.
    pub(crate) fn before(&self) -> Option<PublicKey> {
        self.read(|keys| keys.before)
    }

    /// Believes this key before no more; another one stays believed.
    pub(crate) fn forget_before(&self, before: Option<PublicKey>) {
        self.write(|keys| keys.before = keys.before.filter(|known| Some(*known) != before));
    }

    /// Believes the key that lies in the folder alone.
    pub(crate) fn forget(&self) {
        self.write(|keys| *keys = Keys::default());
    }

    fn key(&self) -> Result<Arc<Key>, Error> {
        if let Some(key) = self.read(|keys| keys.own.clone()) {
            return Ok(key);
        }
        let loaded = Arc::new(Key::load(&self.0.file)?);
        Ok(self.write(|keys| Arc::clone(keys.own.get_or_insert(loaded))))
    }

    fn read<T>(&self, look: impl FnOnce(&Keys) -> T) -> T {
        look(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Keys) -> T) -> T {
        change(&mut self.0.keys.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn message(&self, text: &str) -> Vec<u8> {
        [DOMAIN, self.0.node.as_str().as_bytes(), b"\0", text.as_bytes()].concat()
    }
}

/// What every message begins with that this key signs as a grant.
const DOMAIN: &[u8] = b"wardround-grant/1\0";
