//! References to content-addressed files.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Names a file by its content, with where it can be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactReference {
    /// The digest of the whole file.
    pub digest: Digest,
    /// The file's length in bytes.
    pub size: u64,
    /// A path on the coordinator's port, or an empty text for the usual one, `/artifacts/<digest>`.
    #[serde(default)]
    pub url: String,
}

impl ArtifactReference {
    /// Refers to a file at its usual place.
    pub fn new(digest: Digest, size: u64) -> Self {
        Self { digest, size, url: String::new() }
    }

    /// The path to fetch it from on the coordinator's port.
    pub fn path(&self) -> String {
        if self.url.is_empty() { format!("/artifacts/{}", self.digest) } else { self.url.clone() }
    }
}
