//! The node's signature under a grant.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use protocol::NodeId;

use super::Grant;
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
    key: OnceLock<Key>,
}

/// Why a grant cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the node's key cannot be used")]
pub struct Error(#[from] key::Error);

impl Seal {
    pub(crate) fn new(folder: &Folder, node: &NodeId) -> Self {
        let key = OnceLock::new();
        Self(Arc::new(Inner { node: node.clone(), file: folder.audit_key(), key }))
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
        let signature = signature.try_into().ok()?;
        let is_whole = self.key().ok()?.public().has_signed(&self.message(text), signature);
        (is_whole && grant.number == number).then_some(grant)
    }

    fn key(&self) -> Result<&Key, Error> {
        if let Some(key) = self.0.key.get() {
            return Ok(key);
        }
        let loaded = Key::load(&self.0.file)?;
        Ok(self.0.key.get_or_init(|| loaded))
    }

    fn message(&self, text: &str) -> Vec<u8> {
        [DOMAIN, self.0.node.as_str().as_bytes(), b"\0", text.as_bytes()].concat()
    }
}

/// What every message begins with that this key signs as a grant.
const DOMAIN: &[u8] = b"wardround-grant/1\0";
