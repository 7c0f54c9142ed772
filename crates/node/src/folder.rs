//! Where a node keeps what it has: the layout of its folder.

use std::path::{Path, PathBuf};

use protocol::RoundId;

/// A node's folder; everything a node writes lies below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Names a folder; nothing is looked at yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commented configuration, `node.toml`.
    pub fn configuration(&self) -> PathBuf {
        self.root.join("node.toml")
    }

    /// The commented policy, `policy.toml`.
    pub fn policy(&self) -> PathBuf {
        self.root.join("policy.toml")
    }

    /// Journal, datasets, plans and rounds: `node.sqlite`.
    pub fn database(&self) -> PathBuf {
        self.root.join("node.sqlite")
    }

    /// Verified plans, parameters and updates by digest: `artifacts/`.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// What belongs to a running round and to nothing else: `scratch/`.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// The scratch folder of one round.
    pub fn round_scratch(&self, round: RoundId) -> PathBuf {
        self.scratch().join(round.to_string())
    }

    /// The Python files that plans run on, by the digest of their content: `worker/`.
    pub fn worker(&self) -> PathBuf {
        self.root.join("worker")
    }

    /// What Python plans keep between rounds: `state/`.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The node's own logs: `logs/`.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The operator's logs of rounds: `logs/rounds/`.
    pub fn round_logs(&self) -> PathBuf {
        self.logs().join("rounds")
    }

    /// The operator's log of one round.
    pub fn round_log(&self, round: RoundId) -> PathBuf {
        self.round_logs().join(format!("{round}.jsonl"))
    }

    /// The audit log and its key: `audit/`.
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit")
    }

    /// What the node has done, append-only: `audit/log`.
    pub fn audit_log(&self) -> PathBuf {
        self.audit().join("log")
    }

    /// The coordinator's last signature under the log's head: `audit/receipt`.
    pub fn audit_receipt(&self) -> PathBuf {
        self.audit().join("receipt")
    }

    /// The secret key that records are signed with: `audit/key`.
    pub fn audit_key(&self) -> PathBuf {
        self.audit().join("key")
    }

    /// The key that takes over, until it lies in that one's place: `audit/key.next`.
    pub fn audit_key_next(&self) -> PathBuf {
        self.audit().join("key.next")
    }

    /// There while a restore is under way: `restore.pending`.
    pub fn restore_pending(&self) -> PathBuf {
        self.root.join("restore.pending")
    }

    /// The node's keys and its certificate: `identity/`.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity")
    }

    /// The socket over which commands reach the daemon: `admin.sock`.
    pub fn socket(&self) -> PathBuf {
        self.root.join("admin.sock")
    }
}
