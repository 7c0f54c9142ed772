//! Metrics of one validation at one site, with what exact pooling needs.

use serde::{Deserialize, Serialize};

/// What one validation measured.
///
/// `sums` is the serialised form of what pooling needs; it is open
/// JSON here because this crate does not compute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsReport {
    /// The values by name, in the plan's order; each is finite.
    pub metrics: Vec<(String, f64)>,
    /// How many rows were validated.
    pub validation_count: u64,
    /// What exact pooling over the sites needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<serde_json::Value>,
}
