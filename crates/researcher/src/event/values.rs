//! The measured values that events carry.

use std::collections::BTreeMap;

use protocol::{ArtifactReference, Code, FederationMetric};
use serde::Deserialize;

use super::EventSite;

/// What a round came to, or what was measured of its model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RoundValues {
    /// The round; 0 is the start.
    pub round: u32,
    /// The mean of the sites' training losses.
    #[serde(default)]
    pub loss: Option<f64>,
    /// The metrics of the round's model over the federation, as far as they are known.
    #[serde(default)]
    pub metrics: Vec<FederationMetric>,
    /// The model that the round made.
    #[serde(default)]
    pub model: Option<ArtifactReference>,
    /// Each site's part.
    #[serde(default)]
    pub sites: Vec<SiteValues>,
}

/// One site's part in a round.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SiteValues {
    /// The site.
    pub site: EventSite,
    /// How its training ended.
    pub code: Code,
    /// Whether its update is in the model.
    pub used: bool,
    /// Rows it trained on.
    pub sample_count: u64,
    /// Its last training loss.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Its metrics of the round's model, by name.
    #[serde(default)]
    pub metrics: Option<BTreeMap<String, f64>>,
    /// Its metrics of its own update, by name.
    #[serde(default)]
    pub update_metrics: Option<BTreeMap<String, f64>>,
}

/// One message of the history monitor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ScalarValues {
    /// The site.
    pub site: EventSite,
    /// The round, from 1.
    pub round: u32,
    /// Whether it was measured in training.
    pub train: bool,
    /// Whether it was measured in validation.
    pub test: bool,
    /// The values by name.
    pub metric: BTreeMap<String, f64>,
    /// The epoch, from 1; none in validation.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// The batch within the epoch, from 1.
    pub iteration: u64,
    /// Batches in an epoch.
    pub num_batches: u64,
}
