//! How long the owner keeps what rounds leave behind.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Days after which things go by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPeriods {
    /// Of a round's own log, after its last line; it goes with its round at the latest.
    #[serde(default = "default_round_logs")]
    pub keep_round_logs_days: u64,
    /// Of what plans printed, and of the traces of their errors, within those logs.
    #[serde(default = "default_tracebacks")]
    pub keep_tracebacks_days: u64,
    /// Of updates' files, after their delivery; at once where it is 0.
    #[serde(default = "default_updates")]
    pub keep_updates_days: u64,
    /// Of plans and parameters that nothing needs any more.
    #[serde(default = "default_cache")]
    pub keep_cache_days: u64,
}

impl Default for RetentionPeriods {
    fn default() -> Self {
        Self {
            keep_round_logs_days: default_round_logs(),
            keep_tracebacks_days: default_tracebacks(),
            keep_updates_days: default_updates(),
            keep_cache_days: default_cache(),
        }
    }
}

/// A number of days.
pub(crate) fn days(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(24 * 60 * 60))
}

const fn default_round_logs() -> u64 {
    30
}

const fn default_tracebacks() -> u64 {
    7
}

const fn default_updates() -> u64 {
    0
}

const fn default_cache() -> u64 {
    30
}

/// What `init` writes of them.
pub(super) const TEMPLATE: &str = r#"
# Days after which things go by themselves; `wardround node status` shows what there is, and until when.
# A round's own log, after its last line; it goes with its round (keep_replies_days) at the latest.
keep_round_logs_days = 30
# What plans printed, and the traces of their errors, within those logs: they may hold values of a dataset.
keep_tracebacks_days = 7
# The file of an update, after its delivery; 0 deletes it at once.
keep_updates_days = 0
# Plans and parameters below artifacts/ that no open round and no decision needs.
keep_cache_days = 30
"#;
